"""Runs that nobody sends, on a real node: amounts to the wei, gas, and refusals in words."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import pytest

from dexarb.amm.abi import encode
from dexarb.chain.rpc import Rpc
from dexarb.core.block import Block, BlockHash, BlockUpdate
from dexarb.core.gas_schedule import ETHEREUM
from dexarb.core.market import Keyframe
from dexarb.core.pool import PoolKey
from dexarb.core.profile import ReferencePool
from dexarb.core.route import Cycle, Hop
from dexarb.core.token import Address, Token
from dexarb.core.trade import SkipReason
from dexarb.ends.probe import EXECUTOR, Prober, Ran
from dexarb.ends.refusal import WORDLESS, refusal
from dexarb.errors import RpcError, TransportError
from dexarb.store.history_reader import HistoryReader
from dexarb.store.history_writer import HistoryWriter
from dexarb.store.ledger_db import LedgerDb
from dexarb.store.ledger_notes import METERING
from dexarb.store.ledger_reader import read_only
from dexarb.study.flash_gas import least_limit
from dexarb.study.replay import plan_as, replay
from tests.executor.arena import Arena, Trade
from tests.executor.attackers import CONTRACTS, Habit, compiled
from tests.executor.chains import AnvilChain, anvil_chain
from tests.support.collector import collector_config
from tests.support.command import Dexarb, dexarb
from tests.support.recorded import record
from tests.support.traded import World, configure
from tests.support.trader import run_trader
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
        expected = least_limit(trade.cycle, trade.amount_in, arena.pools, ETHEREUM, {})
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


# -- beside the trader ----------------------------------------------------------------------------

PROBED = """
[probe]
endpoints = ["{url}/?key=hush"]
daily_requests = {budget}
bar_blocks = 1000
"""
TAKER = """
[[strategy]]
name = "{name}"
pairs = {pairs}
min_profit_usd = -1.0
max_trade_size_usd = 1000000
max_gas_gwei = 1000
gas_cost_usd = 0.0
"""
WAYWARD = TAKER.format(name="Wayward", pairs=["T0/T4"])
PLAIN = TAKER.format(name="Plain", pairs=[f"T{a}/T{b}" for a in range(4) for b in range(a)])


def next_blocks(ground: Ground) -> list[BlockUpdate]:
    """What comes of somebody's swap, of tokens that behave."""
    arena = ground.arena
    begun = len(arena.receipts)
    plain = [pool for pool in arena.pools.values() if ground.wayward not in pool.tokens]
    pool = arena.rng.choice(plain)
    token = arena.rng.choice(pool.tokens)
    arena.swap(pool.address, token, arena.depth(pool, token) // arena.rng.randint(80, 400))
    receipts = arena.receipts[begun:]

    async def blocks() -> list[Block]:
        async with Rpc.connect(ground.url, attempts=1) as rpc:
            last = (await newest(rpc)).number
            return [await newest(rpc, last - back) for back in reversed(range(len(receipts)))]

    return [
        BlockUpdate(
            0, block, tuple(log for log in receipt.logs if PoolKey(log.address) in arena.pools), ()
        )
        for block, receipt in zip(asyncio.run(blocks()), receipts, strict=True)
    ]


def probed_trading(ground: Ground, folder: Path, *, budget: int = 0) -> World:
    """A token that takes a fee, the history up to here, and who trades it."""
    behave(ground, Habit.TAKES_A_FEE)
    world = configure(folder, WAYWARD, PLAIN, PROBED.format(url=ground.url, budget=budget))
    collected(ground, folder)
    return world


def trade_until(ground: Ground, world: World, done: Callable[[], bool]) -> None:
    def happens() -> Iterator[object]:
        with HistoryWriter.open(world.history, chain_id=CHAIN_ID, chain="arena") as writer:
            for _ in range(100):
                for update in next_blocks(ground):
                    yield writer.append(replace(update, seq=writer.last_seq + 1))
                yield None
                if done():
                    return
        raise AssertionError("nothing came of it")

    run_trader(world, happens())


def skipped(world: World) -> int:
    with read_only(world.ledger) as books:
        found = [row.times for row in books.skips() if row.reason is SkipReason.NOT_EXECUTABLE]
        return sum(found)


def replayed(world: World, *, with_probes: bool = True) -> str:
    """The digest of the ledger traded once more, with what nodes said or without."""
    with read_only(world.ledger) as books:
        plan = plan_as(books, 10.0)
    if not with_probes:
        plan = replace(plan, probes=())
    reader, ledger = HistoryReader(world.history), world.folder / "again.sqlite"
    with LedgerDb.open(ledger, chain_id=CHAIN_ID, history=world.history) as again:
        for _ in replay(reader, again, plan):
            pass
        digest = again.digest()
    ledger.unlink()
    return digest


def test_what_a_node_refuses_is_passed_over_from_then_on(
    ground: Ground, dexarb: Dexarb, tmp_path: Path
) -> None:
    world = probed_trading(ground, tmp_path)
    trade_until(ground, world, lambda: skipped(world) > 2)
    with read_only(world.ledger) as books:
        probes, digest = books.probes(), books.digest()
        sent = {row.decision.cycle.id for row in books.decisions()}
        metering = books.note(METERING)
    assert {row.probe.cycle.id for row in probes} <= sent
    for _, probe in probes:
        is_wayward = ground.wayward in probe.cycle.tokens
        assert probe.is_equal is not is_wayward
        assert (probe.until_block is not None) is is_wayward
    barred = [row.probe for row in probes if row.probe.until_block]
    assert 0 < len(barred) < len(probes)
    assert "a fee on transfers" in barred[0].words
    assert metering is not None
    assert metering.requests_today >= 2 * len(probes)

    assert replayed(world) == digest
    assert replayed(world, with_probes=False) != digest

    before = skipped(world)
    trade_until(ground, world, lambda: skipped(world) > before)
    with read_only(world.ledger) as books:
        again = [row for row in books.decisions() if ground.wayward in row.decision.cycle.tokens]
    assert len(again) == len({row.decision.id for row in again}) == len(barred)

    told = dexarb("status", "-c", world.config, "--json").json["probing"]
    assert (told["refused"], told["different"]) == (len(barred), 0)
    assert told["equal"] + told["refused"] == told["ran"]
    assert {each["token"] for each in told["gas_by_token"]} <= set(ground.arena.tokens)
    assert all(abs(each["more_percent"]) < 10 for each in told["gas_by_token"])
    why = dexarb("why", "Wayward", "-c", world.config)
    assert "not_executable" in why.words
    assert "USD came of routes that a node refuses to run." in why.words
    in_full = dexarb("why", "Wayward", "-c", world.config, "--json").json
    assert in_full["refused_net_usd"] == in_full["profit_usd"] > 0
    assert not dexarb("why", "Plain", "-c", world.config, "--json").json["refused_net_usd"]
    assert "a fee on transfers" in why.words
    status = dexarb("status", "-c", world.config)
    assert "Not traded, since a node" in status.words
    assert "hush" not in why.out + status.out


def test_a_budget_that_is_used_up_leaves_decisions_unasked(ground: Ground, tmp_path: Path) -> None:
    world = probed_trading(ground, tmp_path, budget=1)

    def passed_over() -> bool:
        with read_only(world.ledger) as books:
            metering = books.note(METERING)
            return metering is not None and metering.passed_over > 2

    trade_until(ground, world, passed_over)
    with read_only(world.ledger) as books:
        metering = books.note(METERING)
    assert metering is not None
    assert "budget of 1 requests a day" in (metering.problem or "")
    assert "hush" not in metering.usage + (metering.problem or "")
    assert metering.requests_today <= 4
    assert skipped(world) == 0
