"""Best sizes found without the search: by every input there is, or by scipy and a walk over stairs.

Only `Pool.swap` is used, so that no formula of dexarb.search and no exact-output swap can hide its
own mistakes.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from scipy.optimize import minimize_scalar

from dexarb.core.pool import Pool, PoolKey
from dexarb.core.route import Cycle
from dexarb.errors import InsufficientLiquidity, InvalidAmount, PoolError

LARGEST_INPUT = 1 << 111
"""Beyond what any pool of the tests takes without losing all gain."""

BRACKETS = (0.25, 0.6, 0.85, 0.97, 1.03, 1.2, 1.7, 4.0)
"""Brent starts between each two of these, times the best power of two."""

STAIRS = 24
"""Steps of the output that are tried on each side of the best input."""

FINE = 1e-11
"""Of the profit: where a grain is less, the walk over stairs has nothing to find."""


class Best(NamedTuple):
    amount_in: int
    profit: int


class ExactCycle:
    """What a cycle earns at its pools, as a function of one integer."""

    def __init__(self, cycle: Cycle, pools: Mapping[PoolKey, Pool]) -> None:
        self.cycle = cycle
        self._hops = [(pools[hop.pool], hop.token_in, hop.token_out) for hop in cycle.hops]
        self._known: dict[int, int] = {}

    def amounts(self, amount_in: int) -> list[int]:
        """Input and outputs of all hops; ends early where a hop gives nothing or cannot take it."""
        amounts = [amount_in]
        for pool, token_in, token_out in self._hops:
            try:
                amounts.append(pool.swap(token_in, amounts[-1], token_out).amount_out)
            except InvalidAmount:
                amounts.append(0)
            except PoolError:
                break
            if not amounts[-1]:
                break
        return amounts

    def amount_out(self, amount_in: int) -> int:
        """0 where the pools give nothing or do not take it."""
        known = self._known.get(amount_in)
        if known is None:
            amounts = self.amounts(amount_in)
            known = amounts[-1] if len(amounts) > len(self._hops) else 0
            self._known[amount_in] = known
        return known

    def profit(self, amount_in: int) -> int:
        return self.amount_out(amount_in) - amount_in

    def grain(self, amount_in: int) -> float:
        """One unit of the coarsest token on the way, in the start token's smallest units."""
        return max(1.0, *(amount_in / max(1, amount) for amount in self.amounts(amount_in)[:-1]))

    def crossed_ticks(self, amount_in: int) -> int:
        """By all hops together."""
        amounts = self.amounts(amount_in)
        return sum(
            pool.crossed_ticks(pool.swap(token_in, amount, token_out).pool)
            for (pool, token_in, token_out), amount in zip(self._hops, amounts, strict=False)
        )

    def most_out(self) -> int:
        """All that the last pool can give: no larger input can gain."""
        pool, token_in, token_out = self._hops[-1]
        try:
            return pool.swap(token_in, LARGEST_INPUT, token_out).amount_out
        except InsufficientLiquidity as ran_dry:
            return ran_dry.amount_out
        except InvalidAmount:
            return 0

    def best_of_all(self) -> Best:
        """The true optimum: every input that could gain is tried."""
        return self._best(range(1, max(1, self.most_out()) + 1))

    def best_found(self) -> Best:
        """The best of many searches, none of which knows how pools work."""
        best = self._best(1 << power for power in range(LARGEST_INPUT.bit_length()))
        middle = best.amount_in
        bounds = [max(1, round(share * middle)) for share in BRACKETS]
        peaks = [self._brent(low, high) for low, high in itertools.pairwise(bounds)]
        best = self._best([best.amount_in, *peaks])
        best = self._climb(best)
        if best.profit > 0 and self.grain(best.amount_in) > FINE * best.profit:
            best = self._climb(self._best([best.amount_in, *self._stairs(best.amount_in)]))
        return best

    def _best(self, inputs: Iterable[int]) -> Best:
        """The first of equals in ascending order of inputs."""
        profit, negative = max((self.profit(amount), -amount) for amount in inputs)
        return Best(-negative, profit)

    def _brent(self, low: int, high: int) -> int:
        if high - low < 4:
            return low
        found = minimize_scalar(
            lambda amount: -float(self.profit(round(amount))),
            bounds=(float(low), float(high)),
            method="bounded",
            options={"xatol": max(0.5, low * 1e-12), "maxiter": 60},
        )
        return int(found.x + 0.5)

    def _climb(self, best: Best) -> Best:
        """Steps of every power of two, as long as they gain: Brent gives up on stairs."""
        step = 1 << max(0, best.amount_in.bit_length() - 2)
        while step:
            ways = (best.amount_in - step, best.amount_in, best.amount_in + step)
            better = self._best(amount for amount in ways if amount > 0)
            if better.profit > best.profit:
                best = better
            else:
                step //= 2
        return best

    def _stairs(self, amount_in: int) -> Iterable[int]:
        """The least input of this output and of those around it."""
        width = int(self.grain(amount_in)) + 1
        amount = amount_in
        for _ in range(STAIRS):
            amount = self._least_input(amount, width)
            yield amount
            amount -= 1
            if amount <= 0:
                break
        amount = amount_in
        for _ in range(STAIRS):
            above = amount + width
            if self.amount_out(above) <= self.amount_out(amount):
                break
            amount = self._least_input(above, width)
            yield amount

    def _least_input(self, amount_in: int, width: int) -> int:
        """The least input that brings as much; looked for one width down, then further."""
        wanted = self.amount_out(amount_in)
        high = amount_in
        while high > width and self.amount_out(high - width) >= wanted:
            high -= width
        low = max(0, high - width)
        while high - low > 1:
            middle = (low + high) // 2
            if self.amount_out(middle) >= wanted:
                high = middle
            else:
                low = middle
        return high
