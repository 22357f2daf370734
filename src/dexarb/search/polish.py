"""From the best real size to the best integers.

Every hop rounds against the trader, so what a size earns depends on its last digits. Most is lost
in the coarsest token, the one whose amounts are the smallest numbers: one unit of it, a *grain*, is
the largest part of the trade. No integers earn more than the best real size does.

So the nearest integer input is tried first. It is taken if it loses less than one unit of the start
token, which nothing can better, or less than is worth looking for: a millionth of the profit, or
what the caller says. Else amounts of the coarsest token are enumerated, each with the least input
that buys it, until one is so close to the real profit, or within a grain of it. Where roundings add
up, of several coarse tokens or at ticks, it goes on over the width in which the real profit hardly
falls, and then climbs from the best that was seen.

Where a pool's segments are not exact, the best real size is not either: then integers find the
middle first, by golden section, and all the rest follows from there.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import inf, sqrt
from typing import NamedTuple

from dexarb.core.pool import Pool, PoolKey, SwapResult
from dexarb.core.route import Cycle, run
from dexarb.core.token import Address
from dexarb.errors import InvalidAmount, PoolError

CLOSE = 1e-6
"""Relative to the profit: to lose less than this is not worth trying other integers."""

GOLDEN = (sqrt(5.0) - 1.0) / 2.0
SECTION_BITS = 24
"""To 2^-24 of the input the section goes: the profit is flat there."""

SAMPLES = 16
"""Amounts tried on each side of the first, at most."""

STEPS = tuple(sign * step for step in (1, 2, 4, 8, 16) for sign in (1, -1))
"""Units of the coarsest token that the climb looks up and down."""

Amounts = tuple[int, ...]
"""The input of a trade and the output of each hop."""


class Sized(NamedTuple):
    """The input, and what each hop makes of it."""

    amount_in: int
    results: tuple[SwapResult, ...]

    @property
    def profit(self) -> int:
        return self.results[-1].amount_out - self.amount_in


def polish(
    cycle: Cycle,
    amount_in: float,
    profit: float,
    pools: Mapping[PoolKey, Pool],
    worth: float = 0.0,
) -> Sized | None:
    """The best integers near the best real size and its profit, or None if they earn nothing.

    worth: in the smallest unit of the start token, what is worth looking for; to lose less than
    that is fine. Where the pools cannot take the size it is first cut to what they can.
    """
    fine = max(CLOSE * profit, worth)
    start = max(1, round(amount_in))
    try:
        results = run(cycle, start, pools.__getitem__)
    except PoolError:
        results = ()
    if results and results[-1].amount_out:
        gain = results[-1].amount_out - start
        if profit - gain < max(1.0, fine):
            return Sized(start, results) if gain > 0 else None
    trades = _Trades(cycle, pools)
    best = _on_grid(trades, start, profit, profit, fine)
    if best and results and best[0] == start:
        return Sized(start, results) if profit_of(best) > 0 else None
    return trades.made(best)


def polish_inexact(cycle: Cycle, amount_in: float, pools: Mapping[PoolKey, Pool]) -> Sized | None:
    """The same where the best real size is only near the best one: segments of a pool are an
    approximation."""
    trades = _Trades(cycle, pools)
    start, profit = _by_section(trades, max(1, round(amount_in)))
    return trades.made(_on_grid(trades, start, profit, inf, 0.0))


def _on_grid(
    trades: _Trades, start: int, profit: float, most: float, fine: float
) -> Amounts | None:
    """The best of this input and of those with amounts of the coarsest token close to its own.

    profit: about what there is to earn. most: what no integers earn more than, so that the search
    ends within a grain of it, or what is `fine`.
    """
    amounts = trades.amounts(start)
    if amounts is None:
        start = trades.largest_below(start)
        amounts = trades.amounts(start)
    if not start or amounts is None:
        return None
    best = trades.complete(amounts)
    # The last of equals: a grid on the output side spares the rounding of the last hop.
    place = min(range(1, len(amounts)), key=lambda i: (amounts[i], -i))
    middle = max(1, amounts[place])
    enough = most - max(start / middle, fine)
    top = middle
    for amount in _around(middle, start, profit):
        candidate = trades.buying(place, amount)
        if is_better(candidate, best):
            best, top = candidate, amount
        if best and profit_of(best) >= enough:
            return best
    return _climbed(trades, place, top, best, enough)


def _by_section(trades: _Trades, near: int) -> tuple[int, float]:
    """An input near the best one, and what it earns, at least 1.

    Source: Kiefer, Sequential minimax search for a maximum. What pools refuse earns the least.
    """

    def profit(amount: int) -> int:
        trade = trades.complete(trades.amounts(amount)) if amount > 0 else None
        return profit_of(trade) if trade else -amount

    low, high = near // 2, 2 * near + 1
    while low and profit(low // 2) > profit(low):
        low //= 2
    while profit(2 * high) > profit(high):
        high *= 2
    low, high = low // 2, 2 * high
    while high - low > 3 + (high >> SECTION_BITS):
        step = round((high - low) * GOLDEN)
        one, other = high - step, low + step
        if profit(one) < profit(other):
            low = one
        else:
            high = other
    best = max(range(low, high + 1), key=profit) if high - low <= 3 else (low + high) // 2
    return max(1, best), max(1.0, float(profit(best)))


def profit_of(amounts: Amounts) -> int:
    return amounts[-1] - amounts[0]


def is_better(one: Amounts | None, other: Amounts | None) -> bool:
    """By the profit, then by the smaller input."""
    if one is None or other is None:
        return one is not None
    return (profit_of(one), -one[0]) > (profit_of(other), -other[0])


def _climbed(
    trades: _Trades, place: int, amount: int, best: Amounts | None, enough: float
) -> Amounts | None:
    """From an amount to better ones, doubling each step that gains.

    A best real size often ends just on a tick. The integers get there some units later, because
    every tick on the way has rounded against the trader, and lose all of the slope between.
    """
    while best is None or profit_of(best) < enough:
        for step in STEPS:
            better = trades.buying(place, amount + step)
            if is_better(better, best):
                break
        else:
            break
        while is_better(better, best):
            best, amount, step = better, amount + step, 2 * step
            better = trades.buying(place, amount + step)
    return best


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


class _Trades:
    """A cycle at its pools, with different amounts. Quotes are remembered: trials share many."""

    def __init__(self, cycle: Cycle, pools: Mapping[PoolKey, Pool]) -> None:
        self._cycle, self._pools = cycle, pools
        self._hops: list[tuple[Pool, Address, Address, dict[int, int]]] = [
            (pools[hop.pool], hop.token_in, hop.token_out, {}) for hop in cycle.hops
        ]

    def amounts(self, amount_in: int) -> Amounts | None:
        """The input and what each hop makes of it; ends with the first 0.

        None if a pool cannot take so much.
        """
        amounts = [amount_in]
        for pool, token_in, token_out, known in self._hops:
            amount = known.get(amounts[-1])
            if amount is None:
                try:
                    amount = pool.quote(token_in, amounts[-1], token_out)
                except InvalidAmount:
                    amount = 0
                except PoolError:
                    return None
                known[amounts[-1]] = amount
            amounts.append(amount)
            if not amount:
                break
        return tuple(amounts)

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

    def buying(self, place: int, amount: int) -> Amounts | None:
        """The trade with the least input that makes the amount at this place so large."""
        if amount <= 0:
            return None
        least = amount
        try:
            for pool, token_in, token_out, _ in reversed(self._hops[:place]):
                least = pool.swap_exact_out(token_out, least, token_in).amount_in
        except PoolError:
            return None
        return self.complete(self.amounts(least))

    def complete(self, amounts: Amounts | None) -> Amounts | None:
        """The trade, if every hop gives something."""
        return amounts if amounts and amounts[-1] else None

    def made(self, amounts: Amounts | None) -> Sized | None:
        """The trade for real, if it earns anything."""
        if amounts is None or profit_of(amounts) <= 0:
            return None
        return Sized(amounts[0], run(self._cycle, amounts[0], self._pools.__getitem__))
