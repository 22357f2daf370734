"""Deciding as one would write it with numpy: arrays over the strategies, a loop over what is open.

Each distinct set of terms is priced exactly once for an opportunity, thresholds are compared as
arrays, and only who wants something is looked at one by one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from dexarb.core.trade import Decision, SkipReason
from dexarb.trading.models.gas import GasModel
from dexarb.trading.seams import View
from dexarb.trading.strategy import StrategySettings
from tests.oracles.deciding import Facts, Outcome, PlainLoop, Trade

TERMS = (
    "max_trade_size_micro_usd", "funding", "priority_fee", "bid_ppm", "gas_cost_micro_usd",
    "slippage_haircut_ppm", "max_gas_price",
)  # fmt: skip
SCOPE = ("pairs", "max_hops", "dexes")
Mask = npt.NDArray[np.bool_]


class NumpyColumns(PlainLoop):
    """The rules for one trade are the plain loop's."""

    def __init__(self, settings: Sequence[StrategySettings], gas: GasModel) -> None:
        super().__init__(settings, gas)
        self.terms, self.terms_of = self._distinct(TERMS)
        self.scopes, self.scope_of = self._distinct(SCOPE)
        self.min_spread = np.array([each.min_spread_ppm for each in settings])
        self.min_profit = np.array([each.min_profit_micro_usd for each in settings])

    def _distinct(self, names: Sequence[str]) -> tuple[list[int], npt.NDArray[np.intp]]:
        """A strategy of each kind, and the kind of each strategy."""
        keys = [tuple(getattr(each, name) for name in names) for each in self.settings]
        kinds = {key: kind for kind, key in enumerate(dict.fromkeys(keys))}
        return [keys.index(key) for key in kinds], np.array([kinds[key] for key in keys])

    def decide_all(self, view: View) -> tuple[list[Decision], Counter[SkipReason]]:
        """The decisions, and how often each reason spoke against one."""
        self.view = view
        self.quotes, self.trades, self.caps = {}, {}, {}
        by_cycle = {cycle.id: row for row, cycle in view.scan.table.cycles()}
        counts: Counter[SkipReason] = Counter()
        wanted: dict[int, list[Trade]] = {}
        for opportunity in view.opportunities:
            facts = self._facts(by_cycle.pop(opportunity.cycle.id), opportunity.cycle)
            left = self._within(facts, counts)
            trades = [self._trade(opportunity, self.settings[each]) for each in self.terms]
            assert None not in trades
            nets = np.array([trade.net for trade in trades if trade])[self.terms_of]
            counts[SkipReason.PROFIT] += int(np.count_nonzero(left & (nets < self.min_profit)))
            for i in np.flatnonzero(left & (nets >= self.min_profit)).tolist():
                trade = trades[int(self.terms_of[i])]
                assert trade is not None
                wanted.setdefault(i, []).append(trade)
        for row in by_cycle.values():
            left = self._within(self._facts(row, view.scan.table.cycle(row)), counts)
            counts[SkipReason.PROFIT] += int(np.count_nonzero(left))
        outcome = Outcome()
        for i in sorted(wanted):
            self._take(i, wanted[i], outcome)
        counts.update(skip.reason for skip in outcome.skips)
        return outcome.decisions, +counts

    def _within(self, facts: Facts, counts: Counter[SkipReason]) -> Mask:
        """Who looks at it and finds the spread large enough."""
        reasons = [self._out_of_scope(each, facts) for each in self.scopes]
        for reason, times in Counter(reasons[kind] for kind in self.scope_of.tolist()).items():
            if reason is not None:
                counts[reason] += times
        allowed: Mask = np.array([reason is None for reason in reasons])[self.scope_of]
        enough = facts.spread_ppm >= self.min_spread
        counts[SkipReason.SPREAD] += int(np.count_nonzero(allowed & ~enough))
        left: Mask = allowed & enough
        return left
