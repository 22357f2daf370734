"""The built-in strategy: take what pays more than a threshold, all configs as columns.

Detection and sizing are done once a block for all; what differs between configs is a table that
is compared with each opportunity. Rules are those of docs/honest-fills.md.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import numpy as np

from dexarb.core.market import Market
from dexarb.core.route import Cycle
from dexarb.core.token import Address
from dexarb.core.trade import Decision, StrategyHash
from dexarb.trading.decide.columns import TAKEN, Codes, Ints, StrategyColumns
from dexarb.trading.decide.desk import Account, Desk
from dexarb.trading.decide.judge import Judge, Judged
from dexarb.trading.decide.rules import POOL_BUSY
from dexarb.trading.decide.skips import Counters, SkipTally, count
from dexarb.trading.decide.triage import LeastGas, Triage
from dexarb.trading.models.reality import Reality
from dexarb.trading.models.value import Valuation
from dexarb.trading.seams import Decided, View
from dexarb.trading.strategy import StrategySettings

Witness = Callable[[Cycle, Codes, Ints], None]
"""A cycle, and by config the code of the reason against it or TAKEN, with the best there was where
the reason is a threshold: as if the block offered nothing else."""


class ThresholdStrategies:
    """All configs of the built-in strategy. Settings fixed at construction, books in the ledger.

    witness: is shown every opportunity and then every near miss, before it is known what is sent.
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
        wanted: list[Judged] = []
        takers = 0
        for batch in self._judge.judge():
            count(batch.verdicts.reasons, batch.verdicts.best, block, counters)
            takers += int(batch.verdicts.takers.sum())
            wanted += map(batch.judged, batch.offers)
            if self._witness:
                for judged in batch.each():
                    self._witness(judged.opportunity.cycle, judged.reasons, judged.best)
        self._judge.pass_over(counters)
        if self._witness:
            for near_miss in self._judge.near_misses():
                self._witness(*near_miss)
        return Decided(tuple(self._take(wanted, counters)) if takers else ())

    def _take(self, wanted: Sequence[Judged], counters: Counters) -> Iterator[Decision]:
        """Each config takes what it wants by net USD descending, then cycle id.

        What it takes first may use up a limit or a pool that the next would need.
        """
        terms_of = self.columns.thresholds.terms
        desk = self._judge.desk
        account: Account | None = None
        before = -1
        for config, place in _in_order(wanted, terms_of):
            judged, settings = wanted[place], self.settings[config]
            offer = judged.offers[int(terms_of[config])]
            if config != before:
                before, account = config, None
            if account is None:
                # Nothing has changed for it since all reasons were found.
                if judged.reasons[config] == POOL_BUSY:
                    continue
                account = self._judge.account(config)
            else:
                code = self._judge.reason(config, judged.opportunity, offer, account)
                if judged.reasons[config] == POOL_BUSY:
                    # Counted already; but what was taken before it may have used up a limit.
                    counters.times[POOL_BUSY, config] -= 1
                    code = POOL_BUSY if code == TAKEN else code
                if code != TAKEN:
                    counters.times[code, config] += 1
                    continue
            yield desk.decide(judged.opportunity, offer, settings, self.hashes[config], account)


def _in_order(wanted: Sequence[Judged], terms_of: Ints) -> Iterator[tuple[int, int]]:
    """(config, place of what it wants): configs ascending, and of each the largest net first.

    Of those that take something also what they want but cannot have, for busy pools. wanted: by
    ascending cycle id.
    """
    taking = np.zeros(len(terms_of), dtype=bool)
    for judged in wanted:
        taking |= judged.reasons == TAKEN
    configs, places, nets = [], [], []
    for place, judged in enumerate(wanted):
        wants = (judged.reasons == TAKEN) | (judged.reasons == POOL_BUSY)
        takers = np.flatnonzero(taking & wants)
        configs.append(takers)
        places.append(np.full(len(takers), place))
        nets.append(judged.nets[terms_of[takers]])
    config, at = np.concatenate(configs), np.concatenate(places)
    order = np.lexsort((at, -np.concatenate(nets), config))
    yield from zip(config[order].tolist(), at[order].tolist(), strict=True)
