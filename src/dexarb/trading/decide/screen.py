"""A block's opportunities against a table of strategies: reasons, offers and counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from dexarb.core.pool import PoolKey
from dexarb.core.trade import NearMiss, Opportunity, SkipReason
from dexarb.core.units import PPM
from dexarb.trading.decide.columns import LARGEST, TAKEN, Codes, Columns, Ints
from dexarb.trading.decide.desk import Account, Desk, Offer
from dexarb.trading.decide.rules import (
    Floats,
    Mask,
    Offers,
    Prices,
    Standing,
    ask_for,
    bound_nets,
    pass_over,
    pieces_of,
    screen,
)
from dexarb.trading.decide.skips import (
    NOTHING,
    REASON_CODE,
    Counters,
    SkipTally,
    count,
    count_kinds,
    no_counts,
)
from dexarb.trading.seams import View

STALE = REASON_CODE[SkipReason.STALE]
NO_PRICE = REASON_CODE[SkipReason.NO_PRICE]


class Judged(NamedTuple):
    """An opportunity as all strategies see it.

    reasons: by strategy a code, or TAKEN. best: where the reason is a threshold, the best there
    was. offers: by the place of the terms, those that were asked for.
    """

    opportunity: Opportunity
    reasons: Codes
    best: Ints
    offers: dict[int, Offer]
    takers: int


class Screen:
    """Mutable: `start` a block, then ask. Holds nothing but the block and scratch."""

    def __init__(self, columns: Columns, desk: Desk) -> None:
        self.columns = columns
        self.desk = desk
        terms = len(columns.terms)
        self._asked = np.zeros(terms, dtype=bool)
        self._offers = Offers(
            bound=np.zeros(terms, dtype=np.int64),
            exact=np.zeros(terms, dtype=np.int64),
            dear=np.zeros(terms, dtype=bool),
            capital=np.zeros(terms, dtype=np.int64),
            gas=np.zeros(terms, dtype=np.int64),
        )
        self._pieces: dict[str, tuple[NearMiss, Floats]] = {}
        self._view: View
        self._standing: Standing
        self._trades: Ints

    def start(self, view: View, skips: SkipTally) -> Counters:
        """Look at this block from now on; returns what to count its skips in."""
        columns, ledger = self.columns, view.ledger
        rows = columns.rows(ledger)
        self._view = view
        self.desk.open(view)
        columns.forget_closed(view.opened)
        for found in (view.opportunities, view.near_misses):
            for cycle in (each.cycle for each in found):
                if view.opened.get(cycle.id) == view.market.block.number:
                    wanted = columns.refusals(view.market, cycle) == TAKEN
                    ledger.see(rows[wanted[columns.thresholds.scope]])
        self._standing = Standing(
            capital=ledger.column("open_capital_micro_usd")[rows],
            gas=ledger.column("open_gas_micro_usd")[rows],
            limit=columns.limits(ledger, view.market.block.number),
            busy=np.zeros(len(columns), dtype=bool),
        )
        self._trades = ledger.column("day_trades")[rows]
        thresholds = columns.thresholds
        return skips.counters(columns.hashes, thresholds.min_spread, thresholds.min_profit)

    def account(self, index: int) -> Account:
        """What a strategy has bound before it decides in this block."""
        standing = self._standing
        return Account(
            capital=int(standing.capital[index]),
            gas=int(standing.gas[index]),
            trades=int(self._trades[index]),
            limit=int(standing.limit[index]),
        )

    def judge(self) -> Iterator[Judged]:
        """Every opportunity of the block, by ascending cycle id."""
        for opportunity in sorted(self._view.opportunities, key=lambda each: each.cycle.id):
            yield self._judge(opportunity)

    def _judge(self, opportunity: Opportunity) -> Judged:
        view, columns = self._view, self.columns
        reasons = np.empty(len(columns), dtype=np.int8)
        best = np.zeros(len(columns), dtype=np.int64)
        if view.stale:
            reasons[:] = STALE
            return Judged(opportunity, reasons, best, {}, 0)
        refusals = columns.refusals(view.market, opportunity.cycle)
        prices = self.desk.prices(opportunity)
        if prices is None:
            reasons[:] = np.where(refusals == TAKEN, NO_PRICE, refusals)[columns.thresholds.scope]
            return Judged(opportunity, reasons, best, {}, 0)
        spread_ppm = (opportunity.rate - 1.0) * PPM
        bound = self._offers.bound
        bound_nets(pieces_of(opportunity.curve), prices, columns.terms_columns, bound)
        offers: dict[int, Offer] = {}
        np.copyto(self._offers.exact, bound)
        if ask_for(refusals, spread_ppm, bound, columns.kinds, self._asked):
            for place in np.flatnonzero(self._asked).tolist():
                self._ask(opportunity, place, offers)
            np.copyto(self._standing.busy, self.busy(opportunity.cycle.pools))
        takers = screen(
            refusals, spread_ppm, self._offers, columns.thresholds, self._standing, reasons, best
        )
        return Judged(opportunity, reasons, best, offers, takers)

    def _ask(self, opportunity: Opportunity, place: int, offers: dict[int, Offer]) -> None:
        terms = self.columns.terms[place]
        offer = self.desk.offer(opportunity, terms)
        assert offer is not None  # what buys nothing has no bound that is enough
        offers[place] = offer
        row = self._offers
        row.exact[place] = min(max(offer.net, -LARGEST), LARGEST)
        row.dear[place] = offer.gas_price > terms.max_gas_price
        row.capital[place] = min(offer.capital, LARGEST)
        row.gas[place] = min(offer.gas_reserve, LARGEST)

    def busy(self, pools: Sequence[PoolKey]) -> Mask:
        """Which strategies may not use one of these pools now."""
        ledger = self._view.ledger
        by_row = np.zeros(len(ledger.rows), dtype=bool)
        by_row[ledger.busy_rows(pools)] = True
        return by_row[self.columns.rows(ledger)]

    def pass_over(self, counters: Counters) -> None:
        """Count the open cycles that earn nobody's minimum."""
        view = self._view
        if not view.near_misses:
            return
        if view.stale:
            counters.times[STALE] += len(view.near_misses)
            return
        known, self._pieces = self._pieces, {}
        for miss in view.near_misses:
            before = known.get(miss.cycle.id)
            if before is None or before[0] is not miss:
                before = (miss, pieces_of(miss.curve))
            self._pieces[miss.cycle.id] = before
        self._count_misses(view.near_misses, counters)

    def reasons_against(self, miss: NearMiss) -> tuple[Codes, Ints]:
        """By strategy, why a near miss that `pass_over` has counted is none of theirs, and the
        best there was where the reason is a threshold."""
        columns = self.columns
        best = np.zeros(len(columns), dtype=np.int64)
        if self._view.stale:
            return np.full(len(columns), STALE, dtype=np.int8), best
        alone = no_counts(len(columns))
        self._count_misses((miss,), alone)
        reasons = alone.times.argmax(axis=0).astype(np.int8)
        known = alone.best[reasons, np.arange(len(columns))]
        return reasons, np.where(known == NOTHING, best, known)

    def _count_misses(self, misses: Sequence[NearMiss], counters: Counters) -> None:
        view, columns = self._view, self.columns
        block = view.market.block.number
        kinds = no_counts(len(columns.kinds.scope))
        for miss in misses:
            refusals = columns.refusals(view.market, miss.cycle)
            prices = self.desk.prices(miss)
            if prices is None:
                codes = np.where(refusals == TAKEN, NO_PRICE, refusals)[columns.kinds.scope]
                count(codes, kinds.best[NO_PRICE], block, kinds)
                continue
            _, pieces = self._pieces[miss.cycle.id]
            bound_nets(pieces, prices, columns.terms_columns, self._offers.bound)
            spread_ppm = (miss.rate - 1.0) * PPM
            pass_over(refusals, spread_ppm, self._offers.bound, columns.kinds, kinds, block)
        count_kinds(kinds, columns.kind_of, columns.thresholds.min_profit, counters)


def warm_up() -> None:
    """Compile all kernels of deciding, or load them from the cache.

    Call it before the first block is wanted.
    """
    columns = Columns(())
    nothing, no_spread = columns.kinds.scope, 0.0
    codes, reals = nothing.astype(np.int8), nothing.astype(np.float64)
    mask = nothing.astype(bool)
    offers = Offers(nothing, nothing, mask, nothing, nothing)
    counters = no_counts(0)
    prices = Prices(1.0, 1.0, 1, 1.0, 1.0, 1.0, 1.0)
    bound_nets(reals.reshape(-1, 4), prices, columns.terms_columns, nothing)
    ask_for(codes, no_spread, nothing, columns.kinds, mask)
    standing = Standing(nothing, nothing, codes, mask)
    screen(codes, no_spread, offers, columns.thresholds, standing, codes, nothing)
    pass_over(codes, no_spread, nothing, columns.kinds, counters, 0)
    count(codes, nothing, 0, counters)
    count_kinds(counters, columns.kind_of, nothing, counters)
