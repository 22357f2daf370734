"""Compiled: why not, for all open cycles that earn nobody's minimum, without looking at most.

A cycle counts for a scope by what does not change while its pools stay as they are: the reason that
refuses it there, or its start token and which of the thresholds on spreads it reaches. So sums of
these are kept, and changed where a cycle changes; what gas and prices make of them is worked out
anew in every block from the sums alone. The nearest misses are looked for among the few that could
pay for their gas.
"""

from __future__ import annotations

from math import floor
from typing import NamedTuple

import numpy as np

from dexarb.compiled import kernel, kernel_part
from dexarb.core.trade import REASON_CODE, REASONS, SkipReason
from dexarb.core.units import PPM
from dexarb.search.merge import Small, Table
from dexarb.search.probe import Graph
from dexarb.trading.decide.arrays import TAKEN, Codes, Ints
from dexarb.trading.decide.columns import Classes, TermsColumns
from dexarb.trading.decide.rules import (
    MARGIN,
    NO_PRICE,
    PROFIT,
    ROUNDINGS,
    SIZE,
    SPREAD,
    Floats,
    Mask,
    PriceList,
    net_at_most,
)
from dexarb.trading.decide.skips import NOTHING, Counters

PAIR = REASON_CODE[SkipReason.PAIR]
HOPS = REASON_CODE[SkipReason.HOPS]

NOT_COUNTED = -1


class ScopeColumns(NamedTuple):
    """pairs[scope, pair], dexes[scope, dex]: which it looks at. max_hops[scope]. spreads: the
    distinct thresholds in ppm, ascending."""

    pairs: Mask
    dexes: Mask
    max_hops: Ints
    spreads: Ints


class Counted(NamedTuple):
    """As what a row of the table was counted. codes[row, scope]: the reason against it, or TAKEN.
    reached[row]: how many thresholds on spreads, or NOT_COUNTED. start[row]. entered[row]: whose
    codes and start these are, see `merge.Table`."""

    codes: Codes
    reached: Small
    start: Small
    entered: Ints


class Sums(NamedTuple):
    """refused[scope, reason]. allowed[scope, start token, thresholds reached]."""

    refused: Ints
    allowed: Ints


def no_sums(scopes: int, starts: int, thresholds: int) -> Sums:
    return Sums(
        np.zeros((scopes, len(REASONS)), dtype=np.int64),
        np.zeros((scopes, starts, thresholds + 1), dtype=np.int64),
    )


@kernel
def recount(
    rows: Ints,
    t: Table,
    g: Graph,
    dex_of: Small,
    scopes: ScopeColumns,
    counted: Counted,
    sums: Sums,
) -> None:
    """These rows have been set or freed; some are named more than once."""
    for i in range(len(rows)):
        row, reached = rows[i], NOT_COUNTED
        if t.edges[row, 0] >= 0:
            spread_ppm = (t.rate[row] - 1.0) * PPM
            reached = 0
            while reached < len(scopes.spreads) and spread_ppm >= scopes.spreads[reached]:
                reached += 1
        # Most cycles stay open, at a rate that changes nothing.
        is_known = counted.entered[row] == t.entered[row]
        if is_known and counted.reached[row] == reached:
            continue
        if counted.reached[row] != NOT_COUNTED:
            add(sums, counted, row, -1)
        counted.reached[row] = reached
        if reached == NOT_COUNTED:
            continue
        if not is_known:
            for scope in range(len(scopes.max_hops)):
                counted.codes[row, scope] = refusal(t, g, dex_of, scopes, row, scope)
            counted.start[row], counted.entered[row] = t.start[row], t.entered[row]
        add(sums, counted, row, 1)


@kernel_part
def refusal(t: Table, g: Graph, dex_of: Small, scopes: ScopeColumns, row: int, scope: int) -> int:
    """Every hop is one of the pairs; not more hops than allowed; only the DEXes given."""
    hops = 0
    strange = False
    while hops < 4 and t.edges[row, hops] >= 0:
        edge = t.edges[row, hops]
        if not scopes.pairs[scope, g.lane_of[edge] >> 1]:
            return PAIR
        if not scopes.dexes[scope, dex_of[g.slot_of[edge]]]:
            strange = True
        hops += 1
    if strange or hops > scopes.max_hops[scope]:
        return HOPS
    return TAKEN


