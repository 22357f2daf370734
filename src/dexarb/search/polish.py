"""From the best real size to the best integers.

Every hop rounds against the trader, so what a size earns depends on its last digits. Most is lost
in the coarsest token, the one whose amounts are the smallest numbers: one unit of it, a *grain*, is
the largest part of the trade. So amounts of that token are enumerated, each with the least input
that buys it.

No integers earn more than the best real size does. The search ends with the first trade within a
grain of that; where several tokens are coarse and their roundings add up, it goes on over the width
in which the real profit hardly falls, and then climbs from the best of what it saw.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import sqrt
from typing import NamedTuple

from dexarb.core.pool import Pool, SwapResult
from dexarb.core.route import Cycle, run
from dexarb.core.token import Address
from dexarb.errors import InvalidAmount, PoolError

CLOSE = 1e-9
"""Relative to the profit: where grains are smaller than this they do not matter."""

SAMPLES = 16
"""Amounts tried on each side of the first, at most."""

STEPS = tuple(sign * step for step in (1, 2, 3, 4, 6, 8, 12, 16) for sign in (1, -1))
"""Units of the coarsest token that the climb looks up and down."""


Earned = tuple[int, int]
"""Profit, and minus the least input: of equal profits the one that needs less is greater."""

NOTHING: Earned = (-(1 << 256), 0)


class Sized(NamedTuple):
    """The input, and what each hop makes of it."""

    amount_in: int
    results: tuple[SwapResult, ...]

    @property
    def profit(self) -> int:
        return self.results[-1].amount_out - self.amount_in


def polish(
    cycle: Cycle, amount_in: float, profit: float, pools: Mapping[Address, Pool]
) -> Sized | None:
    """The best integers near the best real size and its profit, or None if they earn nothing.

    Where the pools cannot take the size it is first cut to what they can.
    """
    sizes = _Sizes(cycle, pools)
    start = max(1, round(amount_in))
    amounts = sizes.amounts(start)
    if amounts is None:
        start = sizes.largest_below(start)
        amounts = sizes.amounts(start)
    if not amounts:
        return None
    # The last of equals: a grid on the output side spares the rounding of the last hop.
    place = min(range(len(amounts)), key=lambda i: (amounts[i], -i))
    middle = max(1, amounts[place])
    enough = profit - max(start / middle, CLOSE * profit)
    best, top = (amounts[-1] - start, -start), middle
    for amount in _around(middle, start, profit):
        if best[0] >= enough:
            break
        candidate = sizes.profit(place, amount)
        if candidate > best:
            best, top = candidate, amount
    earned, least = _climb(sizes, place, top, best, enough)
    return Sized(-least, run(cycle, -least, pools.__getitem__)) if earned > 0 else None


def _around(middle: int, amount_in: int, profit: float) -> Iterator[int]:
    """The amount in the middle, then others on both sides, as far as a quarter of a grain of real
    profit is lost.

    Around the best input x* the real profit falls by about P·((x − x*) / x*)²; one unit of the
    token is worth x* / middle.
    """
    yield middle
    width = 0.5 * sqrt(amount_in * middle / profit)
    for sample in range(1, SAMPLES + 1):
        offset = max(sample, round(width * sample / SAMPLES))
        yield middle + offset
        if offset < middle:
            yield middle - offset


def _climb(sizes: _Sizes, place: int, amount: int, best: Earned, enough: float) -> Earned:
    """From an amount to better ones, doubling each step that gains.

    A best real size often ends just on a tick. The integers get there some units later, because
    every tick on the way has rounded against the trader, and lose all of the slope between.
    """
    while best[0] < enough:
        for step in STEPS:
            better = sizes.profit(place, amount + step)
            if better > best:
                break
        else:
            break
        while better > best:
            best, amount, step = better, amount + step, 2 * step
            better = sizes.profit(place, amount + step)
    return best


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

    def profit(self, place: int, amount: int) -> Earned:
        """With the least input that buys this amount behind hop `place`; NOTHING if none does."""
        least = amount
        try:
            for pool, _, token_out in reversed(self._hops[: place + 1]):
                least = pool.swap_exact_out(token_out, least).amount_in
        except PoolError:
            return NOTHING
        # Forward again: the least input can buy a little more, or too much for a later pool.
        amounts = self.amounts(least)
        if not amounts or len(amounts) < len(self._hops):
            return NOTHING
        return amounts[-1] - least, -least
