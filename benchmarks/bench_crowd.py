"""A block in a crowd of dead pools costs what it touches, not what lies around.

Processor time: no side waits for anything.
"""

from __future__ import annotations

import gc
import time
import tracemalloc
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import count, islice
from math import inf
from multiprocessing import get_context
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np

from benchmarks.arbitraged import Arbitraged
from benchmarks.crowd import Crowd, engine, turns
from benchmarks.harness import ROUNDS, Round, Row, compared, figure
from benchmarks.hub_market import HubMarket
from dexarb.core.block import BlockUpdate
from dexarb.core.market import Market
from dexarb.core.pool import Pool
from dexarb.search.edges import EdgeTable
from dexarb.search.rates import RateMirror
from dexarb.search.scan import Scanner
from dexarb.store.codec import decode, encode_block
from dexarb.study.searching import MAX_HOPS, scanner_of
from dexarb.study.warm_up import warm_up
from dexarb.trading.decide.triage import NOBODY
from dexarb.trading.engine import Engine
from dexarb.trading.models.reality import REALITY
from tests.support.worlds.blocks import next_block

BLOCKS = 12
TOUCHED = 40


def rows() -> list[Row]:
    return [*one_touched(), many_touched(), *whole_blocks(), *first_scan(), episodes()]


def both(pools: int, tokens: int) -> tuple[Crowd, list[Engine]]:
    """A crowd that is off, with an engine, and one for the same pools where nothing is."""
    crowd = Crowd.of(pools, tokens)
    return crowd, [engine(crowd), engine(Crowd.of(pools, tokens, off=0.0))]


def step(engines: Sequence[Engine], updates: Sequence[BlockUpdate]) -> tuple[float, float]:
    """Seconds of each engine."""
    taken = []
    for each, update in zip(engines, updates, strict=True):
        start = time.process_time()
        each.step(update)
        taken.append(time.process_time() - start)
    return taken[0], taken[1]


def sides(measured: Iterable[tuple[float, float]]) -> Round:
    ours, others = zip(*measured, strict=True)
    return ours, others


def one_touched() -> list[Row]:
    """Every pool moves once, alone."""
    crowd, engines = both(95, 20)
    rounds = []
    for _ in range(ROUNDS + 1):
        blocks = turns(engines, ([key] for key in crowd.keys))
        rounds.append([step(engines, updates) for updates in blocks])
    rounds = rounds[1:]  # The first finds out what is dust.
    worst = max(zip(*rounds, strict=True), key=lambda each: median(ours for ours, _ in each))
    name = f"a block that touches one of {len(crowd.keys)} pools, each in turn; {opened(engines)}"
    return [
        compared(name, map(sides, rounds), goal=None, unit="ms"),
        compared(
            "  the pool that takes longest", (sides([each]) for each in worst), goal=1 / 20,
            unit="ms",
        ),
    ]  # fmt: skip


def opened(engines: Sequence[Engine]) -> str:
    crowded, calm = (len(each.scan.table) for each in engines)
    return f"{crowded:,} open cycles against {calm:,}"


def many_touched() -> Row:
    crowd, engines = both(420, 800)
    rng = np.random.default_rng(2)
    chosen = (rng.choice(len(crowd.keys), TOUCHED, replace=False) for _ in count())
    blocks = turns(engines, ([crowd.keys[n] for n in each] for each in chosen))
    step(engines, next(blocks))
    rounds = [
        sides(step(engines, updates) for updates in islice(blocks, BLOCKS)) for _ in range(ROUNDS)
    ]
    pools = len(crowd.keys)
    name = f"a block that touches {TOUCHED} of {pools:,} pools; {opened(engines)}"
    return compared(name, rounds, goal=1 / 5, unit="ms")


def whole_blocks() -> list[Row]:
    """60 logs in 2,000 pools with the hops of the product, where from 5 dollars on all is made
    exact: how far the slow blocks are from the middle.

    Where nobody takes what opens, one pool in a thousand can open a hundred thousand cycles, and
    thousands of them pay 5 dollars to whoever comes; no chain leaves that lying about.
    """
    hubs, alone = HubMarket.of(2_000, 400), HubMarket.of(2_000, 400)
    name = "a whole block, 2,000 pools, 60 logs, 4 hops"
    return [
        *from_the_middle(
            f"{name}, arbitrageurs take what earns 10 dollars", hubs,
            Arbitraged(hubs, 10.0).blocks(60, 4),
        ),
        *from_the_middle(f"{name}, nobody takes anything", alone, alone.blocks(60, 4)),
    ]  # fmt: skip