@kernel
def add_all(rows: Ints, counted: Counted, sums: Sums, times: int) -> None:
    """Count these rows so many times more."""
    for i in range(len(rows)):
        add(sums, counted, rows[i], times)


@kernel_part
def add(sums: Sums, counted: Counted, row: int, times: int) -> None:
    start, reached = counted.start[row], counted.reached[row]
    for scope in range(counted.codes.shape[1]):
        code = counted.codes[row, scope]
        if code >= 0:
            sums.refused[scope, code] += times
        else:
            sums.allowed[scope, start, reached] += times


@kernel
def count_sums(
    sums: Sums, prices: PriceList, sizes: Ints, classes: Classes, below: Ints, counters: Counters
) -> None:
    """What the sums mean for each class of strategies. sizes: by terms. below: scratch of the shape
    of `sums.allowed`."""
    scopes, starts, reaches = sums.allowed.shape
    for scope in range(scopes):
        for start in range(starts):
            total = 0
            for reached in range(reaches):
                total += sums.allowed[scope, start, reached]
                below[scope, start, reached] = total
    for i in range(len(classes.scope)):
        scope = classes.scope[i]
        for code in range(sums.refused.shape[1]):
            counters.times[code, i] += sums.refused[scope, code]
        for start in range(starts):
            every = below[scope, start, reaches - 1]
            if prices.unit[start] == 0.0:
                counters.times[NO_PRICE, i] += every
                continue
            missed = below[scope, start, classes.threshold[i]]
            counters.times[SPREAD, i] += missed
            too_small = sizes[classes.terms[i]] < prices.least_size[start]
            counters.times[SIZE if too_small else PROFIT, i] += every - missed


@kernel
def worth_a_look(
    among: Small, t: Table, units: Floats, dust: Floats, rows: Ints, values: Floats
) -> int:
    """Gives the rows of these that are not dust and have a price, and what they could be worth at
    most, in micro-USD; returns how many. units, dust: by start token."""
    number = 0
    for i in range(len(among)):
        row = among[i]
        start, profit = t.start[row], t.profit[row]
        if profit >= dust[start] and units[start] > 0.0:
            # More than the margin of the rules: sums of floats come out a little different here.
            most = profit + 2.0 * MARGIN * (2.0 * t.amount_in[row] + profit)
            rows[number], values[number] = row, most * units[start]
            number += 1
    return number


@kernel
def nearest(
    rows: Ints,
    values: Floats,
    in_order: int,
    t: Table,
    pieces: Floats,
    counted: Counted,
    prices: PriceList,
    terms: TermsColumns,
    least_cost: Floats,
    classes: Classes,
    best_spread: Ints,
    block: int,
    counters: Counters,
) -> None:
    """The nearest misses of each class of strategies among these rows, which have prices.

    values: no less than what each row could earn, in micro-USD before gas and bid; the first
    `in_order` of them are descending, and no less than the others. least_cost: by terms, no more
    than what any trade costs. best_spread: scratch by scope and thresholds reached.
    """
    best_spread[:] = NOTHING
    for at in range(len(rows)):
        row = rows[at]
        spread = floor((t.rate[row] - 1.0) * PPM)
        for scope in range(len(best_spread)):
            if counted.codes[row, scope] == TAKEN:
                reached = counted.reached[row]
                best_spread[scope, reached] = max(best_spread[scope, reached], spread)
    for i in range(len(classes.scope)):
        scope, k, threshold = classes.scope[i], classes.terms[i], classes.threshold[i]
        best = NOTHING
        for reached in range(threshold + 1):
            best = max(best, best_spread[scope, reached])
        if best != NOTHING:
            counters.best[SPREAD, i], counters.block[SPREAD, i] = best, block
        best = NOTHING
        for at in range(len(rows)):
            most = values[at] + ROUNDINGS
            if best != NOTHING and most * terms.keep[k] - least_cost[k] <= best:
                if at < in_order:
                    break
                continue
            row = rows[at]
            if (
                counted.codes[row, scope] == TAKEN
                and counted.reached[row] > threshold
                and terms.size[k] >= prices.least_size[t.start[row]]
            ):
                first = t.first[row]
                net = net_at_most(
                    pieces,
                    first,
                    first + t.number[row],
                    t.amount_in[row],
                    prices,
                    t.start[row],
                    t.mix[row],
                    terms,
                    k,
                )
                best = max(best, net)
        if best != NOTHING:
            counters.best[PROFIT, i], counters.block[PROFIT, i] = best, block
