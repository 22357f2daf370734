"""Compiled: why not, for all opportunities and all strategies, in the order of SkipReason.

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
from dexarb.core.trade import REASON_CODE, SkipReason
from dexarb.core.units import PPM
from dexarb.search.merge import Table
from dexarb.trading.decide.arrays import LARGEST, TAKEN, Codes, Ints
from dexarb.trading.decide.columns import Classes, TermsColumns, Thresholds
from dexarb.trading.decide.skips import NOTHING

Floats = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

NO_PRICE = REASON_CODE[SkipReason.NO_PRICE]
DAILY_TRADES = REASON_CODE[SkipReason.DAILY_TRADES]
SPREAD = REASON_CODE[SkipReason.SPREAD]
SIZE = REASON_CODE[SkipReason.SIZE]
PROFIT = REASON_CODE[SkipReason.PROFIT]
EXPECTED = REASON_CODE[SkipReason.EXPECTED]
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
    """Opportunities on each of the distinct terms, a row each. Micro-USD.

    asked: where the exact offer is needed, since it could be enough for somebody. bound: what it
    could net at most; exact: what it nets where it was asked for, elsewhere the bound. expected:
    what that is worth with misses counted in, LARGEST where nobody wants to know. dear: the gas
    price is above the limit. capital, gas: what it would bind.
    """

    asked: Mask
    bound: Ints
    exact: Ints
    expected: Ints
    dear: Mask
    capital: Ints
    gas: Ints


def no_offers(opportunities: int, terms: int) -> Offers:
    shape = opportunities, terms
    return Offers(
        asked=np.zeros(shape, dtype=np.bool_),
        bound=np.full(shape, TOO_SMALL, dtype=np.int64),
        exact=np.full(shape, TOO_SMALL, dtype=np.int64),
        expected=np.full(shape, LARGEST, dtype=np.int64),
        dear=np.zeros(shape, dtype=np.bool_),
        capital=np.zeros(shape, dtype=np.int64),
        gas=np.zeros(shape, dtype=np.int64),
    )


class Accounts(NamedTuple):
    """By strategy, at the end of the block: money bound, trades of the day, a limit's code."""

    capital: Ints
    gas: Ints
    trades: Ints
    limit: Codes


class Verdicts(NamedTuple):
    """A row for each opportunity: by strategy its code or TAKEN, and where that is a threshold the
    best there was, NOTHING of dust. takers: how many take it."""

    reasons: Codes
    best: Ints
    takers: Ints


def costs_of(terms: TermsColumns, gas: float, flash_gas: float, prices: GasPrices) -> Floats:
    """By terms: what a trade costs in micro-USD that uses so much gas, and bids as they say."""
    fee = np.where(terms.fee < 0, prices.fee, terms.fee)
    measured = np.where(terms.flash, flash_gas, gas) * (prices.base_fee + fee) * prices.wei
    costs: Floats = np.where(terms.fixed_cost < 0, measured, terms.fixed_cost)
    return costs


@kernel
def bound_nets(
    rows: Ints,
    has_price: Mask,
    t: Table,
    pieces: Floats,
    prices: PriceList,
    refusals: Codes,
    terms: TermsColumns,
    classes: Classes,
    offers: Offers,
) -> None:
    """What each of the terms could net at most from these rows of open cycles; TOO_SMALL where it
    buys nothing. Marks what could be enough for somebody.

    refusals: by row and scope.
    """
    for at in range(len(rows)):
        if not has_price[at]:
            continue
        row = rows[at]
        first, start = t.first[row], t.start[row]
        end, best, mix = first + t.number[row], t.amount_in[row], t.mix[row]
        bound = offers.bound[at]
        for k in range(len(terms.size)):
            if terms.size[k] >= prices.least_size[start]:
                bound[k] = net_at_most(pieces, first, end, best, prices, start, mix, terms, k)
                offers.exact[at, k] = bound[k]
        spread_ppm = (t.rate[row] - 1.0) * PPM
        for i in range(len(classes.scope)):
            k = classes.terms[i]
            if (
                refusals[at, classes.scope[i]] == TAKEN
                and spread_ppm >= classes.min_spread[i]
                and bound[k] != TOO_SMALL
                and bound[k] >= classes.least[i]
            ):
                offers.asked[at, k] = True


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
def reason_against(
    spread_ppm: float,
    min_spread: int,
    net: int,
    min_profit: int,
    expected: int,
    min_expected: int,
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
    if expected < min_expected:
        return EXPECTED
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
    rows: Ints,
    has_price: Mask,
    t: Table,
    dust: Floats,
    refusals: Codes,
    offers: Offers,
    thresholds: Thresholds,
    accounts: Accounts,
    busy: Mask,
    verdicts: Verdicts,
) -> None:
    """Each strategy's reason against each of these rows.

    dust: by start token. refusals: by row and scope. busy: by row and strategy.
    """
    for at in range(len(rows)):
        row = rows[at]
        spread_ppm = (t.rate[row] - 1.0) * PPM
        is_dust = t.profit[row] < dust[t.start[row]]
        for i in range(len(thresholds.scope)):
            k = thresholds.terms[i]
            code = int(refusals[at, thresholds.scope[i]])
            best = 0
            if code == TAKEN and not has_price[at]:
                code = NO_PRICE
            elif code == TAKEN:
                code = reason_against(
                    spread_ppm,
                    thresholds.min_spread[i],
                    offers.exact[at, k],
                    thresholds.min_profit[i],
                    offers.expected[at, k],
                    thresholds.min_expected[i],
                    offers.dear[at, k],
                    accounts.capital[i] + offers.capital[at, k],
                    thresholds.capital[i],
                    accounts.gas[i] + offers.gas[at, k],
                    thresholds.gas_balance[i],
                    int(accounts.limit[i]),
                    busy[at, i],
                )
                if code == SPREAD:
                    best = floor(spread_ppm)
                elif code == PROFIT:
                    has_chance = offers.bound[at, k] >= thresholds.min_profit[i]
                    best = offers.exact[at, k] if has_chance else offers.bound[at, k]
                elif code == EXPECTED:
                    best = offers.expected[at, k]
                elif code == TAKEN:
                    verdicts.takers[at] += 1
            verdicts.best[at, i] = NOTHING if is_dust else best
            verdicts.reasons[at, i] = code
