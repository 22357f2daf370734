"""Decisions of the trader that a real node runs beside it: what it refuses is passed over."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

from dexarb.chain.rpc import Rpc
from dexarb.core.block import Block, BlockUpdate
from dexarb.core.pool import PoolKey
from dexarb.core.trade import SkipReason
from dexarb.store.history_reader import HistoryReader
from dexarb.store.history_writer import HistoryWriter
from dexarb.store.ledger_db import LedgerDb
from dexarb.store.ledger_notes import METERING
from dexarb.store.ledger_reader import read_only
from dexarb.study.replay import plan_as, replay
from tests.executor.attackers import Habit
from tests.executor.ground import CHAIN_ID, Ground, behave, built, collected, ground, newest
from tests.support.command import Dexarb, dexarb
from tests.support.traded import World, configure
from tests.support.trader import run_trader

__all__ = ["built", "dexarb", "ground"]

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


def test_no_step_waits_for_a_node_that_does_not_answer(ground: Ground, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        world = probed_trading(ground, tmp_path)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        world.config.write_text(world.config.read_text().replace(ground.url, url))

        def traded() -> bool:
            with read_only(world.ledger) as books:
                return len(books.fills()) > 2

        trade_until(ground, world, traded)
    with read_only(world.ledger) as books:
        metering = books.note(METERING)
        assert not books.probes()
    assert metering is not None
    assert metering.waiting > 0
