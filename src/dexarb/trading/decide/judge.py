"""A block's opportunities against a table of strategies: reasons, offers and counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from dexarb.core.pool import PoolKey
from dexarb.core.route import Cycle
from dexarb.core.token import Address
from dexarb.core.trade import Opportunity, SkipReason
from dexarb.core.units import PPM
from dexarb.search.cycles import CycleIndex
from dexarb.search.open_cycles import OpenCycles
from dexarb.trading import episodes
from dexarb.trading.decide import near_misses
from dexarb.trading.decide.columns import LARGEST, TAKEN, Codes, Ints, StrategyColumns
from dexarb.trading.decide.desk import Account, Desk, Offer
from dexarb.trading.decide.near_misses import NearMisses
from dexarb.trading.decide.rules import (
    TOO_SMALL,
    Accounts,
    Floats,
    Mask,
    Offers,
    PriceList,
    ask_for,
    bound_nets,
    reason_against,
    reasons_against,
)
from dexarb.trading.decide.skips import (
    NOTHING,
    REASON_CODE,
    Counters,
    SkipTally,
    count,
    count_classes,
    no_counts,
)
from dexarb.trading.decide.triage import LeastGas
from dexarb.trading.seams import View

STALE = REASON_CODE[SkipReason.STALE]
NO_PRICE = REASON_CODE[SkipReason.NO_PRICE]
DAILY_TRADES = REASON_CODE[SkipReason.DAILY_TRADES]


class Judged(NamedTuple):
    """An opportunity as all strategies see it.

    refusals: by scope. reasons: by strategy a code, or TAKEN. best: where the reason is a
    threshold, the best there was, NOTHING of dust. offers: by the place of the terms, those that
    were asked for.
    """

    opportunity: Opportunity
    refusals: Codes
    reasons: Codes
    best: Ints
    offers: dict[int, Offer]
    takers: int


class Judge:
    """Mutable: `start` a block, then ask. Holds nothing but the block and scratch."""

    def __init__(self, columns: StrategyColumns, desk: Desk, least_gas: LeastGas) -> None:
        self.columns = columns
        self.desk = desk
        self._least_gas = least_gas
        self._near_misses = NearMisses(columns)
        terms = len(columns.terms)
        self._asked = np.zeros(terms, dtype=bool)
        self._offers = Offers(
            bound=np.zeros(terms, dtype=np.int64),
            exact=np.zeros(terms, dtype=np.int64),
            dear=np.zeros(terms, dtype=bool),
            capital=np.zeros(terms, dtype=np.int64),
            gas=np.zeros(terms, dtype=np.int64),
        )
        self._view: View
        self._prices: PriceList
        self._dust: Floats
        self._accounts: Accounts
        self._trades: Ints

    def start(self, view: View, skips: SkipTally) -> Counters:
        """Look at this block from now on; returns what to count its skips in."""
        columns, ledger, table = self.columns, view.ledger, view.scan.table
        rows = columns.rows(ledger)
        self._view = view
        self.desk.open(view)
        self._near_misses.follow(table)
        began = table.rows_of(view.episodes.began)
        ledger.see(rows, self._near_misses.allowed(began)[columns.thresholds.scope])
        self._prices = self.desk.price_list(table)
        self._dust = np.array(
            [
                self._least_gas.dust(token, view.market, view.valuation)
                for token in table.index.start_tokens
            ]
        )
        self._accounts = Accounts(
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
        accounts = self._accounts
        return Account(
            capital=int(accounts.capital[index]),
            gas=int(accounts.gas[index]),
            trades=int(self._trades[index]),
            limit=int(accounts.limit[index]),
        )

    def reason(
        self, index: int, opportunity: Opportunity, offer: Offer | None, account: Account
    ) -> int:
        """The code of the first reason against a trade that a strategy wants, or TAKEN, with what
        it has bound in this block already. offer: None where the size buys nothing."""
        columns, thresholds = self.columns, self.columns.thresholds
        spent = account.trades >= columns.daily_trades[index]
        gas_price = columns.settings[index].max_gas_price
        return int(
            reason_against(
                (opportunity.rate - 1.0) * PPM,
                int(thresholds.min_spread[index]),
                TOO_SMALL if offer is None else min(max(offer.net, -LARGEST), LARGEST),
                int(thresholds.min_profit[index]),
                offer is not None and offer.gas_price > gas_price,
                min(account.capital + (offer.capital if offer else 0), LARGEST),
                int(thresholds.capital[index]),
                min(account.gas + (offer.gas_reserve if offer else 0), LARGEST),
                int(thresholds.gas_balance[index]),
                DAILY_TRADES if spent else account.limit,
                not account.pools.isdisjoint(opportunity.cycle.pools),
            )
        )

    def judge(self) -> Iterator[Judged]:
        """Every opportunity of the block, by ascending cycle id."""
        scan = self._view.scan
        for opportunity, row in zip(scan.opportunities, scan.offered.tolist(), strict=True):
            yield self._judge(opportunity, row)

    def _judge(self, opportunity: Opportunity, row: int) -> Judged:
        columns, prices, table = self.columns, self._prices, self._view.scan.table
        refusals = self._near_misses.refusals(row)
        reasons = np.empty(len(columns), dtype=np.int8)
        best = np.zeros(len(columns), dtype=np.int64)
        if self._view.stale:
            reasons[:] = STALE
            return Judged(opportunity, refusals, reasons, best, {}, 0)
        start, mix = int(table.rows.start[row]), int(table.rows.mix[row])
        if not prices.unit[start] or not self.desk.can_be_true(opportunity):
            reasons[:] = np.where(refusals == TAKEN, NO_PRICE, refusals)[columns.thresholds.scope]
            return Judged(opportunity, refusals, reasons, best, {}, 0)
        spread_ppm = (opportunity.rate - 1.0) * PPM
        bound, first = self._offers.bound, int(table.rows.first[row])
        end, best_size = first + int(table.rows.number[row]), float(table.rows.amount_in[row])
        terms = columns.terms_columns
        bound_nets(table.pieces, first, end, best_size, prices, start, mix, terms, bound)
        offers: dict[int, Offer] = {}
        np.copyto(self._offers.exact, bound)
        if ask_for(refusals, spread_ppm, bound, columns.classes, self._asked):
            for place in np.flatnonzero(self._asked).tolist():
                self._ask(opportunity, place, offers)
            np.copyto(self._accounts.busy, self.busy(opportunity.cycle.pools))
        takers = reasons_against(
            refusals, spread_ppm, self._offers, columns.thresholds, self._accounts, reasons, best
        )
        if table.rows.profit[row] < self._dust[start]:
            best[:] = NOTHING
        return Judged(opportunity, refusals, reasons, best, offers, takers)

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
        scan = self._view.scan
        if self._view.stale:
            counters.times[STALE] += len(scan.table) - len(scan.offered)
            return
        number = scan.block.number
        classes = self._near_misses.count(scan.offered, number, self._prices, self._dust)
        self._count_classes(classes, counters)

    def _count_classes(self, classes: Counters, counters: Counters) -> None:
        columns = self.columns
        count_classes(classes, columns.class_of, columns.thresholds.min_profit, counters)

    def near_misses(self) -> Iterator[tuple[Cycle, Codes, Ints]]:
        """One by one, by ascending cycle id: by strategy the reason against it, and the best there
        was where that is a threshold, NOTHING for dust."""
        scan, every = self._view.scan, np.arange(len(self.columns))
        offered = set(scan.offered.tolist())
        for row, cycle in scan.table.cycles():
            if row in offered:
                continue
            alone = no_counts(len(self.columns))
            if self._view.stale:
                alone.times[STALE] += 1
            else:
                number = scan.block.number
                classes = self._near_misses.count_one(row, number, self._prices, self._dust)
                self._count_classes(classes, alone)
            reasons = alone.times.argmax(axis=0).astype(np.int8)
            yield cycle, reasons, alone.best[reasons, every]


def warm_up() -> None:
    """Compile all kernels of deciding, or load them from the cache.

    Call it before the first block is wanted.
    """
    table = OpenCycles(CycleIndex((Address(""),), 4))
    episodes.warm_up(table.index)
    near_misses.warm_up(table)
    columns = StrategyColumns(())
    nothing, no_spread = columns.classes.scope, 0.0
    codes = nothing.astype(np.int8)
    mask = nothing.astype(bool)
    offers = Offers(nothing, nothing, mask, nothing, nothing)
    counters = no_counts(0)
    ask_for(codes, no_spread, nothing, columns.classes, mask)
    accounts = Accounts(nothing, nothing, codes, mask)
    reasons_against(codes, no_spread, offers, columns.thresholds, accounts, codes, nothing)
    reason_against(no_spread, 0, 0, 0, False, 0, 0, 0, 0, 0, False)
    count(codes, nothing, 0, counters)
    count_classes(counters, columns.class_of, nothing, counters)
