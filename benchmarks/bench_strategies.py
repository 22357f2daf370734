"""Deciding: ten thousand strategies on a block's opportunities, columns against a plain loop."""

from __future__ import annotations

import gc
import resource
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from itertools import product
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

from benchmarks.harness import Row, compare, figure
from benchmarks.numpy_deciding import NumpyColumns
from dexarb.apps.process import keep_for_good
from dexarb.core.trade import Funding
from dexarb.search.scan import warm_up
from dexarb.trading.decide.judge import warm_up as warm_up_deciding
from dexarb.trading.decide.skips import SkipTally
from dexarb.trading.decide.threshold import ThresholdStrategies
from dexarb.trading.engine import Engine
from dexarb.trading.models.reality import REALITY
from dexarb.trading.seams import View
from dexarb.trading.strategy import StrategySettings
from tests.oracles.deciding import PlainLoop
from tests.support.scans import narrowed
from tests.support.worlds.blocks import GWEI
from tests.support.worlds.engines import engine, thorough
from tests.support.worlds.pools import rng_of
from tests.support.worlds.random_trading import PAIRS, keyframe, random_block

STRATEGIES = 10_000
OPPORTUNITIES = 5
COUNTS = (10, 1_000, 10_000)
BLOCKS = 300
USD = 1_000_000
DECIDING, NEVER = 200, 10**9 * USD
SIZES = tuple(size * USD for size in (100, 250, 500, 1_000, 2_000, 3_000, 5_000, 10_000, 20_000))
BIDS = ((None, None), (GWEI // 10, None), (5 * GWEI, None), (None, 100_000), (None, 900_000))


def grid(count: int, least_profits: Sequence[int]) -> list[StrategySettings]:
    """As a `[[grid]]` makes them: each differs from the next in one parameter.

    Some look at a few pairs only, some have limits; the first of `least_profits` vary fastest.
    """
    shapes = product(
        ((PAIRS, 3), (PAIRS, 2), (PAIRS[:6], 3), (PAIRS[:3], 4)),
        (Funding.OWN, Funding.FLASH),
        BIDS,
        SIZES,
        (0, 50_000),
        (5_000, 10_000, 20_000),
        least_profits,
    )
    found = []
    for i, (scope, funding, bid, size, haircut, slippage, least) in enumerate(shapes):
        found.append(
            StrategySettings(
                name=f"grid-{i}",
                pairs=scope[0],
                max_hops=scope[1],
                min_profit_micro_usd=least,
                max_trade_size_micro_usd=size,
                max_slippage_ppm=slippage,
                max_gas_price=200 * GWEI,
                min_spread_ppm=300,
                funding=funding,
                priority_fee=bid[0],
                bid_ppm=bid[1],
                slippage_haircut_ppm=haircut,
                capital_micro_usd=20_000 * USD,
                max_daily_trades=5,
                daily_loss_limit_micro_usd=50 * USD,
                max_consecutive_losses=3,
                cooldown_blocks=20,
            )
        )
    # Spread over all shapes, so that a shorter list is as mixed as a longer one.
    step = len(found) / count
    return [found[int(i * step)] for i in range(count)]


def profits(least: int, most: int, steps: int) -> list[int]:
    return [least + (most - least) * i // (steps - 1) for i in range(steps)]


def block_with(count: int, strategies: Sequence[StrategySettings]) -> tuple[Engine, View]:
    """A block of a random market with so many opportunities, none of them new."""
    made = engine(
        keyframe(1, pools=14), [ThresholdStrategies(strategies, REALITY)], scanner=thorough
    )
    made.deciding = False
    rng = rng_of("benchmark")
    while len(made.scan.opportunities) < count or made.market.block.base_fee_per_gas > 20 * GWEI:
        update = random_block(made.market, rng, moved=3)
        made.step(replace(update, block=replace(update.block, seen_at=None)))
    offered = zip(made.scan.opportunities, made.scan.offered.tolist(), strict=True)
    found = [row for _, row in sorted(offered, key=lambda each: each[0].rate)]
    chosen = narrowed(made.scan, found[:: len(found) // count][:count])
    for column, every in (("day_trades", 3), ("consecutive_losses", 7)):
        made.ledger.column(column)[::every] = 5
    made.ledger.column("last_loss_block")[:] = made.market.block.number - 5
    return made, View(made.market, made.valuation, made.ledger, chosen, made.episodes, stale=False)


def deciding(
    name: str, strategies: Sequence[StrategySettings], goal: float | None = 40
) -> list[Row]:
    _, view = block_with(OPPORTUNITIES, strategies)
    columns, plain = ThresholdStrategies(strategies, REALITY), PlainLoop(strategies, REALITY.gas)
    expected = plain.decide(view)
    tally = SkipTally()
    decided = columns.decide(view, tally)
    assert list(decided.decisions) == expected.decisions
    counts = Counter((each.strategy, each.reason) for each in expected.skips)
    assert {(each.strategy, each.reason): each.times for each in tally.drain(0)} == counts
    by_reason = Counter(each.reason.value for each in expected.skips)
    print(f"  {len(decided.decisions)} decisions, {dict(by_reason)}")
    arrays = NumpyColumns(strategies, REALITY.gas)
    decisions, times = arrays.decide_all(view)
    assert decisions == expected.decisions
    assert times == Counter(each.reason for each in expected.skips)
    return [
        compare(
            name,
            lambda: columns.decide(view, tally),
            lambda: plain.decide(view),
            goal=goal,
            unit="us",
            repeat=20,
        ),
        compare(
            "  the same; numpy over the strategies",
            lambda: columns.decide(view, tally),
            lambda: arrays.decide_all(view),
            goal=None,
            unit="us",
            repeat=20,
        ),
    ]


class Played(NamedTuple):
    """Processor time of each block in seconds; resident memory in bytes; counts over all blocks."""

    seconds: list[float]
    memory: int
    decisions: int
    most_decisions: int
    opportunities: int


def play(count: int, deciding: int) -> Played:
    """The same random history with so many strategies, of which so many ever decide; every block
    moves three pools."""
    warm_up()
    warm_up_deciding()
    gap = count // deciding
    strategies = [
        each if place % gap == 0 else replace(each, min_profit_micro_usd=NEVER)
        for place, each in enumerate(grid(count, profits(-USD, 60 * USD, 40)))
    ]
    made = engine(
        keyframe(3, pools=5), [ThresholdStrategies(strategies, REALITY)], scanner=thorough
    )
    gc.enable()
    keep_for_good()  # as the trader does
    rng = rng_of("played")
    seconds, decisions, opportunities = [], [0], 0
    for _ in range(BLOCKS):
        update = random_block(made.market, rng, moved=3)
        start = time.process_time()
        found = made.step(update)
        seconds.append(time.process_time() - start)
        decisions.append(len(found.decisions))
        opportunities += len(found.opportunities)
        if made.seq % 100 == 0:
            for _skip in made.skips.drain(0):
                pass
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    memory = pages * resource.getpagesize()
    return Played(seconds, memory, sum(decisions), max(decisions), opportunities)


def playing(count: int, deciding: int | None = None) -> list[Row]:
    """In a process of its own, so that its memory is its own. deciding: not all."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        played = pool.submit(play, count, deciding or count).result()
    print(
        f"  {BLOCKS} blocks: {played.opportunities} opportunities, {played.decisions} decisions,"
        f" {played.most_decisions} in one"
    )
    ms = sorted(1e3 * each for each in played.seconds)
    name = f"a block of the engine, {count:,} strategies"
    name += f", {deciding:,} deciding" if deciding else ""
    middle, slow = ms[len(ms) // 2], ms[int(len(ms) * 0.99)]
    times, goal = slow / middle, 5.0 if deciding else None
    return [
        figure(f"{name}: median", middle, "ms"),
        figure(f"{name}: p99", slow, "ms"),
        figure(
            "  as a multiple of it",
            times,
            "x",
            goal=goal,
            met=None if goal is None else times < goal,
        ),
        figure(f"{name}: memory", played.memory / 2**20, "MiB"),
    ]


def rows() -> list[Row]:
    """10,000 strategies x 5 opportunities, where few and where many decide; what a block takes and
    what memory at 10 to 10,000 strategies."""
    few = grid(STRATEGIES, profits(34 * USD, 60 * USD, 40))
    many = grid(STRATEGIES, profits(-USD, 5 * USD, 40))
    return [
        *deciding("10,000 strategies x 5 opportunities", few),
        *deciding("10,000 strategies x 5 opportunities, many decide", many, goal=None),
        *(row for count in COUNTS for row in playing(count)),
        *playing(STRATEGIES, DECIDING),
    ]


if __name__ == "__main__":
    gc.disable()
    warm_up()
    warm_up_deciding()
    rows()
