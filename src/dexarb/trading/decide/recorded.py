"""Strategies while a trader finds its state again."""

from __future__ import annotations

from collections.abc import Sequence

from dexarb.core.market import Market
from dexarb.core.token import Address
from dexarb.core.trade import Decision, StrategyHash
from dexarb.trading.decide.skips import SkipTally
from dexarb.trading.models.value import Valuation
from dexarb.trading.seams import Decided, Strategy, View


class Recorded:
    """Asks strategies, so that they have seen every block, and lets the ledger have decided.

    What has been sent cannot be unsent by code or models of reality that were changed since, are
    gone, or do not answer the same twice. Mutable: set `decisions` to those of the entry that comes
    next, None where they are to decide.
    """

    def __init__(self, inner: Strategy) -> None:
        self._inner = inner
        self.decisions: Sequence[Decision] | None = None

    @property
    def hashes(self) -> Sequence[StrategyHash]:
        return self._inner.hashes

    def least_gross(self, token: Address, market: Market, valuation: Valuation) -> int:
        return self._inner.least_gross(token, market, valuation)

    def decide(self, view: View, skips: SkipTally) -> Decided:
        decided = self._inner.decide(view, skips)
        return decided if self.decisions is None else Decided(self.decisions, decided.incidents)
