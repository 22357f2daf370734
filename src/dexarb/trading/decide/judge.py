"""A block's opportunities against a table of strategies: reasons, offers and counts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from dexarb.core.pool import PoolKey
from dexarb.core.route import Cycle
from dexarb.core.token import Address
from dexarb.core.trade import REASON_CODE, Opportunity, SkipReason
from dexarb.core.units import PPM
from dexarb.search.cycles import CycleIndex
from dexarb.search.open_cycles import OpenCycles
from dexarb.trading import episodes
from dexarb.trading.decide import near_misses
from dexarb.trading.decide.arrays import LARGEST, TAKEN, Codes, Ints
from dexarb.trading.decide.batch import Batch, Wanted
from dexarb.trading.decide.columns import StrategyColumns
from dexarb.trading.decide.desk import Account, Desk, Offer
from dexarb.trading.decide.near_misses import NearMisses
from dexarb.trading.decide.pricing import gas_market, nothing_valued, price
from dexarb.trading.decide.rules import (
    DAILY_TRADES,
    TOO_SMALL,
    Accounts,
    Floats,
    GasPrices,
    Mask,
    Offers,
    PriceList,
    Verdicts,
    bound_nets,
    no_offers,
    reason_against,
    reasons_against,
)
from dexarb.trading.decide.skips import (
    Counters,
    SkipTally,
    count,
    count_classes,
    no_counts,
)
from dexarb.trading.decide.taking import Wishes, take, wishes
from dexarb.trading.models.least_gas import LeastGas
from dexarb.trading.seams import View

STALE = REASON_CODE[SkipReason.STALE]
NOT_EXECUTABLE = REASON_CODE[SkipReason.NOT_EXECUTABLE]

CELLS = 2**20
"""Opportunities times strategies that are judged at once."""


class Judge:
    """Mutable: `start` a block, then ask. Holds nothing but the block and scratch."""

    def __init__(self, columns: StrategyColumns, desk: Desk, least_gas: LeastGas) -> None:
        self.columns = columns
        self.desk = desk
        self._least_gas = least_gas
        self._near_misses = NearMisses(columns)
        self._view: View
        self._prices: PriceList
        self._dust: Floats
        self._accounts: Accounts

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
            trades=ledger.column("day_trades")[rows],
            limit=columns.stopped_by(ledger, view.market.block.number),
        )
        return skips.counters(columns.hashes, columns.thresholds)

    def account(self, index: int) -> Account:
        """What a strategy has bound before it decides in this block."""
        accounts = self._accounts
        return Account(
            capital=int(accounts.capital[index]),
            gas=int(accounts.gas[index]),
            trades=int(accounts.trades[index]),
            limit=int(accounts.limit[index]),
        )

    def reason(
        self, index: int, opportunity: Opportunity, offer: Offer | None, account: Account
    ) -> int:
        """The code of the first reason against a trade that a strategy wants, or TAKEN, with what
        it has bound in this block already. offer: None where the size buys nothing."""
        columns, thresholds = self.columns, self.columns.thresholds
        spent = account.trades >= columns.limits.trades[index]
        gas_price = columns.settings[index].max_gas_price
        return int(
            reason_against(
                (opportunity.rate - 1.0) * PPM,
                int(thresholds.min_spread[index]),
                TOO_SMALL if offer is None else min(max(offer.net, -LARGEST), LARGEST),
                int(thresholds.min_profit[index]),
                expected_of(offer),
                int(thresholds.min_expected[index]),
                offer is not None and offer.gas_price > gas_price,
                min(account.capital + (offer.capital if offer else 0), LARGEST),
                int(thresholds.capital[index]),
                min(account.gas + (offer.gas_reserve if offer else 0), LARGEST),
                int(thresholds.gas_balance[index]),
                DAILY_TRADES if spent else account.limit,
                not account.pools.isdisjoint(opportunity.cycle.pools),
            )
        )

    def judge(self) -> Iterator[Batch]:
        """Every opportunity of the block, by ascending cycle id."""
        scan, strategies = self._view.scan, len(self.columns)
        step = max(1, CELLS // max(1, strategies))
        for first in range(0, len(scan.opportunities), step):
            opportunities = scan.opportunities[first : first + step]
            yield self._judge(opportunities, scan.offered[first : first + step])

    def _judge(self, opportunities: Sequence[Opportunity], rows: Ints) -> Batch:
        columns, prices, table = self.columns, self._prices, self._view.scan.table
        number, strategies = len(rows), len(columns)
        refusals = self._near_misses.refusals(rows)
        for at, opportunity in enumerate(opportunities):
            if self._view.bars(opportunity.cycle.id):
                refusals[at, refusals[at] == TAKEN] = NOT_EXECUTABLE
        offers = no_offers(number, len(columns.terms))
        verdicts = Verdicts(
            reasons=np.full((number, strategies), STALE, dtype=np.int8),
            best=np.zeros((number, strategies), dtype=np.int64),
            takers=np.zeros(number, dtype=np.int64),
        )
        batch = Batch(opportunities, rows, refusals, verdicts, offers)
        if self._view.stale:
            return batch
        has_price = prices.unit[table.rows.start[rows]] > 0.0
        has_price &= [self.desk.can_be_true(each) for each in opportunities]
        bound_nets(
            rows,
            has_price,
            table.rows,
            table.pieces,
            prices,
            refusals,
            columns.terms_columns,
            columns.classes,
            offers,
        )
        busy = np.zeros((number, strategies), dtype=bool)
        asked = np.flatnonzero(offers.asked.any(axis=1)).tolist()
        for at in asked:
            busy[at] = self.busy(opportunities[at].cycle.pools)
        if asked:
            self._price(opportunities, rows, asked, offers)
        reasons_against(
            rows,
            has_price,
            table.rows,
            self._dust,
            refusals,
            offers,
            columns.thresholds,
            self._accounts,
            busy,
            verdicts,
        )
        return batch

    def _price(
        self,
        opportunities: Sequence[Opportunity],
        rows: Ints,
        asked: Sequence[int],
        offers: Offers,
    ) -> None:
        """Put the exact figures that are asked for into the columns. What buys nothing has no bound
        that is enough, so there are some of each."""
        columns, desk = self.columns, self.desk
        valued = nothing_valued(len(opportunities), len(columns.sizes))
        places = [
            (at, size)
            for at in asked
            for size in set(columns.exact_terms.size[offers.asked[at]].tolist())
        ]
        wanted = [(opportunities[at], int(rows[at]), columns.sizes[size]) for at, size in places]
        for (at, size), ((own, flash), profit, value) in zip(
            places, desk.valued(wanted), strict=True
        ):
            valued[at, size] = (
                _within(profit),
                _within(value),
                own.gas_units,
                flash.gas_units,
                desk.gas_limit(own),
                desk.gas_limit(flash),
            )
        price(valued, columns.exact_terms, desk.gas_market(), offers)
        for at, place in np.argwhere(offers.asked & columns.exact_terms.weighs).tolist():
            terms = columns.terms[place]
            offer = desk.offer(opportunities[at], terms)
            assert offer is not None
            offers.exact[at, place] = _within(offer.net)
            offers.expected[at, place] = expected_of(offer)
            offers.dear[at, place] = offer.gas_price > terms.max_gas_price
            offers.capital[at, place] = _within(offer.capital)
            offers.gas[at, place] = _within(offer.gas_reserve)

    def take(self, wanted: Wanted, counters: Counters) -> Iterator[tuple[int, int]]:
        """(strategy, place) of what is taken; what a strategy takes first may use up a limit or a
        pool that the next would need."""
        columns, table = self.columns, self._view.scan.table
        wished = wishes(wanted.reasons, wanted.offers, columns.thresholds)
        taken = np.zeros(len(wished.strategy), dtype=bool)
        take(
            wished,
            table.rows.edges[wanted.rows],
            table.index.graph,
            (table.rows.rate[wanted.rows] - 1.0) * PPM,
            wanted.offers,
            wanted.reasons,
            columns.thresholds,
            columns.limits.trades,
            self._accounts,
            np.empty(4 * len(wanted.rows), dtype=np.int64),
            counters,
            taken,
        )
        return zip(wished.strategy[taken].tolist(), wished.place[taken].tolist(), strict=True)

    def busy(self, pools: Sequence[PoolKey]) -> Mask:
        """Which strategies may not use one of these pools now."""
        ledger = self._view.ledger
        return ledger.busy(pools)[self.columns.rows(ledger)]

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


def _within(amount: int) -> int:
    """Cut to what a column holds."""
    return min(max(amount, -LARGEST), LARGEST)


def expected_of(offer: Offer | None) -> int:
    """For the rules: LARGEST where nobody wants to know."""
    if offer is None or offer.expected is None:
        return LARGEST
    return _within(offer.expected)


def warm_up() -> None:
    """Compile all kernels of deciding, or load them from the cache.

    Call it before the first block is wanted.
    """
    table = OpenCycles(CycleIndex((Address(""),), 4))
    episodes.warm_up(table.index)
    near_misses.warm_up(table)
    columns = StrategyColumns(())
    nothing, no_reals = columns.classes.scope, np.zeros(0)
    prices = PriceList(no_reals, nothing, no_reals, no_reals, GasPrices(0.0, 0.0, 0.0))
    codes, offers = np.zeros((0, 0), dtype=np.int8), no_offers(0, 0)
    mask, many, rows = nothing.astype(bool), offers.bound, table.rows
    counters = no_counts(0)
    bound_nets(
        nothing,
        mask,
        rows,
        table.pieces,
        prices,
        codes,
        columns.terms_columns,
        columns.classes,
        offers,
    )
    price(nothing_valued(0, 0), columns.exact_terms, gas_market(0, 0, 0), offers)
    accounts = Accounts(nothing, nothing, nothing, nothing.astype(np.int8))
    verdicts = Verdicts(codes, many, nothing)
    reasons_against(
        nothing,
        mask,
        rows,
        no_reals,
        codes,
        offers,
        columns.thresholds,
        accounts,
        offers.asked,
        verdicts,
    )
    take(
        Wishes(nothing, nothing),
        rows.edges,
        table.index.graph,
        no_reals,
        offers,
        codes,
        columns.thresholds,
        nothing,
        accounts,
        nothing,
        counters,
        mask,
    )
    reason_against(0.0, 0, 0, 0, 0, 0, False, 0, 0, 0, 0, 0, False)
    count(codes, many, 0, counters)
    count_classes(counters, columns.class_of, nothing, counters)
