"""The built-in strategy: take what pays more than a threshold, all configs as columns.

Detection and sizing are done once a block for all; what differs between configs is a table that
is compared with each opportunity. Rules are those of docs/honest-fills.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from dexarb.core.market import Market
from dexarb.core.route import Cycle
from dexarb.core.token import Address
from dexarb.core.trade import Decision, StrategyHash
from dexarb.trading.decide.arrays import Codes, Ints
from dexarb.trading.decide.batch import Wanted, joined
from dexarb.trading.decide.columns import StrategyColumns
from dexarb.trading.decide.desk import Desk, as_sent_by
from dexarb.trading.decide.judge import Judge
from dexarb.trading.decide.skips import Counters, SkipTally, count
from dexarb.trading.decide.triage import Triage
from dexarb.trading.models.least_gas import LeastGas
from dexarb.trading.models.reality import Reality
from dexarb.trading.models.value import Valuation
from dexarb.trading.seams import Decided, View
from dexarb.trading.strategy import StrategySettings

Witness = Callable[[Cycle, Codes, Ints], None]
"""A cycle, and by config the code of the reason against it or TAKEN, with the best there was where
the reason is a threshold: as if the block offered nothing else."""


class ThresholdStrategies:
    """All configs of the built-in strategy. Settings fixed at construction, books in the ledger.

    witness: is shown every opportunity and then every near miss, before it is known what is sent;
    they are not counted as well then.
    """

    def __init__(
        self,
        settings: Sequence[StrategySettings],
        reality: Reality,
        *,
        witness: Witness | None = None,
    ) -> None:
        self._witness = witness
        self.columns = StrategyColumns(settings)
        self._judge = Judge(self.columns, Desk(reality), LeastGas(reality.gas))
        self._triage = Triage(self.columns, reality.gas)

    @property
    def settings(self) -> tuple[StrategySettings, ...]:
        return self.columns.settings

    @property
    def hashes(self) -> tuple[StrategyHash, ...]:
        return self.columns.hashes

    def least_gross(self, token: Address, market: Market, valuation: Valuation) -> int:
        return self._triage.least_gross(token, market, valuation)

    def decide(self, view: View, skips: SkipTally) -> Decided:
        """One decision at most per config and cycle; the reasons for all others go to `skips`."""
        if not self.hashes:
            return Decided()
        counters = self._judge.start(view, skips)
        block = view.market.block.number
        wanted: list[Wanted] = []
        takers = 0
        for batch in self._judge.judge():
            takers += int(batch.verdicts.takers.sum())
            if batch.offers.asked.any():
                wanted.append(batch.wanted())
            if self._witness is None:
                count(batch.verdicts.reasons, batch.verdicts.best, block, counters)
                continue
            for judged in batch.each():
                self._witness(judged.opportunity.cycle, judged.reasons, judged.best)
        if self._witness is None:
            self._judge.pass_over(counters)
        else:
            for near_miss in self._judge.near_misses():
                self._witness(*near_miss)
        return Decided(tuple(self._take(joined(wanted), counters)) if takers else ())

    def _take(self, wanted: Wanted, counters: Counters) -> Iterator[Decision]:
        terms_of, alike, hashes = self.columns.thresholds.terms, self.columns.alike, self.hashes
        desk, made = self._judge.desk, dict[tuple[int, int], Decision]()
        for strategy, place in self._judge.take(wanted, counters):
            # Thousands take the same, and most of them differ in what they ask for alone.
            like = made.get((place, alike[strategy]))
            if like is None:
                opportunity, settings = wanted.opportunities[place], self.settings[strategy]
                offer = desk.offer(opportunity, self.columns.terms[terms_of[strategy]])
                assert offer is not None
                like = desk.decide(opportunity, offer, settings, hashes[strategy])
                made[place, alike[strategy]] = like
                yield like
            else:
                yield as_sent_by(hashes[strategy], like)
