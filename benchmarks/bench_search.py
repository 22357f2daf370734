"""The search against what a user could write instead."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

import numpy as np
from scipy.optimize import minimize_scalar

from benchmarks.baselines import (
    brent_max,
    compiled_profit,
    every_cycle,
    exact_profit,
    full_scan,
)
from benchmarks.harness import Row, compare, figure, os_load, report
from benchmarks.hub_market import HubMarket, address, block_of, v3_pool
from dexarb.amm.uniswap_v2 import UniswapV2Pool
from dexarb.core.block import BlockUpdate
from dexarb.core.market import Market
from dexarb.core.pool import Pool
from dexarb.core.route import Cycle, Hop
from dexarb.core.token import Address
from dexarb.search.packed import Ints
from dexarb.search.polish import polish
from dexarb.search.rates import RateMirror
from dexarb.search.scan import Scanner, warm_up
from dexarb.search.sizing import Segments, Sizes, room_for, size_cycles
from dexarb.store.codec import decode, encode_block
from dexarb.trading.costs import GasModel
from oracles.simple import SimpleScanner

A, B = address(0xAA, 1), address(0xAA, 2)
TOUCHED = 40


def rows() -> list[Row]:
    warm_up()
    return [*sizing(), *scanning(), *whole_block(), *growth()]


# -- one cycle -----------------------------------------------------------------------------------


def v2(number: int, price: float) -> UniswapV2Pool:
    root = 10**21
    return UniswapV2Pool(
        address=address(2, number), token0=A, token1=B,
        reserve0=int(root / price**0.5), reserve1=int(root * price**0.5),
    )  # fmt: skip


def two_pools(first: Pool, second: Pool) -> tuple[Cycle, dict[Address, Pool], RateMirror, Ints]:
    """Sell A into the first pool, buy it back in the second."""
    mirror = RateMirror()
    for slot, pool in enumerate((first, second)):
        mirror.add(slot)
        mirror.read({slot: pool})
    for edge in (0, 3):
        while not mirror.segments.complete[edge]:
            mirror.read_on(edge)
    cycle = Cycle((Hop(first.address, A, B), Hop(second.address, B, A)))
    pools: dict[Address, Pool] = {first.address: first, second.address: second}
    return cycle, pools, mirror, np.array([[0, 3, -1, -1]], dtype=np.int64)


def ticks(price: float, number: int, count: int) -> Pool:
    """A V3 pool whose liquidity changes at each of `count` ticks on both sides."""
    positions = [(-n, n + 1, 10**20) for n in range(1, count + 1)]
    return v3_pool(address(3, number), (A, B), 500, price, positions)


def sizing() -> list[Row]:
    many = 200
    cycle, pools, mirror, edges = two_pools(v2(1, 1.02), v2(2, 1.0))
    copies = np.repeat(edges, many, axis=0)
    room = room_for(many, 4096)
    profit = exact_profit(cycle, pools)
    found = [
        compare(
            "V2/V2 optimum, float",
            lambda: size_cycles(mirror.segments, copies, room),
            lambda: brent_max(profit, 1.0, 2e20),
            goal=10_000, unit="us", each=many, repeat=200,
        ),
        compare(
            "V2/V2 optimum with integer polish",
            lambda: sized_exactly(mirror, edges, room, cycle, pools),
            lambda: brent_max(profit, 1.0, 2e20),
            goal=20, repeat=200,
        ),
    ]  # fmt: skip
    for count, goal in ((20, 500.0), (41, None)):
        cycle, pools, mirror, edges = two_pools(
            ticks(1.0 + 0.0011 * count, 1, count + 30), ticks(1.0, 2, count + 30)
        )
        copies = np.repeat(edges, many, axis=0)
        segments = mirror.segments
        one = edges[0]
        size_cycles(segments, copies, room_for(many, 100_000))
        room = room_for(many, 100_000)
        size_cycles(segments, copies, room)
        best, gain = float(room.amount_in[0]), float(room.profit[0])
        crossed = int(room.number[0]) - 1

        def objective(x: float, s: Segments = segments, e: Ints = one) -> float:
            return -float(compiled_profit(x, s.rows, s.data, e))

        def ours(c: Ints = copies, r: Sizes = room, s: Segments = segments) -> None:
            size_cycles(s, c, r)

        def scipys(b: float = best, o: Callable[[float], float] = objective) -> object:
            bounds, options = (0.0, 4 * b), {"xatol": b * 1e-9}
            return minimize_scalar(o, bounds=bounds, method="bounded", options=options)

        if goal is not None:
            name = f"V3/V3 optimum, float, {crossed} ticks crossed"
            found.append(compare(name, ours, scipys, goal=goal, each=many, repeat=50))
            continue
        true = exact_profit(cycle, pools)
        wide = max(true(brent_max(true, best * low, best * high)) for low, high in SPANS)
        share = gain / wide
        name = f"V3/V3 at {crossed} ticks crossed: share of the profit found"
        found.append(figure(name, share, "", goal=1.0, met=share > 1 - 1e-9))
    return found


SPANS = ((0.1, 0.9), (0.9, 1.1), (0.99, 1.01), (0.5, 2.0), (0.9999, 1.0001))


def sized_exactly(
    mirror: RateMirror, edges: Ints, room: Sizes, cycle: Cycle, pools: dict[Address, Pool]
) -> object:
    size_cycles(mirror.segments, edges, room)
    return polish(cycle, float(room.amount_in[0]), float(room.profit[0]), pools)


# -- a market ------------------------------------------------------------------------------------


def scanner(market: Market, hubs: HubMarket, max_hops: int) -> Scanner:
    return Scanner(
        market,
        start_tokens=hubs.start_tokens,
        gas_units=GasModel().units,
        max_hops=max_hops,
        # The search alone: no integer work.
        min_gross=lambda _: 2**200,
    )


def moves(hubs: HubMarket, market: Market, blocks: int, fees: float = 0.15) -> list[list[Pool]]:
    """Pools touched block by block, their new states around fair prices."""
    pools = list(market.pools.values())
    rng = np.random.default_rng(7)
    return [
        [hubs.moved(pools[int(n)], fees) for n in rng.choice(len(pools), TOUCHED, replace=False)]
        for _ in range(blocks)
    ]


def scan_times(size: int, tokens: int, max_hops: int, blocks: int = 60) -> tuple[list[float], int]:
    """Seconds of each block's search, and the open cycles at the end."""
    hubs = HubMarket.of(size, tokens)
    market = hubs.market()
    made = scanner(market, hubs, max_hops)
    taken = []
    for pools in moves(hubs, market, blocks):
        touched = market.apply(block_of(market, pools))
        start = time.perf_counter()
        scan = made.update(market, touched)
        taken.append(time.perf_counter() - start)
    return taken[5:], len(scan.open_cycles)


