"""The best size of one cycle, against optimisers that a user could take instead."""

from __future__ import annotations

from itertools import count
from math import isclose, sqrt
from typing import NamedTuple

import numpy as np
from scipy.optimize import minimize_scalar

from benchmarks.baselines import brent_max, compiled_profit, exact_profit, v2_formula
from benchmarks.harness import Row, compare, figure
from dexarb.amm.uniswap_v2 import UniswapV2Pool
from dexarb.core.pool import Pool, PoolKey
from dexarb.core.route import Cycle, Hop
from dexarb.core.token import Address
from dexarb.search.edges import EdgeTable
from dexarb.search.packed import Ints
from dexarb.search.polish import Sized, polish
from dexarb.search.rates import RateMirror
from dexarb.search.sizing import IN_TO, Sizes, room_for, size_cycles
from tests.oracles.simple import best_amount_in
from tests.support.worlds.blocks import market_of
from tests.support.worlds.pools import address, token, v3

USDC, WETH = token(1), token(2)
"""With 6 and 18 decimals: amounts of USDC are the coarse ones."""
MANY, SOME, FEW = 3_000, 100, 10
"""Cycles sized in one call: so many that all calls take tens of microseconds, ours and theirs."""


class Case(NamedTuple):
    """A cycle of two pools, mirrored to the end of their liquidity. edges: `many` times itself."""

    cycle: Cycle
    pools: dict[PoolKey, Pool]
    mirror: RateMirror
    edges: Ints

    @classmethod
    def of(cls, first: Pool, second: Pool, start: Address, many: int) -> Case:
        """Sell the start token into the first pool, buy it back in the second."""
        table = EdgeTable()
        mirror = RateMirror(table)
        for pool in (first, second):
            slot = table.add(pool)
            mirror.add(slot)
            mirror.read({slot: pool})
        side = first.tokens.index(start)
        edges = (side, 3 - side)
        for edge in edges:
            while not mirror.segments.complete[edge]:
                mirror.read_on(edge)
        other = first.tokens[1 - side]
        cycle = Cycle((Hop(first.key, start, other), Hop(second.key, other, start)))
        rows = np.repeat(np.array([[*edges, -1, -1]], dtype=np.int64), many, axis=0)
        return cls(cycle, {first.key: first, second.key: second}, mirror, rows)

    def size(self, room: Sizes) -> None:
        size_cycles(self.mirror.segments, self.edges, room)

    def sized(self) -> Sizes:
        """With room for all pieces."""
        room = room_for(len(self.edges), 100 * len(self.edges))
        self.size(room)
        assert room.used[0] <= len(room.pieces)
        assert room.missing[0] < 0
        return room

    def polished(self, room: Sizes) -> list[Sized | None]:
        """All of them sized and exact."""
        self.size(room)
        sizes = zip(room.amount_in.tolist(), room.profit.tolist(), strict=True)
        return [polish(self.cycle, amount, profit, self.pools) for amount, profit in sizes]


def sizing_rows() -> list[Row]:
    return [*v2_rows(), *v3_rows()]


def v2(number: int, usdc_per_weth: float) -> UniswapV2Pool:
    """With about 4 million USDC on either side."""
    root = sqrt(usdc_per_weth)
    return UniswapV2Pool(
        address=address(2, number), token0=USDC, token1=WETH,
        reserve0=round(root * 8e10), reserve1=round(8e22 / root),
    )  # fmt: skip


