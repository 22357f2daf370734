"""The search of a whole market, against a scan of all its cycles."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import islice
from statistics import median

import numpy as np

from benchmarks.baselines import every_cycle, full_scan
from benchmarks.harness import ROUNDS, Round, Row, compared, figure
from benchmarks.hub_market import HubMarket
from dexarb.core.pool import Pool, PoolKey
from dexarb.core.token import Address
from dexarb.search.cycles import CycleIndex
from dexarb.search.packed import Floats, Ints
from dexarb.search.rates import RateMirror
from dexarb.search.scan import Scanner
from dexarb.search.sizing import room_for, size_cycles
from tests.support.worlds.blocks import next_block

TOUCHED, OPENED = 40, 2
BLOCKS = 40
"""In each of the five rounds."""
REPEATS = 3
"""Where both sides take the mirror as given: the best of so many on each block, for either."""


def market_rows() -> list[Row]:
    hubs = HubMarket.of(2_000, 400)
    return [
        *against_full_scan(hubs),
        whole_update(hubs),
        four_hops(hubs),
        *growth(),
    ]


def seconds(action: Callable[[], object]) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


class Kernels:
    """Index, mirror and sizing without the bookkeeping in Python around them."""

    def __init__(self, hubs: HubMarket, max_hops: int) -> None:
        self.index = CycleIndex(hubs.start_tokens, max_hops)
        self.mirror = RateMirror(self.index.edges)
        self.room = room_for(1 << 17, 1 << 20)
        self.open: set[tuple[int, ...]] = set()
        for pool in hubs.pools:
            self.mirror.add(self.index.add(pool))
        edges, rates = self.read(hubs.pools)
        self.index.reprice(edges, rates)
        self.rates = np.zeros(len(edges))
        self.rates[edges] = rates

    def read(self, pools: Sequence[Pool]) -> tuple[Ints, Floats]:
        """To the end of each pool's liquidity, so that no walk has to stop for reading."""
        changed = {self.index.edges.slots[pool.key]: pool for pool in pools}
        edges, rates = self.mirror.read(changed)
        for edge in edges.tolist():
            while not self.mirror.segments.complete[edge]:
                self.mirror.read_on(edge)
        return edges, rates

    def search(self, edges: Ints, rates: Floats, slots: list[int]) -> Ints:
        """The open cycles through these pools, sized."""
        self.index.reprice(edges, rates)
        cycles, _ = self.index.find_open(slots)
        size_cycles(self.mirror.segments, cycles, self.room)
        return cycles

    def timed(self, pools: Sequence[Pool]) -> tuple[float, list[int], Ints]:
        """The best of three searches after these pools moved, each from the rates before."""
        edges, rates = self.read(pools)
        slots = [self.index.edges.slots[pool.key] for pool in pools]
        before = self.rates[edges]
        taken = []
        for _ in range(REPEATS):
            self.index.reprice(edges, before)
            start = time.perf_counter()
            cycles = self.search(edges, rates, slots)
            taken.append(time.perf_counter() - start)
        self.rates[edges] = rates
        return min(taken), slots, cycles

    def keep(self, slots: list[int], cycles: Ints) -> None:
        """The table of open cycles: those through touched pools are replaced."""
        touched = set(slots)
        self.open = {key for key in self.open if touched.isdisjoint(edge >> 1 for edge in key)}
        self.open |= {cycle_key(row) for row in cycles.tolist()}


def cycle_key(edges: Sequence[int]) -> tuple[int, ...]:
    return tuple(sorted(edge for edge in edges if edge >= 0))


def against_full_scan(hubs: HubMarket) -> list[Row]:
    """Both sides take the mirror of the pools as given and give open cycles with their sizes."""
    ours = Kernels(hubs, 3)
    cycles = every_cycle(hubs.pools, hubs.start_tokens)
    first = np.array([segment[:2] for pool in hubs.pools for segment in pool.first_segments()])
    sizes = np.zeros(len(cycles))
    blocks = hubs.blocks(TOUCHED, OPENED)
    equal, counts = True, []
    rounds: list[Round] = []
    for _ in range(ROUNDS):
        mine: list[float] = []
        others: list[float] = []
        for pools in islice(blocks, BLOCKS):
            taken, slots, found = ours.timed(pools)
            mine.append(taken)
            for slot, pool in zip(slots, pools, strict=True):
                first[2 * slot : 2 * slot + 2] = [each[:2] for each in pool.first_segments()]
            others.append(
                min(seconds(lambda: full_scan(cycles, first, sizes)) for _ in range(REPEATS))
            )
            ours.keep(slots, found)
            expected = {cycle_key(row) for row in cycles[sizes > 0.0].tolist()}
            equal = equal and ours.open == expected
            counts.append(len(expected))
        rounds.append((mine, others))
    name = f"2,000 pools, 400 tokens, 40 touched, 2-3 hops; full scan of {len(cycles):,} cycles"
    return [
        compared(name + ", mirror given", rounds, goal=20),
        figure(
            f"  blocks in which the open cycles are the full scan's (max {max(counts):,})",
            sum(map(bool, counts)) if equal else 0, "blocks", goal=1, met=equal and any(counts),
        ),
    ]  # fmt: skip