def from_the_middle(name: str, hubs: HubMarket, blocks: Iterator[list[Pool]]) -> list[Row]:
    market, checks = hubs.market(), REALITY.gas
    value = {token: hubs.values[token] for token in hubs.start_tokens}
    search = Scanner(
        market,
        start_tokens=hubs.start_tokens,
        gas_units=checks.units,
        max_hops=MAX_HOPS,
        min_gross=lambda token: int(5.0 / value[token]),
        dust=lambda token: 0.002 / value[token],
    )
    taken, offered = [], []
    for pools in islice(blocks, 500):
        line = encode_block(next_block(market, pools))
        start = time.process_time()
        entry = decode(line, "benchmark")
        assert isinstance(entry, BlockUpdate)
        search.update(market, market.apply(entry)).offers()
        taken.append(time.process_time() - start)
        offered.append(len(search.scan.opportunities))
    print(f"  made exact: {sum(offered):,} in 500 blocks, {max(offered):,} in one")
    ms = sorted(1e3 * each for each in taken)
    middle, slow = ms[len(ms) // 2], ms[int(len(ms) * 0.99)]
    return [
        figure(f"{name}: median", middle, "ms"),
        figure(f"  p99 as a multiple of it ({slow:.1f} ms)", slow / middle, "x", goal=10,
               met=slow <= 10 * middle),
    ]  # fmt: skip


class FirstScan(NamedTuple):
    """Seconds; memory in MiB, the most that the process ever had."""

    scan: float
    reading: float
    pools: int
    open_cycles: int
    memory: float


def scanned_first(dead: int, tokens: int) -> FirstScan:
    """The first scan of a market, and the reading of its pools alone."""
    warm_up()
    keyframe = Crowd.of(dead, tokens).keyframe
    market = Market(keyframe)
    start = time.process_time()
    made = scanner_of(market, REALITY.gas, min_gross=lambda _: NOBODY, dust=lambda _: inf)
    made.scan.offers()
    scan = time.process_time() - start
    start = time.process_time()
    edges = EdgeTable()
    mirror = RateMirror(edges)
    slots = {edges.add(pool): pool for pool in keyframe.pools}
    for slot in slots:
        mirror.add(slot)
    mirror.read(slots)
    reading = time.process_time() - start
    return FirstScan(scan, reading, len(keyframe.pools), len(made.scan.table), most_memory())


def most_memory() -> float:
    """That this process ever had, in MiB. (getrusage tells the parent's, if that was more.)"""
    told = Path("/proc/self/status").read_text()
    return int(told.split("VmHWM:")[1].split()[0]) / 2**10


def first_scan() -> list[Row]:
    """In a process of its own, so that its memory is its own."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        every = [process.submit(scanned_first, 1_000, 4_500).result() for _ in range(ROUNDS)]
    found = every[0]
    name = f"first scan, {found.pools:,} pools, 4 hops, {found.open_cycles:,} open cycles"
    rounds: list[Round] = [([each.scan], [each.reading]) for each in every]
    return [
        compared(f"{name}; reading the pools alone", rounds, goal=None, unit="ms"),
        figure("  memory of the process", found.memory, "MiB", goal=600, met=found.memory < 600),
    ]


def episodes() -> Row:
    """What they take after more blocks than can be taken back."""
    crowd = Crowd.of(420, 800)
    tracemalloc.start()
    running = engine(crowd)
    rng = np.random.default_rng(2)
    chosen = (rng.choice(len(crowd.keys), TOUCHED, replace=False) for _ in range(130))
    for (update,) in turns([running], ([crowd.keys[n] for n in each] for each in chosen)):
        running.step(update)
    files = [tracemalloc.Filter(True, f"*/{name}.py") for name in ("episodes", "route_map")]
    taken = tracemalloc.take_snapshot().filter_traces(files).statistics("filename")
    tracemalloc.stop()
    mib = sum(each.size for each in taken) / 2**20
    name = f"episodes and the rows of {len(running.episodes):,} open cycles, 130 blocks"
    return figure(name, mib, "MiB", goal=20, met=mib < 20)


if __name__ == "__main__":
    gc.disable()
    warm_up()
    rows()
