"""Deciding again over the recorded history: what strategies said to every single opportunity.

The ledger keeps counters of reasons, not one row for every opportunity that was passed over. Since
deciding depends on nothing but the history and the strategy's own books, doing it again for a few
strategies says the rest, and the decisions it arrives at have to be those of the ledger.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from dexarb.core.block import Block
from dexarb.core.market import Market
from dexarb.core.route import Cycle
from dexarb.core.token import Address
from dexarb.core.trade import Decision, SkipCount, StrategyHash
from dexarb.store.history_reader import HistoryReader
from dexarb.store.ledger_rows import Epoch
from dexarb.study.walk import engine_on
from dexarb.trading.decide.skips import SkipTally
from dexarb.trading.decide.threshold import ThresholdStrategies
from dexarb.trading.models.reality import REALITY
from dexarb.trading.models.value import Valuation
from dexarb.trading.seams import Decided, Strategy, View
from dexarb.trading.strategy import StrategySettings


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a strategy said to an opportunity at the end of a block.

    opened: the block at whose end the episode was first seen. decision: what it sent; else skip is
    the reason, None where it took another trade of the same block first.
    """

    strategy: StrategyHash
    block: Block
    cycle: Cycle
    opened: int
    decision: Decision | None
    skip: SkipCount | None


class _Witness:
    """A strategy that is asked once more about every opportunity that it did not take."""

    def __init__(self, settings: StrategySettings) -> None:
        self._inner: Strategy = ThresholdStrategies([settings], REALITY)
        self.said: list[Verdict] = []

    @property
    def hashes(self) -> Sequence[StrategyHash]:
        return self._inner.hashes

    def least_gross(self, token: Address, market: Market, valuation: Valuation) -> int:
        return self._inner.least_gross(token, market, valuation)

    def decide(self, view: View, skips: SkipTally) -> Decided:
        decided = self._inner.decide(view, skips)
        taken = {decision.cycle.id: decision for decision in decided.decisions}
        for opportunity in view.opportunities:
            alone = replace(view, opportunities=(opportunity,), near_misses=())
            self._hear(opportunity.cycle, alone, taken.get(opportunity.cycle.id))
        for miss in view.near_misses:
            self._hear(miss.cycle, replace(view, opportunities=(), near_misses=(miss,)), None)
        return decided

    def _hear(self, cycle: Cycle, alone: View, decision: Decision | None) -> None:
        """alone: the view with this cycle and no other."""
        skip = None
        if decision is None:
            tally = SkipTally()
            self._inner.decide(alone, tally)
            skip = next(iter(tally.drain(0)), None)
        (name,) = self.hashes
        opened = alone.opened[cycle.id]
        self.said.append(Verdict(name, alone.market.block, cycle, opened, decision, skip))


def verdicts(
    reader: HistoryReader,
    settings: Sequence[StrategySettings],
    epochs: Sequence[Epoch],
    *,
    from_seq: int,
    to_seq: int,
    max_state_age_s: float,
) -> Iterator[Verdict]:
    """In order of blocks, while the strategies took part according to their epochs.

    from_seq: where the trader began to read. Raises StoreError where the history has not got it.
    """
    witnesses = {each.hash: _Witness(each) for each in settings}
    engine = engine_on(reader.keyframe(from_seq), max_state_age_s=max_state_age_s)
    active: list[StrategyHash] = []
    for entry in reader.entries(from_seq + 1, to_seq):
        taking_part = {epoch.strategy for epoch in epochs if epoch.holds(entry.seq)}
        now = [key for key in witnesses if key in taking_part]
        if now != active:
            active = now
            engine.use([witnesses[key] for key in now])
            engine.deciding = bool(now)
        engine.step(entry)
        engine.skips.drain(0)
        for witness in witnesses.values():
            yield from witness.said
            witness.said.clear()
