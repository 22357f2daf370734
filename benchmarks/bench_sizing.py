"""The best size of one cycle, against optimisers that a user could take instead."""

from __future__ import annotations

from functools import partial
from itertools import count
from math import isclose, sqrt
from typing import NamedTuple

import numpy as np

from benchmarks.baselines import (
    compiled_brent,
    compiled_profit,
    exact_profit,
    v2_best,
    v2_best_of_all,
    v2_profit,
)
from benchmarks.harness import Row, compare, figure
from dexarb.amm.limb_route import States
from dexarb.amm.uniswap_v2 import UniswapV2Pool
from dexarb.core.pool import Pool, PoolKey
from dexarb.core.route import Cycle, Hop
from dexarb.core.token import Address
from dexarb.search.edges import EdgeTable
from dexarb.search.packed import Ints
from dexarb.search.polish import Sized, polish
from dexarb.search.polish_rows import Made, Route, polish_rows, room_for_rows
from dexarb.search.pool_states import PoolStates
from dexarb.search.rates import RateMirror
from dexarb.search.sizing import IN_TO, Sizes, room_for, size_cycles
from tests.oracles.simple import best_amount_in
from tests.support.worlds.blocks import market_of
from tests.support.worlds.pools import address, token, v3

USDC, WETH = token(1), token(2)
"""With 6 and 18 decimals: amounts of USDC are the coarse ones."""
MANY, SOME = 3_000, 100
"""Cycles sized in one call: so many that all calls take tens of microseconds, ours and theirs."""


class Case(NamedTuple):
    """A cycle of two pools, mirrored to the end of their liquidity. edges: `many` times itself.
    states, route: the same with integers."""

    cycle: Cycle
    pools: dict[PoolKey, Pool]
    mirror: RateMirror
    edges: Ints
    states: States
    route: Route

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
        pools = {first.key: first, second.key: second}
        states = PoolStates(table).of(range(2), pools)
        route = Route(np.where(rows < 0, -1, rows // 2), rows % 2 == 0)
        return cls(cycle, pools, mirror, rows, states, route)

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
        """All of them sized, and exact one by one."""
        self.size(room)
        sizes = zip(room.amount_in.tolist(), room.profit.tolist(), strict=True)
        return [polish(self.cycle, amount, profit, self.pools) for amount, profit in sizes]

    def polished_at_once(self, room: Sizes) -> Made:
        """The same, exact in one call."""
        self.size(room)
        made = room_for_rows(len(self.edges))
        no_worth = np.zeros(len(self.edges))
        polish_rows(self.states, self.route, room.amount_in, room.profit, no_worth, made)
        return made


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
        first, second = ((pool.reserve0, pool.reserve1) for pool in pools)
        first, second = (first, second[::-1]) if start == USDC else (first[::-1], second)
        one, batch = (Case.of(*pools, start, many=many) for many in (1, MANY))
        room, much_room = one.sized(), batch.sized()
        best = v2_best(first, second)
        exact = one.polished(room)[0]
        assert exact is not None
        assert exact.profit >= v2_profit(first, second, round(best)) * (1 - 1e-6)
        assert isclose(best, room.amount_in[0], rel_tol=1e-9)
        by_formula = partial(v2_best, first, second)
        together = np.repeat(np.array([[*first, *second]], dtype=np.float64), MANY, axis=0)
        if start == USDC:
            rows += [
                compare(
                    "V2/V2 optimum, float, one; the closed form in Python",
                    partial(one.size, room), by_formula,
                    goal=None, repeat=2000, repeat_baseline=2000,
                ),
                compare(
                    f"  {MANY:,} in one call, with their curves; the closed form in numpy",
                    partial(batch.size, much_room), partial(v2_best_of_all, together),
                    goal=None, each=MANY, baseline_each=MANY, repeat=200, repeat_baseline=200,
                ),
            ]  # fmt: skip
        rows.append(
            compare(
                f"V2/V2 optimum in integers, {name}; the closed form, its integers written out",
                partial(one.polished, room),
                lambda f=first, s=second: v2_profit(f, s, round(v2_best(f, s))),  # type: ignore[misc]
                goal=None, repeat=1000, repeat_baseline=1000,
            )
        )  # fmt: skip
        made = batch.polished_at_once(much_room)
        assert (made.ends[:, 2] - made.ends[:, 0] == exact.profit).all()
        rows.append(
            compare(
                f"  {MANY:,} in one call; the closed form, its integers written out",
                partial(batch.polished_at_once, much_room),
                lambda f=first, s=second: v2_profit(f, s, round(v2_best(f, s))),  # type: ignore[misc]
                goal=None, each=MANY, baseline_each=1, repeat=20, repeat_baseline=1000,
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


def by_brent(case: Case) -> float:
    """The best size by Brent, up to all that the first pool takes."""
    segments, edges = case.mirror.segments, case.edges[0]
    first, number = segments.rows[edges[0]]
    most = float(segments.data[first + number - 1, IN_TO])
    return float(compiled_brent(0.0, most, segments.rows, segments.data, edges))


def v3_rows() -> list[Row]:
    rows = []
    for many, goal, name in ((1, None, "one"), (SOME, 5, f"{SOME} in one call")):
        cases = [(case, case.sized()) for case in (crossing(20, seed, many) for seed in range(8))]

        def ours(cases: list[tuple[Case, Sizes]] = cases) -> None:
            for case, room in cases:
                case.size(room)

        def brents(cases: list[tuple[Case, Sizes]] = cases) -> None:
            for case, _ in cases:
                by_brent(case)

        for case, room in cases:
            segments = case.mirror.segments
            found = compiled_profit(by_brent(case), segments.rows, segments.data, case.edges[0])
            assert isclose(found, room.profit[0], rel_tol=1e-9)
        rows.append(
            compare(
                f"V3/V3 optimum, float, 20 ticks crossed, {name}; compiled Brent on the same",
                ours, brents, goal=goal, each=many * len(cases), repeat=50,
                baseline_each=len(cases), repeat_baseline=50,
            )
        )  # fmt: skip
    case = crossing(20, 0, SOME)
    room = case.sized()
    (exact,) = set(case.polished(room))
    assert exact is not None
    made = case.polished_at_once(room)
    assert (made.ends[:, 0] == exact.amount_in).all()
    rows.append(
        compare(
            f"V3/V3 optimum in integers, 20 ticks crossed, {SOME} in one call; one after the other",
            partial(case.polished_at_once, room), partial(case.polished, room),
            goal=None, each=SOME, baseline_each=SOME, repeat=5, repeat_baseline=5,
        )
    )  # fmt: skip
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
