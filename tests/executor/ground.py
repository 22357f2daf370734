"""An arena on a node for runs that nobody sends, with a token in it that misbehaves when told."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest

from dexarb.amm.abi import encode
from dexarb.chain.rpc import Rpc
from dexarb.core.block import Block, BlockHash
from dexarb.core.market import Keyframe
from dexarb.core.pool import PoolKey
from dexarb.core.profile import ReferencePool
from dexarb.core.route import Cycle, Hop
from dexarb.core.token import Address, Token
from dexarb.ends.probe import EXECUTOR, Prober, Ran
from tests.executor.arena import Arena, Trade
from tests.executor.attackers import CONTRACTS, Habit, compiled
from tests.executor.chains import AnvilChain, anvil_chain
from tests.support.collector import collector_config
from tests.support.recorded import record
from tests.support.worlds.blocks import profile

CHAIN_ID = 137


@dataclass
class Ground:
    """An arena on a node, and beside its tokens one that misbehaves when told, in two pairs."""

    arena: Arena
    url: str
    wayward: Address
    pairs: tuple[PoolKey, PoolKey]

    def ran(self, *trades: Trade) -> list[Ran]:
        async def ask() -> list[Ran]:
            async with Rpc.connect(self.url, attempts=1) as rpc:
                block = (await newest(rpc)).hash
                prober = await Prober.open(rpc, block)
                assert prober.estimates
                assert await rpc.call("eth_getCode", EXECUTOR, "latest") == "0x"
                pools = self.arena.pools.__getitem__
                return [
                    await prober.run(each.cycle, pools, each.amount_in, block) for each in trades
                ]

        return asyncio.run(ask())

    def round_trip(self) -> Trade:
        """Buys the wayward token where it is cheap and sells it where it is dear."""
        first, second = self.pairs
        good = next(each for each in self.arena.pools[first].tokens if each != self.wayward)
        cycle = Cycle((Hop(first, good, self.wayward), Hop(second, self.wayward, good)))
        trade = self.arena.trade(cycle, self.arena.depth(self.arena.pools[first], good) // 100)
        assert trade.amount_out > trade.amount_in
        return trade


async def newest(rpc: Rpc, number: int | None = None) -> Block:
    """number: not the newest, but this one."""
    wanted = "latest" if number is None else hex(number)
    head = await rpc.call("eth_getBlockByNumber", wanted, False)
    return Block(
        int(head["number"], 16), BlockHash(head["hash"]), head["parentHash"],
        int(head["timestamp"], 16), int(head["baseFeePerGas"], 16), int(head["gasUsed"], 16),
        int(head["gasLimit"], 16),
    )  # fmt: skip


@pytest.fixture(scope="module")
def built() -> Iterator[Ground]:
    with anvil_chain() as chain:
        assert isinstance(chain, AnvilChain)
        arena = Arena(chain, Random(1), pools_per_pair=2)
        arena.season()
        source = compiled(CONTRACTS / "wayward_token.vy")
        wayward = chain.deploy(source + encode(b"", arena.teller))
        arena.worth[wayward] = 1.0
        one, other = sorted((wayward, arena.tokens[0]))
        before = set(arena.pools)
        for fork, factory in arena.v2_factories:
            arena.new_pair(factory, fork, (one, other))
        first, second = (key for key in arena.pools if key not in before)
        pool = arena.pools[first]
        arena.swap(pool.address, wayward, arena.depth(pool, wayward) // 8)
        yield Ground(arena, chain._url, wayward, (first, second))


@pytest.fixture
def ground(built: Ground) -> Iterator[Ground]:
    pools = dict(built.arena.pools)
    with built.arena.chain.undone():
        yield built
    built.arena.pools = pools


def behave(ground: Ground, habit: Habit) -> None:
    nobody = Address("0x" + "00" * 20)
    ground.arena.tell(ground.wayward, "behave(uint256,address)", habit, nobody)


def collected(ground: Ground, folder: Path) -> Path:
    """What a collector has of the arena as it stands, and his settings."""

    async def look() -> Block:
        async with Rpc.connect(ground.url, attempts=1) as rpc:
            return await newest(rpc)

    arena = ground.arena
    numeraire = arena.tokens[0]
    tokens = tuple(
        Token(CHAIN_ID, token, f"T{place}", 18)
        for place, token in enumerate([*arena.tokens, ground.wayward])
    )
    references = {
        token.address: tuple(
            ReferencePool(key, numeraire, 1)
            for key, pool in arena.pools.items()
            if set(pool.tokens) == {token.address, numeraire}
        )
        for token in tokens[1:]
    }
    known = profile(
        "arena",
        tokens,
        native=arena.tokens[1],
        numeraire=numeraire,
        starts=(numeraire,),
        references=references,
    )
    block = asyncio.run(look())
    folder.mkdir(exist_ok=True)
    collector_config(folder)
    path = folder / "collector.toml"
    path.write_text(path.read_text().replace('"http://node0"', f'"{ground.url}/?key=hush"'))
    record(folder / "data", Keyframe(1, block, known, tokens, tuple(arena.pools.values())), [])
    return path
