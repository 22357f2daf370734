"""Runs that nobody sends, on a real node: amounts to the wei, gas, and refusals in words."""

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
from dexarb.core.gas_schedule import ETHEREUM
from dexarb.core.market import Keyframe
from dexarb.core.pool import PoolKey
from dexarb.core.profile import ReferencePool
from dexarb.core.route import Cycle, Hop
from dexarb.core.token import Address, Token
from dexarb.ends.probe import EXECUTOR, Prober, Ran
from dexarb.ends.refusal import WORDLESS, refusal
from dexarb.errors import RpcError, TransportError
from dexarb.study.flash_gas import least_limit
from tests.executor.arena import Arena, Trade
from tests.executor.attackers import CONTRACTS, Habit, compiled
from tests.executor.chains import AnvilChain, anvil_chain
from tests.support.collector import collector_config
from tests.support.command import Dexarb, dexarb
from tests.support.recorded import record
from tests.support.worlds.blocks import profile

__all__ = ["dexarb"]

TRADES = 36
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


async def newest(rpc: Rpc) -> Block:
    head = await rpc.call("eth_getBlockByNumber", "latest", False)
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


def test_runs_come_out_to_the_wei_and_cost_what_we_say(ground: Ground) -> None:
    arena = ground.arena
    arena.shake()
    trades: list[Trade] = []
    while len(trades) < TRADES:
        trade = arena.any_trade(2 + len(trades) % 3)
        if trade.amount_out >= trade.amount_in:
            trades.append(trade)
    for trade, ran in zip(trades, ground.ran(*trades), strict=True):
        assert (ran.amount_out, ran.refusal) == (trade.amount_out, None)
        expected = least_limit(trade.cycle, trade.amount_in, arena.pools, ETHEREUM)
        assert ran.gas == pytest.approx(expected, rel=0.08)


def test_pools_that_have_moved_are_found(ground: Ground) -> None:
    arena, trade = ground.arena, ground.round_trip()
    ours = dict(arena.pools)
    arena.swap(arena.pools[ground.pairs[0]].address, ground.wayward, 10**6)
    arena.pools = ours
    (ran,) = ground.ran(trade)
    assert ran.amount_out is not None
    assert ran.amount_out > trade.amount_out


def behave(ground: Ground, habit: Habit) -> None:
    nobody = Address("0x" + "00" * 20)
    ground.arena.tell(ground.wayward, "behave(uint256,address)", habit, nobody)


@pytest.mark.parametrize(
    ("habit", "said"),
    [
        (Habit.TAKES_A_FEE, "a fee on transfers"),
        (Habit.IS_PAUSED, "it is paused, or bars"),
        (Habit.RETURNS_FALSE, "could not send its token"),
    ],
)
def test_a_token_that_misbehaves_is_found_with_words(
    ground: Ground, habit: Habit, said: str
) -> None:
    trade = ground.round_trip()
    (ran,) = ground.ran(trade)
    assert ran.amount_out == trade.amount_out
    behave(ground, habit)
    (ran,) = ground.ran(trade)
    assert (ran.amount_out, ran.gas) == (None, None)
    assert ran.refusal is not None
    assert said in ran.refusal


def test_a_token_that_bars_a_pair_is_found_with_its_own_words(ground: Ground) -> None:
    pair = ground.arena.pools[ground.pairs[1]].address
    ground.arena.tell(ground.wayward, "bar(address)", pair)
    (ran,) = ground.ran(ground.round_trip())
    barred = "a token of the route bars an address of it"
    assert ran.refusal == f'"Blacklistable: account is blacklisted": {barred}'


@pytest.mark.parametrize(
    ("data", "message", "said"),
    [
        ("0xd93c0665", "execution reverted", '"EnforcedPause()": a token of the route is paused'),
        ({"data": "0xd93c0665"}, "reverted", '"EnforcedPause()": a token of the route is paused'),
        ("Reverted 0x12345678", "reverted", '"error 0x12345678"'),
        ("0x4e487b71" + "11".rjust(64, "0"), "execution reverted", '"panic 0x11"'),
        (None, "execution reverted: AS", '"AS": a pool was given nothing to swap'),
        (None, "execution reverted: a\x1b[2Jb\nc", '"a[2Jb c"'),
        ("0x", "execution reverted", WORDLESS),
    ],
)
def test_refusals_are_told_however_nodes_tell_them(data: object, message: str, said: str) -> None:
    assert refusal(RpcError("eth_call", 3, message, data)) == said


# -- the command ----------------------------------------------------------------------------------


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


def test_the_command_says_what_agrees_and_what_does_not(
    ground: Ground, dexarb: Dexarb, tmp_path: Path
) -> None:
    settings = collected(ground, tmp_path)
    told = dexarb("probe", "--collector", settings, "--json").json
    assert told["ok"]
    assert len(told["probed"]) == min(5, told["open_cycles"]) > 1
    for each in told["probed"]:
        assert each["equal"]
        assert each["chain_amount_out"] == each["amount_out"]
    behave(ground, Habit.TAKES_A_FEE)
    settings = collected(ground, tmp_path / "later")
    said = dexarb("probe", "--collector", settings, "--count", 50)
    assert said.code == 1
    assert "a fee on transfers" in said.words
    assert "hush" not in said.out + said.err


def test_nobody_to_ask_is_told(ground: Ground, dexarb: Dexarb, tmp_path: Path) -> None:
    settings = collected(ground, tmp_path)
    settings.write_text(settings.read_text().replace(ground.url, "http://127.0.0.1:9"))
    said = dexarb("probe", "--collector", settings)
    assert said.code == TransportError.exit_code
    assert "no endpoint runs a call" in said.err.replace(":", "")
