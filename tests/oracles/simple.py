"""The simple search: every two-pool cycle, sized by trying integers. Slow and plain on purpose.

It has the interface of `Scanner` and is the oracle that the fast search is compared with.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import numpy as np

from dexarb.core.market import Market
from dexarb.core.pool import Pool, PoolKey
from dexarb.core.route import Cycle, Hop, run
from dexarb.core.token import Address
from dexarb.core.trade import Curve, Opportunity, Piece
from dexarb.errors import PoolError
from dexarb.search.cycles import CycleIndex
from dexarb.search.open_cycles import OpenCycles
from dexarb.search.result import GasUnits, MinGross, any_gain, hop_work
from dexarb.search.scan import Offers, Scan
from dexarb.search.sizing import room_for

LARGEST_AMOUNT = 2**112
"""No ERC-20 pool of the kinds we know trades more than this."""


class SimpleScanner:
    """Looks at every two-pool cycle in every block."""

    def __init__(
        self,
        market: Market,
        *,
        start_tokens: Sequence[Address],
        gas_units: GasUnits,
        min_gross: MinGross = any_gain,
    ) -> None:
        self._min_gross = min_gross
        self._start_tokens = tuple(start_tokens)
        self._gas_units = gas_units
        self._index = CycleIndex(start_tokens, 2)
        self._table = OpenCycles(self._index)
        self._table.floors[:] = 0.0
        self.scan = self.update(market, market.pools)

    def update(self, market: Market, touched: Collection[PoolKey]) -> Scan:  # noqa: ARG002
        """The open two-pool cycles of the market as it is, whatever was touched."""
        edges = self._index.edges
        for key, pool in market.pools.items():
            if key not in edges.slots:
                self._index.add(pool)
        found: list[tuple[Cycle, float, Opportunity | None]] = []
        for cycle in self._cycles(market.pools.values()):
            rate = marginal_rate(cycle, market)
            if rate > 1.0:
                found.append((cycle, rate, self._opportunity(market, cycle, rate)))
        found.sort(key=lambda each: each[0].id)
        sizes = room_for(len(found), len(found))
        for place, (_, _, each) in enumerate(found):
            sizes.amount_in[place] = each.amount_in if each else 0.0
            sizes.profit[place] = each.profit if each else 0.0
            sizes.pieces[place] = each.curve.pieces[0] if each else 0.0
            sizes.first[place], sizes.number[place] = place, each is not None
        sizes.used[0] = len(found)
        gone = [key for key in edges.slots if key not in market.pools]
        changes = self._table.update(
            np.array(list(edges.slots.values()), dtype=np.int64),
            np.array([self._index.route_of(cycle) for cycle, _, _ in found]).reshape(-1, 4),
            np.array([rate for _, rate, _ in found]),
            sizes,
            np.array([edge for key in gone for edge in edges.of_pool(key)], dtype=np.int64),
        )
        for key in gone:
            self._index.remove(key)
        offered = [
            each
            for *_, each in found
            if each and each.profit >= self._min_gross(each.cycle.start_token)
        ]
        rows = np.array([self._table.row(each.cycle) for each in offered], dtype=np.int64)
        self.scan = Scan(market.block, lambda: Offers(tuple(offered), rows), self._table, changes)
        return self.scan

    def widen(self, max_hops: int) -> bool:
        """It knows cycles of two hops and no others."""
        return max_hops < 2

    def _cycles(self, pools: Collection[Pool]) -> Iterator[Cycle]:
        for first in pools:
            for second in pools:
                shared = set(first.tokens) == set(second.tokens)
                if first.address == second.address or not shared:
                    continue
                start = next((token for token in self._start_tokens if token in first.tokens), None)
                if start is not None:
                    (other,) = set(first.tokens) - {start}
                    yield Cycle((Hop(first.key, start, other), Hop(second.key, other, start)))

    def _opportunity(self, market: Market, cycle: Cycle, rate: float) -> Opportunity | None:
        amount_in = best_amount_in(cycle, market)
        if amount_in is None:
            return None
        results = run(cycle, amount_in, market.pools.__getitem__)
        amount_out = results[-1].amount_out
        pools = [market.pools[address] for address in cycle.pools]
        return Opportunity(
            block=market.block,
            cycle=cycle,
            amount_in=amount_in,
            amount_out=amount_out,
            rate=rate,
            gas_units=self._gas_units(hop_work(pools, results)),
            curve=chord(rate, amount_in, amount_out),
        )


def marginal_rate(cycle: Cycle, market: Market) -> float:
    """Amount out per amount in at zero size: the product of the hops' rates, in their order."""
    rate = 1.0
    for hop in cycle.hops:
        segment = next(market.pools[hop.pool].segments(hop.token_in), None)
        rate *= segment.rate if segment else 0.0
    return rate


def best_amount_in(cycle: Cycle, market: Market) -> int | None:
    """The input of the greatest profit: doubling to bracket it, then thirds. None if none gains."""

    def profit(amount_in: int) -> int:
        try:
            return run(cycle, amount_in, market.pools.__getitem__)[-1].amount_out - amount_in
        except PoolError:
            return -amount_in

    best = amount = 1
    best_profit = profit(1)
    while amount < LARGEST_AMOUNT:
        amount *= 2
        gain = profit(amount)
        if gain > best_profit:
            best, best_profit = amount, gain
        elif best_profit > 0:
            break
    low, high = best // 2 + 1, best * 2
    while high - low > 2:
        third = (high - low) // 3
        if profit(low + third) < profit(high - third):
            low += third
        else:
            high -= third
    best_profit, best = max((profit(amount), -amount) for amount in (*range(low, high + 1), best))
    return -best if best_profit > 0 else None


def chord(rate: float, amount_in: int, amount_out: int) -> Curve:
    """The curve with this rate at zero that passes through the best size."""
    depth = max(0.0, (rate * amount_in / amount_out - 1.0) / amount_in)
    return Curve((Piece(0.0, 0.0, rate, depth),))
