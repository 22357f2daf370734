"""Compiled: why not, for one opportunity and all strategies, in the order of SkipReason.

Exact quotes cost a run through the pools. So the net that a size could have at most is bounded
first with the float curve; only where that would be enough for somebody is the exact one asked for.
The bound is a function of the opportunity and of the strategy's own terms, whoever else trades.
"""

from __future__ import annotations

from math import ceil, floor
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dexarb.compiled import kernel, kernel_part
from dexarb.core.trade import SkipReason
from dexarb.trading.decide.columns import (
    LARGEST,
    TAKEN,
    Classes,
    Codes,
    Ints,
    TermsColumns,
    Thresholds,
)
from dexarb.trading.decide.skips import REASON_CODE

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


class GasPrices(NamedTuple):
    """base_fee and fee, the chain's default bid, in wei per gas; and what a wei is worth, in
    micro-USD."""

    base_fee: float
    fee: float
    wei: float


class PriceList(NamedTuple):
    """What a block, its start tokens and its mixes of pools cost, as floats.

    unit: by rank of the start token, micro-USD per smallest unit; 0 where it or the gas has no
    price. least_size: micro-USD that buy one unit. gas, flash_gas: by mix, the least that executing
    such a cycle uses.
    """

    unit: Floats
    least_size: Ints
    gas: Floats
    flash_gas: Floats
    per_gas: GasPrices


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


class Accounts(NamedTuple):
    """By strategy, at the end of the block: what is bound, a limit's code, and busy pools."""

    capital: Ints
    gas: Ints
    limit: Codes
    busy: Mask


def costs_of(terms: TermsColumns, gas: float, flash_gas: float, prices: GasPrices) -> Floats:
    """By terms: what a trade costs in micro-USD that uses so much gas, and bids as they say."""
    fee = np.where(terms.fee < 0, prices.fee, terms.fee)
    measured = np.where(terms.flash, flash_gas, gas) * (prices.base_fee + fee) * prices.wei
    costs: Floats = np.where(terms.fixed_cost < 0, measured, terms.fixed_cost)
    return costs


@kernel
def bound_nets(
    pieces: Floats,
    first: int,
    end: int,
    best: float,
    prices: PriceList,
    start: int,
    mix: int,
    terms: TermsColumns,
    bound: Ints,
) -> None:
    """What each of the terms could net at most, into `bound`; TOO_SMALL where it buys nothing.

    pieces[first:end]: the cycle's curve, (input from, output from, rate, depth) each, up to its
    best input.
    """
    for k in range(len(terms.size)):
        if terms.size[k] < prices.least_size[start]:
            bound[k] = TOO_SMALL
        else:
            bound[k] = net_at_most(pieces, first, end, best, prices, start, mix, terms, k)


@kernel_part
def net_at_most(
    pieces: Floats,
    first: int,
    end: int,
    best: float,
    prices: PriceList,
    start: int,
    mix: int,
    terms: TermsColumns,
    k: int,
) -> int:
    """On terms whose size buys something."""
    unit = prices.unit[start]
    amount_in, amount_out = on_curve(pieces, first, end, min(terms.size[k] / unit, best))
    value = (amount_out - amount_in) * unit
    value += MARGIN * (amount_out + amount_in) * unit + ROUNDINGS
    if value > 0.0:
        value *= terms.keep[k]
    if terms.fixed_cost[k] >= 0:
        cost = float(terms.fixed_cost[k])
    else:
        gas = prices.flash_gas[mix] if terms.flash[k] else prices.gas[mix]
        fee = prices.per_gas.fee if terms.fee[k] < 0 else float(terms.fee[k])
        cost = gas * (prices.per_gas.base_fee + fee) * prices.per_gas.wei
    net: int = ceil(min(max(value - cost, -float(LARGEST)), float(LARGEST)))
    return net


@kernel_part
def on_curve(pieces: Floats, first: int, end: int, amount_in: float) -> tuple[float, float]:
    """This input and its output."""
    last = -1
    for i in range(first, end):
        if pieces[i, 0] > amount_in:
            break
        last = i
    if last < 0:
        return 0.0, 0.0
    x = amount_in - pieces[last, 0]
    return amount_in, pieces[last, 1] + pieces[last, 2] * x / (1.0 + pieces[last, 3] * x)


@kernel
def ask_for(refusals: Codes, spread_ppm: float, bound: Ints, classes: Classes, asked: Mask) -> int:
    """Mark the terms on which an opportunity could be enough for somebody; returns how many."""
    asked[:] = False
    times = 0
    for i in range(len(classes.scope)):
        k = classes.terms[i]
        if (
            not asked[k]
            and refusals[classes.scope[i]] < 0
            and spread_ppm >= classes.min_spread[i]
            and bound[k] != TOO_SMALL
            and bound[k] >= classes.least[i]
        ):
            asked[k] = True
            times += 1
    return times


@kernel
def reason_against(
    spread_ppm: float,
    min_spread: int,
    net: int,
    min_profit: int,
    dear: bool,
    capital: int,
    most_capital: int,
    gas: int,
    gas_balance: int,
    limit: int,
    busy: bool,
) -> int:
    """The code of the first reason against a trade, in the order of SkipReason, or TAKEN.

    net: TOO_SMALL where the size buys nothing. capital, gas: what would be bound with it. limit:
    that on trades or losses which stops the strategy, or TAKEN.
    """
    if spread_ppm < min_spread:
        return SPREAD
    if net == TOO_SMALL:
        return SIZE
    if net < min_profit:
        return PROFIT
    if dear:
        return GAS_PRICE
    if capital > most_capital or gas > gas_balance:
        return CAPITAL
    if limit >= 0:
        return limit
    if busy:
        return POOL_BUSY
    return TAKEN


@kernel
def reasons_against(
    refusals: Codes,
    spread_ppm: float,
    offers: Offers,
    thresholds: Thresholds,
    accounts: Accounts,
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
        code = int(refusals[thresholds.scope[i]])
        if code == TAKEN:
            code = reason_against(
                spread_ppm,
                thresholds.min_spread[i],
                offers.exact[k],
                thresholds.min_profit[i],
                offers.dear[k],
                accounts.capital[i] + offers.capital[k],
                thresholds.capital[i],
                accounts.gas[i] + offers.gas[k],
                thresholds.gas_balance[i],
                int(accounts.limit[i]),
                accounts.busy[i],
            )
            if code == SPREAD:
                best[i] = floor(spread_ppm)
            elif code == PROFIT:
                has_chance = offers.bound[k] >= thresholds.min_profit[i]
                best[i] = offers.exact[k] if has_chance else offers.bound[k]
            elif code == TAKEN:
                takers += 1
        reasons[i] = code
    return takers
