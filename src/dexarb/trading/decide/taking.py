"""Who takes what: each strategy by net USD descending, then cycle id.

What it takes first may use up a limit or a pool that the next would need.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dexarb.compiled import kernel
from dexarb.search.probe import Graph
from dexarb.search.route_map import Routes
from dexarb.trading.decide.arrays import TAKEN, Codes, Ints
from dexarb.trading.decide.columns import Thresholds
from dexarb.trading.decide.rules import (
    DAILY_TRADES,
    POOL_BUSY,
    Accounts,
    Floats,
    Mask,
    Offers,
    reason_against,
)
from dexarb.trading.decide.skips import Counters


class Wishes(NamedTuple):
    """What strategies want, by strategy and then in the order in which each takes it. place: of the
    opportunity, by ascending cycle id."""

    strategy: Ints
    place: Ints


def wishes(reasons: Codes, offers: Offers, thresholds: Thresholds) -> Wishes:
    """Of those that take something also what they want but cannot have, for busy pools."""
    takers = np.flatnonzero((reasons == TAKEN).any(axis=0))
    wants = reasons[:, takers]
    who, place = np.nonzero(((wants == TAKEN) | (wants == POOL_BUSY)).T)
    strategy = takers[who]
    nets = offers.exact[place, thresholds.terms[strategy]]
    order = np.lexsort((place, -nets, strategy))
    return Wishes(strategy[order], place[order])


@kernel
def take(
    wished: Wishes,
    routes: Routes,
    g: Graph,
    spread_ppm: Floats,
    offers: Offers,
    reasons: Codes,
    thresholds: Thresholds,
    daily_trades: Ints,
    accounts: Accounts,
    held: Ints,
    counters: Counters,
    taken: Mask,
) -> None:
    """Mark which wishes come true; the others are counted with the reason against them.

    routes, spread_ppm: by place. held: scratch, room for the pools of all places.
    """
    before = -1
    capital = gas = trades = pools = 0
    for at in range(len(wished.strategy)):
        i, place = wished.strategy[at], wished.place[at]
        k = thresholds.terms[i]
        was = reasons[place, i]
        if i != before:
            before = i
            capital, gas, trades = accounts.capital[i], accounts.gas[i], accounts.trades[i]
            pools = 0
        if pools == 0:
            # Nothing has changed for it since all reasons were found.
            if was == POOL_BUSY:
                continue
        else:
            busy = False
            for hop in range(4):
                edge = routes[place, hop]
                for j in range(pools):
                    busy |= edge >= 0 and held[j] == g.slot_of[edge]
            code = reason_against(
                spread_ppm[place],
                thresholds.min_spread[i],
                offers.exact[place, k],
                thresholds.min_profit[i],
                offers.expected[place, k],
                thresholds.min_expected[i],
                offers.dear[place, k],
                capital + offers.capital[place, k],
                thresholds.capital[i],
                gas + offers.gas[place, k],
                thresholds.gas_balance[i],
                DAILY_TRADES if trades >= daily_trades[i] else int(accounts.limit[i]),
                busy,
            )
            if was == POOL_BUSY:
                # Counted already; but what was taken before it may have used up a limit.
                counters.times[POOL_BUSY, i] -= 1
                if code == TAKEN:
                    code = POOL_BUSY
            if code != TAKEN:
                counters.times[code, i] += 1
                continue
        taken[at] = True
        capital += offers.capital[place, k]
        gas += offers.gas[place, k]
        trades += 1
        for hop in range(4):
            if routes[place, hop] >= 0:
                held[pools] = g.slot_of[routes[place, hop]]
                pools += 1