def v2_rows() -> list[Row]:
    dear, cheap = v2(1, 2550.0), v2(2, 2500.0)
    rows = []
    for start, pools, name in (
        (USDC, (cheap, dear), "USDC-WETH-USDC"),
        (WETH, (dear, cheap), "WETH-USDC-WETH"),
    ):
        case, batch = Case.of(*pools, start, many=FEW), Case.of(*pools, start, many=MANY)
        room, much_room = case.sized(), batch.sized()
        most = 0.2 * (cheap.reserve0 if start == USDC else dear.reserve1)
        profit = exact_profit(case.cycle, case.pools)
        by_brent = profit(brent_max(profit, 1.0, most))
        exact = case.polished(room)[0]
        assert exact is not None
        assert exact.profit >= by_brent * (1 - 1e-6)
        assert isclose(by_brent, room.profit[0], rel_tol=1e-6)
        if start == USDC:
            rows.append(
                compare(
                    "V2/V2 optimum, float; pure-Python Brent on the exact swap",
                    lambda c=batch, r=much_room: c.size(r),  # type: ignore[misc]
                    lambda p=profit, m=most: brent_max(p, 1.0, m),  # type: ignore[misc]
                    goal=10_000, each=MANY, repeat=200, repeat_baseline=50,
                )
            )  # fmt: skip
            formula = v2_formula((cheap.reserve0, cheap.reserve1), (dear.reserve1, dear.reserve0))
            rows.append(
                compare(
                    "  the same; Brent on the V2 formula written out for two pairs",
                    lambda c=batch, r=much_room: c.size(r),  # type: ignore[misc]
                    lambda p=formula, m=most: brent_max(p, 1.0, m),  # type: ignore[misc]
                    goal=None, each=MANY, repeat=200, repeat_baseline=50,
                )
            )  # fmt: skip
        rows.append(
            compare(
                f"V2/V2 optimum with integer polish, {name}; the same Brent",
                lambda c=case, r=room: c.polished(r),  # type: ignore[misc]
                lambda p=profit, m=most: brent_max(p, 1.0, m),  # type: ignore[misc]
                goal=20, each=FEW, repeat=100, repeat_baseline=50,
            )
        )  # fmt: skip
    return rows


def ticked(price: float, number: int) -> Pool:
    """A V3 pool with another liquidity in each of 160 ranges, spread by a factor of about 2.5."""
    rng = np.random.default_rng(number)
    spread = 10.0 ** rng.normal(0.0, 0.4, 160)
    positions = [(n - 80, n - 79, int(1e20 * spread[n])) for n in range(160)]
    return v3(number, (USDC, WETH), price, positions, 500)


def crossing(wanted: int, seed: int, many: int) -> Case:
    """Two V3 pools just so far apart that the best size crosses this many ticks of the two."""
    for step in count(1):
        case = Case.of(ticked(1.0 + 1e-4 * step, 2 * seed), ticked(1.0, 2 * seed + 1), USDC, many)
        if case.sized().number[0] - 1 == wanted:
            return case
    raise AssertionError


def by_scipy(case: Case) -> float:
    """scipy's bounded Brent as it comes, up to all that the first pool takes."""
    segments, edges = case.mirror.segments, case.edges[0]
    first, number = segments.rows[edges[0]]
    most = float(segments.data[first + number - 1, IN_TO])

    def loss(x: float) -> float:
        return -float(compiled_profit(x, segments.rows, segments.data, edges))

    return -float(minimize_scalar(loss, bounds=(0.0, most), method="bounded").fun)


def v3_rows() -> list[Row]:
    cases = [(case, case.sized()) for case in (crossing(20, seed, SOME) for seed in range(8))]

    def ours() -> None:
        for case, room in cases:
            case.size(room)

    def scipys() -> None:
        for case, _ in cases:
            by_scipy(case)

    for case, room in cases:
        assert isclose(by_scipy(case), room.profit[0], rel_tol=1e-9)
    rows = [
        compare(
            "V3/V3 optimum, float, 20 ticks crossed; scipy's Brent, compiled objective",
            ours, scipys, goal=500, each=SOME * len(cases), repeat=50,
            baseline_each=len(cases), repeat_baseline=20,
        )
    ]  # fmt: skip
    case = crossing(41, 0, 1)
    exact = case.polished(case.sized())[0]
    assert exact is not None
    best = best_amount_in(case.cycle, market_of(case.pools.values()))
    assert best is not None
    most_profit = exact_profit(case.cycle, case.pools)(best)
    share = exact.profit / most_profit
    rows.append(
        figure(
            "V3/V3, 41 ticks crossed: exact profit as a share of the true optimum",
            share, "", goal=1.0, met=share >= 1.0 - 1e-9,
        )
    )  # fmt: skip
    return rows