def whole_update(hubs: HubMarket) -> Row:
    """From touched pools to the table of open cycles; both sides read the pools."""
    market = hubs.market()
    ours = scanner(hubs, 3)
    cycles = every_cycle(hubs.pools, hubs.start_tokens)
    slot = {pool.key: number for number, pool in enumerate(hubs.pools)}
    first = np.array([segment[:2] for pool in hubs.pools for segment in pool.first_segments()])
    sizes = np.zeros(len(cycles))
    blocks = hubs.blocks(TOUCHED, OPENED)

    def scan_all(touched: frozenset[PoolKey]) -> object:
        for name in touched:
            sold0, sold1 = market.pools[name].first_segments()
            first[2 * slot[name]], first[2 * slot[name] + 1] = sold0[:2], sold1[:2]
        full_scan(cycles, first, sizes)
        return cycles[np.nonzero(sizes)]

    rounds: list[Round] = []
    for _ in range(ROUNDS):
        mine: list[float] = []
        others: list[float] = []
        for pools in islice(blocks, BLOCKS):
            touched = market.apply(next_block(market, pools))
            start = time.perf_counter()
            ours.update(market, touched).offers()
            mine.append(time.perf_counter() - start)
            start = time.perf_counter()
            scan_all(touched)
            others.append(time.perf_counter() - start)
        rounds.append((mine, others))
    return compared("  the same, pools read on both sides, table of cycles kept", rounds, goal=None)


def scanner(hubs: HubMarket, max_hops: int) -> Scanner:
    """The search alone: no integer work."""
    return Scanner(
        hubs.market(),
        start_tokens=hubs.start_tokens,
        gas_units=lambda _: 0,
        max_hops=max_hops,
        min_gross=lambda _: 2**200,
    )


def four_hops(hubs: HubMarket) -> Row:
    """The same blocks with three and with four hops, mirror given."""
    three, four = Kernels(hubs, 3), Kernels(hubs, 4)
    blocks = hubs.blocks(TOUCHED, OPENED)
    times: dict[int, list[float]] = {3: [], 4: []}
    found: dict[int, list[int]] = {3: [], 4: []}
    for _ in range(ROUNDS):
        taken: dict[int, list[float]] = {3: [], 4: []}
        for pools in islice(blocks, BLOCKS):
            for hops, kernels in ((3, three), (4, four)):
                seconds_taken, _, cycles = kernels.timed(pools)
                taken[hops].append(seconds_taken)
                found[hops].append(len(cycles))
        for hops, several in taken.items():
            times[hops].append(median(several))
    slower = min(times[4]) / min(times[3])
    cycles_found = f"{median(found[4]):,.0f} cycles a block, without {median(found[3]):,.0f}"
    return figure(
        f"4 hops added: times slower, mirror given ({cycles_found})",
        slower, "x", goal=5, met=slower <= 5,
    )  # fmt: skip


def growth() -> list[Row]:
    """Cost and cycles of a touched pool as the market grows."""
    rows: list[Row] = []
    costs: list[float] = []
    through: list[float] = []
    sizes = ((250, 50), (1_000, 200), (4_000, 800), (16_000, 3_200))
    for pools, tokens in sizes:
        hubs = HubMarket.of(pools, tokens)
        market, ours = hubs.market(), scanner(hubs, 3)
        rounds = []
        blocks = hubs.blocks(TOUCHED, 0)
        for _ in range(ROUNDS):
            taken = []
            for moved in islice(blocks, BLOCKS // 2):
                touched = market.apply(next_block(market, moved))
                start = time.perf_counter()
                ours.update(market, touched).offers()
                taken.append(time.perf_counter() - start)
            rounds.append(median(taken))
        costs.append(min(rounds) / TOUCHED * 1e6)
        through.append(cycles_through(hubs))
        rows.append(figure(f"{pools:,} pools: cost of a touched pool", costs[-1], "us"))
        rows.append(figure(f"{pools:,} pools: 2-3 hop cycles through it", through[-1], "cycles"))
    cost, cycles = costs[-1] / costs[0], through[-1] / through[0]
    rows.append(
        figure(
            f"growth from 250 to 16,000 pools: cost (cycles grow {cycles:.2f}x)",
            cost, "x", goal=cycles, met=cost <= cycles,
        )
    )  # fmt: skip
    return rows


def cycles_through(hubs: HubMarket) -> float:
    """Two- and three-pool cycles that a pool is in, on average, counted and not listed."""
    starts = set(hubs.start_tokens)
    between = Counter(frozenset(pool.tokens) for pool in hubs.pools)
    neighbours: dict[Address, set[Address]] = {}
    for pair in between:
        one, other = pair
        neighbours.setdefault(one, set()).add(other)
        neighbours.setdefault(other, set()).add(one)
    total = 0
    for pair, parallel in between.items():
        one, other = pair
        if pair & starts:
            total += parallel * 2 * (parallel - 1)
        for third in neighbours[one] & neighbours[other]:
            if (pair | {third}) & starts:
                ways = between[frozenset((one, third))] * between[frozenset((third, other))]
                total += parallel * 2 * ways
    return total / len(hubs.pools)
