"""From the best real size to the best integers.

Every hop rounds against the trader, so what a size earns depends on its last digits. Most is lost
in the coarsest token, the one whose amounts are the smallest numbers: one unit of it is the largest
part of the trade. So amounts of that token are enumerated, each with the least input that buys it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from dexarb.core.pool import Pool, SwapResult
from dexarb.core.route import Cycle, run
from dexarb.core.token import Address
from dexarb.errors import InvalidAmount, PoolError

COARSE = 4096
"""Below so many units rounding outweighs the slope around the best size, and luck decides."""

REACH, COARSE_REACH = 1, 32
"""Neighbours on each side, one after the other, that must not earn more before a climb ends."""

LONGEST_CLIMB = 16
"""In reaches: where a trade is all rounding, climbs could lead down to its smallest size."""


class Sized(NamedTuple):
    """The input, and what each hop makes of it."""

    amount_in: int
    results: tuple[SwapResult, ...]

    @property
    def profit(self) -> int:
        return self.results[-1].amount_out - self.amount_in


def polish(cycle: Cycle, amount_in: float, pools: Mapping[Address, Pool]) -> Sized | None:
    """The best integers near a real size, or None if they earn nothing.

    Where the pools cannot take the size it is first cut to what they can.
    """
    sizes = _Sizes(cycle, pools)
    start = max(1, round(amount_in))
    amounts = sizes.amounts(start)
    if amounts is None:
        amounts = sizes.amounts(sizes.largest_below(start))
    if not amounts:
        return None
    # The last of equals: a grid on the output side spares the rounding of the last hop.
    place = min(range(len(amounts)), key=lambda i: (amounts[i], -i))
    least = sizes.climb(place, max(1, amounts[place]))
    if least is None:
        return None
    sized = Sized(least, run(cycle, least, pools.__getitem__))
    return sized if sized.profit > 0 else None


class _Sizes:
    """A cycle at its pools, seen from different amounts."""

    def __init__(self, cycle: Cycle, pools: Mapping[Address, Pool]) -> None:
        self._hops = [(pools[hop.pool], hop.token_in, hop.token_out) for hop in cycle.hops]

    def amounts(self, amount_in: int) -> list[int] | None:
        """What comes out of each hop, up to the first that gives nothing.

        None if a pool cannot take so much. Empty for an input of 0.
        """
        if not amount_in:
            return []
        amounts: list[int] = []
        amount = amount_in
        for pool, token_in, _ in self._hops:
            try:
                amount = pool.swap(token_in, amount).amount_out
            except InvalidAmount:
                amount = 0
            except PoolError:
                return None
            amounts.append(amount)
            if not amount:
                break
        return amounts

    def largest_below(self, amount_in: int) -> int:
        """The largest input that all pools take, to a part in 2^40 of it."""
        low, high = 0, amount_in
        while high - low > 1 + (low >> 40):
            middle = (low + high) // 2
            if self.amounts(middle) is None:
                high = middle
            else:
                low = middle
        return low

    def climb(self, place: int, middle: int) -> int | None:
        """From `middle` units behind hop `place` to where no neighbour earns more.

        Returns the least input that buys them, None if no candidate can be traded.
        """
        reach = COARSE_REACH if middle < COARSE else REACH
        best = self._profit(place, middle)
        for direction in (1, -1):
            amount, misses = middle, 0
            while misses < reach and abs(amount - middle) < LONGEST_CLIMB * reach:
                amount += direction
                candidate = self._profit(place, amount)
                if candidate and (not best or candidate[0] > best[0]):
                    best, misses = candidate, 0
                else:
                    misses += 1
        return best[1] if best else None

    def _profit(self, place: int, amount: int) -> tuple[int, int] | None:
        """(profit, least input) of a trade with this amount behind hop `place`."""
        try:
            least = result = amount
            for pool, _, token_out in reversed(self._hops[: place + 1]):
                least = pool.swap_exact_out(token_out, least).amount_in
            for pool, token_in, _ in self._hops[place + 1 :]:
                result = pool.swap(token_in, result).amount_out
        except PoolError:
            return None
        return result - least, least