def scanning() -> list[Row]:
    hubs = HubMarket.of(2_000, 400)
    market = hubs.market()
    made = scanner(market, hubs, 3)
    plan = iter(moves(hubs, market, 1_000))
    pools = list(market.pools.values())
    slot = {pool.address: number for number, pool in enumerate(pools)}
    cycles = every_cycle(pools, hubs.start_tokens)
    first = np.array(
        [next(iter(pool.segments(t)))[:2] for pool in pools for t in pool.tokens], dtype=np.float64
    )
    sizes = np.zeros(len(cycles))
    state = {"touched": frozenset[Address]()}

    def next_block() -> None:
        state["touched"] = market.apply(block_of(market, next(plan)))
        for name in state["touched"]:
            pool = market.pools[name]
            for side, token in enumerate(pool.tokens):
                first[2 * slot[pool.address] + side] = next(iter(pool.segments(token)))[:2]

    def ours() -> int:
        return len(made.update(market, state["touched"]).open_cycles)

    taken: list[float] = []
    others: list[float] = []
    equal = True
    for _ in range(60):
        next_block()
        start = time.perf_counter()
        open_now = ours()
        taken.append(time.perf_counter() - start)
        start = time.perf_counter()
        in_full = full_scan(cycles, first, sizes)
        others.append(time.perf_counter() - start)
        equal = equal and open_now == in_full
    ratio_row = _row_of(
        f"2,000 pools, 400 tokens, 40 touched, 2-3 hops ({len(cycles):,} cycles)",
        taken, others, goal=20,
    )  # fmt: skip
    same = figure("  as many open cycles as the full scan", float(equal), "", goal=1, met=equal)
    medians: dict[int, list[float]] = {3: [], 4: []}
    for max_hops in (3, 4) * 3:
        times, _ = scan_times(2_000, 400, max_hops)
        medians[max_hops].append(float(np.median(times)))
    slower = min(medians[4]) / min(medians[3])
    four = figure("4 hops added: times slower", slower, "x", goal=5, met=slower <= 5)
    return [ratio_row, same, four]


def _row_of(name: str, ours: Sequence[float], others: Sequence[float], *, goal: float) -> Row:
    """From measurements that were already made in turn."""
    mine = sorted(ours)
    ratio = sorted(others)[len(others) // 2] / mine[len(mine) // 2]
    return report(
        Row(
            name, mine[0] * 1e6, "us",
            mine[len(mine) // 2] * 1e6, mine[int(len(mine) * 0.99)] * 1e6,
            min(others) * 1e6, ratio, goal, ratio >= goal, os_load(),
        )
    )  # fmt: skip


def whole_block() -> list[Row]:
    """Decode, update, mirror, search, integers; against the simple search on the same block."""
    hubs = HubMarket.of(300, 60)
    fast_market, slow_market = hubs.market(), hubs.market()
    starts = hubs.start_tokens
    gas = GasModel().units
    fast = Scanner(fast_market, start_tokens=starts, gas_units=gas, max_hops=2)
    slow = SimpleScanner(slow_market, start_tokens=starts, gas_units=gas)
    taken: list[float] = []
    others: list[float] = []
    for pools in moves(hubs, fast_market, 25, fees=0.5):
        line = encode_block(block_of(fast_market, pools))
        for market, search, times in ((fast_market, fast, taken), (slow_market, slow, others)):
            start = time.perf_counter()
            entry = decode(line, "benchmark")
            assert isinstance(entry, BlockUpdate)
            search.update(market, market.apply(entry))
            times.append(time.perf_counter() - start)
    return [_row_of("whole block, 300 pools, 40 logs, 2 hops", taken, others, goal=10)]


def growth() -> list[Row]:
    """Microseconds a touched pool, as the market grows."""
    found = []
    for size, tokens in ((250, 50), (1_000, 200), (4_000, 800), (16_000, 3_200)):
        taken, _ = scan_times(size, tokens, 3, blocks=40)
        each = float(np.median(taken)) / TOUCHED * 1e6
        found.append(figure(f"{size:,} pools: a touched pool", each, "us", goal=None, met=None))
    return found
