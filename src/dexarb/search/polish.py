"""From the best real size to the best integers.

Every hop rounds against the trader, so what a size earns depends on its last digits. Most is lost
in the coarsest token, the one whose amounts are the smallest numbers: one unit of it, a *grain*, is
the largest part of the trade. No integers earn more than the best real size does.

So the nearest integer input is tried first. It is taken if it loses less than one unit of the start
token, which nothing can better, or less than a grain that is a millionth of the profit at most.
Else amounts of the coarsest token are enumerated, each with the least input that buys it, until one
is within a grain of the real profit. Where roundings add up, of several coarse tokens or at ticks,
it goes on over the width in which the real profit hardly falls, and then climbs from the best that
was seen.

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

CLOSE = 1e-9
"""Relative to the profit: where grains are smaller than this they do not matter."""

SMALL = 1e-6
"""Relative to the profit: a grain larger than this is worth trying other integers for."""

GOLDEN = (sqrt(5.0) - 1.0) / 2.0
SECTION_BITS = 24
"""To 2^-24 of the input the section goes: the profit is flat there."""

SAMPLES = 16
"""Amounts tried on each side of the first, at most."""

STEPS = tuple(sign * step for step in (1, 2, 4, 8, 16) for sign in (1, -1))
"""Units of the coarsest token that the climb looks up and down."""

Results = tuple[SwapResult, ...]


class Sized(NamedTuple):
    """The input, and what each hop makes of it."""

    amount_in: int
    results: Results

    @property
    def profit(self) -> int:
        return self.results[-1].amount_out - self.amount_in

    @property
    def gain(self) -> tuple[int, int]:
        """What decides between two: the profit, then the smaller input."""
        return self.profit, -self.amount_in


def polish(
    cycle: Cycle, amount_in: float, profit: float, pools: Mapping[PoolKey, Pool]
) -> Sized | None:
    """The best integers near the best real size and its profit, or None if they earn nothing.

    Where the pools cannot take the size it is first cut to what they can.
    """
    start = max(1, round(amount_in))
    try:
        results = run(cycle, start, pools.__getitem__)
    except PoolError:
        results = ()
    if results and results[-1].amount_out:
        gain = results[-1].amount_out - start
        loss = profit - gain
        if loss >= 1.0 and loss >= CLOSE * profit:
            grain = start / min([result.amount_out for result in results])
            fits = loss < grain and loss < SMALL * profit
        else:
            fits = True
        if fits:
            return Sized(start, results) if gain > 0 else None
    best = _on_grid(_Trades(cycle, pools, results), start, profit, profit)
    return best if best and best.profit > 0 else None


def polish_inexact(cycle: Cycle, amount_in: float, pools: Mapping[PoolKey, Pool]) -> Sized | None:
    """The same where the best real size is only near the best one: segments of a pool are an
    approximation."""
    trades = _Trades(cycle, pools, ())
    start, profit = _by_section(trades, max(1, round(amount_in)))
    best = _on_grid(trades, start, profit, inf)
    return best if best and best.profit > 0 else None


def _on_grid(trades: _Trades, start: int, profit: float, most: float) -> Sized | None:
    """The best of this input and of those with amounts of the coarsest token close to its own.

    profit: about what there is to earn. most: what no integers earn more than, so that the search
    ends within a grain of it.
    """
    results = trades.results(start)
    if results is None:
        start = trades.largest_below(start)
        results = trades.results(start) or ()
    if not start:
        return None
    best = trades.complete(start, results)
    amounts = [result.amount_out for result in results]
    if best is None:
        amounts.append(0)
    # The last of equals: a grid on the output side spares the rounding of the last hop.
    place = min(range(len(amounts)), key=lambda i: (amounts[i], -i))
    middle = max(1, amounts[place])
    enough = most - max(start / middle, CLOSE * profit)
    top = middle
    for amount in _around(middle, start, profit):
        candidate = trades.buying(place, amount)
        if is_better(candidate, best):
            best, top = candidate, amount
        if best and best.profit >= enough:
            return best
    return _climbed(trades, place, top, best, enough)


def _by_section(trades: _Trades, near: int) -> tuple[int, float]:
    """An input near the best one, and what it earns, at least 1.

    Source: Kiefer, Sequential minimax search for a maximum. What pools refuse earns the least.
    """

    def profit(amount: int) -> int:
        results = trades.results(amount) if amount > 0 else None
        trade = trades.complete(amount, results or ())
        return trade.profit if trade else -amount

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


def is_better(one: Sized | None, other: Sized | None) -> bool:
    return one is not None and (other is None or one.gain > other.gain)


def _climbed(
    trades: _Trades, place: int, amount: int, best: Sized | None, enough: float
) -> Sized | None:
    """From an amount to better ones, doubling each step that gains.

    A best real size often ends just on a tick. The integers get there some units later, because
    every tick on the way has rounded against the trader, and lose all of the slope between.
    """
    while best is None or best.profit < enough:
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
    """A cycle at its pools, with different amounts. Swaps are remembered: trials share many."""

    def __init__(self, cycle: Cycle, pools: Mapping[PoolKey, Pool], made: Results) -> None:
        """made: the swaps of a trade that is known already, or none."""
        self._hops: list[tuple[Pool, Address, Address, dict[int, SwapResult]]] = [
            (pools[hop.pool], hop.token_in, hop.token_out, {}) for hop in cycle.hops
        ]
        for (*_, known), result in zip(self._hops, made, strict=False):
            known[result.amount_in] = result

    def results(self, amount_in: int) -> Results | None:
        """What each hop makes of an input, up to the last that gives something.

        None if a pool cannot take so much.
        """
        results: list[SwapResult] = []
        amount = amount_in
        for pool, token_in, token_out, known in self._hops:
            result = known.get(amount)
            if result is None:
                try:
                    result = known[amount] = pool.swap(token_in, amount, token_out)
                except InvalidAmount:
                    break
                except PoolError:
                    return None
            amount = result.amount_out
            if not amount:
                break
            results.append(result)
        return tuple(results)

    def largest_below(self, amount_in: int) -> int:
        """The largest input that all pools take, to a part in 2^40 of it."""
        low, high = 0, amount_in
        while high - low > 1 + (low >> 40):
            middle = (low + high) // 2
            if self.results(middle) is None:
                high = middle
            else:
                low = middle
        return low

    def buying(self, place: int, amount: int) -> Sized | None:
        """The trade with the least input that buys this amount behind hop `place`."""
        if amount <= 0:
            return None
        least = amount
        try:
            for pool, token_in, token_out, _ in reversed(self._hops[: place + 1]):
                least = pool.swap_exact_out(token_out, least, token_in).amount_in
        except PoolError:
            return None
        results = self.results(least)
        return self.complete(least, results or ())

    def complete(self, amount_in: int, results: Results) -> Sized | None:
        """The trade, if every hop gives something."""
        return Sized(amount_in, results) if len(results) == len(self._hops) else None
