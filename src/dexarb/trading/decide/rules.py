"""Compiled: why not, for one opportunity and all strategies, in the order of SkipReason.

Exact quotes cost a run through the pools. So the net that a size could have at most is bounded
first with the float curve; only where that would be enough for somebody is the exact one asked for.
The bound is a function of the opportunity and of the strategy's own terms, whoever else trades.
"""

from __future__ import annotations

from math import ceil, floor, sqrt
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dexarb.compiled import kernel, kernel_part
from dexarb.core.trade import Curve, SkipReason
from dexarb.trading.decide.columns import (
    LARGEST,
    TAKEN,
    Codes,
    Ints,
    Kinds,
    TermsColumns,
    Thresholds,
)
from dexarb.trading.decide.skips import REASON_CODE, Counters, note

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

SPREAD = REASON_CODE[SkipReason.SPREAD]
SIZE = REASON_CODE[SkipReason.SIZE]
PROFIT = REASON_CODE[SkipReason.PROFIT]
GAS_PRICE = REASON_CODE[SkipReason.GAS_PRICE]
CAPITAL = REASON_CODE[SkipReason.CAPITAL]
POOL_BUSY = REASON_CODE[SkipReason.POOL_BUSY]

MARGIN = 1e-9
"""How far the float curve can be off, a share of the amounts: hundreds of thousands of times what
its operations lose."""

ROUNDINGS = 4.0
"""Micro-USD that roundings of the exact net can give at most."""

TOO_SMALL = -(2**63)
"""In place of a net: the size buys nothing of the start token."""


class Prices(NamedTuple):
    """What a block and a start token cost, as floats: micro-USD per smallest unit and per wei.

    least_size: micro-USD that buy one unit. gas, flash_gas: the least that executing the cycle
    uses. base_fee and fee (the chain's default bid) in wei per gas.
    """

    unit: float
    wei: float
    least_size: int
    gas: float
    flash_gas: float
    base_fee: float
    fee: float


class Offers(NamedTuple):
    """An opportunity on each of the distinct terms. Micro-USD.

    bound: what it could net at most; exact: what it nets, below the bound only where that is
    enough for somebody. dear: the gas price is above the limit. capital, gas: what it would bind.
    """

    bound: Ints
    exact: Ints
    dear: Mask
    capital: Ints
    gas: Ints


class Standing(NamedTuple):
    """By strategy, at the end of the block: what is bound, a limit's code, and busy pools."""

    capital: Ints
    gas: Ints
    limit: Codes
    busy: Mask


def pieces_of(curve: Curve) -> Floats:
    """(input from, output from, rate, depth) of each piece."""
    return np.array(curve.pieces, dtype=np.float64).reshape(-1, 4)


@kernel
def bound_nets(pieces: Floats, prices: Prices, terms: TermsColumns, bound: Ints) -> None:
    """What each of the terms could net at most, into `bound`; TOO_SMALL where it buys nothing."""
    for k in range(len(terms.size)):
        if terms.size[k] < prices.least_size:
            bound[k] = TOO_SMALL
            continue
        amount_in, amount_out = on_curve(pieces, terms.size[k] / prices.unit)
        value = (amount_out - amount_in) * prices.unit
        value += MARGIN * (amount_out + amount_in) * prices.unit + ROUNDINGS
        if value > 0.0:
            value *= terms.keep[k]
        if terms.fixed_cost[k] >= 0:
            cost = float(terms.fixed_cost[k])
        else:
            gas = prices.flash_gas if terms.flash[k] else prices.gas
            fee = prices.fee if terms.fee[k] < 0 else float(terms.fee[k])
            cost = gas * (prices.base_fee + fee) * prices.wei
        bound[k] = ceil(min(max(value - cost, -float(LARGEST)), float(LARGEST)))


@kernel_part
def on_curve(pieces: Floats, most: float) -> tuple[float, float]:
    """The best input up to `most` and its output. Beyond the best size no more is put in."""
    last = -1
    for i in range(len(pieces)):
        if pieces[i, 0] > most:
            break
        last = i
    if last < 0:
        return 0.0, 0.0
    rate, depth = pieces[last, 2], pieces[last, 3]
    # Where the marginal rate of this piece falls to 1; within a piece that another one follows it
    # never does.
    best = (sqrt(rate) - 1.0) / depth if rate > 1.0 else 0.0
    x = min(most - pieces[last, 0], best)
    return pieces[last, 0] + x, pieces[last, 1] + rate * x / (1.0 + depth * x)


@kernel
def ask_for(refusals: Codes, spread_ppm: float, bound: Ints, kinds: Kinds, asked: Mask) -> int:
    """Mark the terms on which an opportunity could be enough for somebody; returns how many."""
    asked[:] = False
    times = 0
    for i in range(len(kinds.scope)):
        k = kinds.terms[i]
        if (
            not asked[k]
            and refusals[kinds.scope[i]] < 0
            and spread_ppm >= kinds.min_spread[i]
            and bound[k] != TOO_SMALL
            and bound[k] >= kinds.least[i]
        ):
            asked[k] = True
            times += 1
    return times


@kernel
def screen(
    refusals: Codes,
    spread_ppm: float,
    offers: Offers,
    thresholds: Thresholds,
    standing: Standing,
    reasons: Codes,
    best: Ints,
) -> int:
    """Each strategy's reason against an opportunity into `reasons`, TAKEN where there is none.

    best: where the reason is a threshold, the best there was, in ppm or micro-USD. Returns how
    many take it.
    """
    takers = 0
    for i in range(len(reasons)):
        k = thresholds.terms[i]
        code = refusals[thresholds.scope[i]]
        if code >= 0:
            reasons[i] = code
        elif spread_ppm < thresholds.min_spread[i]:
            reasons[i] = SPREAD
            best[i] = floor(spread_ppm)
        elif offers.bound[k] == TOO_SMALL:
            reasons[i] = SIZE
        elif offers.bound[k] < thresholds.min_profit[i]:
            reasons[i] = PROFIT
            best[i] = offers.bound[k]
        elif offers.exact[k] < thresholds.min_profit[i]:
            reasons[i] = PROFIT
            best[i] = offers.exact[k]
        elif offers.dear[k]:
            reasons[i] = GAS_PRICE
        elif (
            standing.capital[i] + offers.capital[k] > thresholds.capital[i]
            or standing.gas[i] + offers.gas[k] > thresholds.gas_balance[i]
        ):
            reasons[i] = CAPITAL
        elif standing.limit[i] >= 0:
            reasons[i] = standing.limit[i]
        elif standing.busy[i]:
            reasons[i] = POOL_BUSY
        else:
            reasons[i] = TAKEN
            takers += 1
    return takers


@kernel
def pass_over(
    refusals: Codes, spread_ppm: float, bound: Ints, kinds: Kinds, counters: Counters, block: int
) -> None:
    """Count a near miss for each kind of strategies."""
    for i in range(len(kinds.scope)):
        code = refusals[kinds.scope[i]]
        if code >= 0:
            counters.times[code, i] += 1
        elif spread_ppm < kinds.min_spread[i]:
            note(counters, SPREAD, i, floor(spread_ppm), block)
        elif bound[kinds.terms[i]] == TOO_SMALL:
            counters.times[SIZE, i] += 1
        else:
            note(counters, PROFIT, i, bound[kinds.terms[i]], block)
