"""Own strategies while a trader finds its state again."""

from __future__ import annotations

from collections.abc import Sequence

from dexarb.core.market import Market
from dexarb.core.token import Address
from dexarb.core.trade import Decision, StrategyHash
from dexarb.trading.decide.custom import OwnStrategies
from dexarb.trading.decide.skips import SkipTally
from dexarb.trading.models.value import Valuation
from dexarb.trading.seams import Decided, View


class Recorded:
    """Asks own strategies, so that they have seen every block, and lets the ledger have decided.

    What has been sent cannot be unsent by code that was changed since, is gone, or does not answer
    the same twice. Mutable: set `decisions` to those of the entry that comes next.
    """

    def __init__(self, own: OwnStrategies) -> None:
        self._own = own
        self.decisions: Sequence[Decision] = ()

    @property
    def hashes(self) -> tuple[StrategyHash, ...]:
        return self._own.hashes

    def least_gross(self, token: Address, market: Market, valuation: Valuation) -> int:
        return self._own.least_gross(token, market, valuation)

    def decide(self, view: View, skips: SkipTally) -> Decided:
        return Decided(self.decisions, self._own.decide(view, skips).incidents)
