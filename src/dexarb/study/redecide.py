"""Deciding again over the recorded history: what strategies said to every single opportunity.

The ledger keeps counters of reasons, not one row for every opportunity that was passed over. Since
deciding depends on nothing but the history and the strategy's own books, doing it again for a few
strategies says the rest, and the decisions it arrives at have to be those of the ledger.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dexarb.core.block import Block, BlockUpdate
from dexarb.core.market import Market
from dexarb.core.route import Cycle
from dexarb.core.token import Address
from dexarb.core.trade import REASONS, Decision, SkipReason, StrategyHash
from dexarb.store.history_reader import HistoryReader
from dexarb.store.ledger_notes import StateAge
from dexarb.store.ledger_rows import Epoch, ProbeRow
from dexarb.study.study import Died
from dexarb.study.walk import engine_on
from dexarb.trading.decide.arrays import TAKEN, Codes, Ints
from dexarb.trading.decide.columns import expected_at_least
from dexarb.trading.decide.skips import NOTHING, SkipTally
from dexarb.trading.decide.threshold import ThresholdStrategies
from dexarb.trading.models.reality import REALITY
from dexarb.trading.models.value import Valuation
from dexarb.trading.seams import Decided, View
from dexarb.trading.strategy import StrategySettings


@dataclass(frozen=True, slots=True)
class Skip:
    """Why not, as if the block offered nothing else. needed and best: where the reason is a
    threshold, as in SkipCount; no best where nobody could have earned the gas."""

    reason: SkipReason
    needed: int | None = None
    best: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a strategy said to an opportunity at the end of a block.

    opened: the block at whose end the episode was first seen. decision: what it sent; else skip is
    the reason, None where it took another trade of the same block first.
    """

    strategy: StrategyHash
    cycle: Cycle
    opened: int
    decision: Decision | None
    skip: Skip | None


@dataclass(frozen=True, slots=True)
class Redecided:
    """A block, with what every strategy that took part said to everything that was open."""

    block: Block
    verdicts: Sequence[Verdict]


class _Witness:
    """Strategies whose reasons are written down."""

    def __init__(self, settings: Sequence[StrategySettings]) -> None:
        self._inner = ThresholdStrategies(settings, REALITY, witness=self._note)
        self._needed: list[Mapping[SkipReason, int]] = [
            {
                SkipReason.SPREAD: each.min_spread_ppm,
                SkipReason.PROFIT: each.min_profit_micro_usd,
                SkipReason.EXPECTED: expected_at_least(each),
            }
            for each in settings
        ]
        self._reasons: list[tuple[Cycle, list[Skip | None]]] = []
        self._verdicts: list[Verdict] = []

    @property
    def hashes(self) -> Sequence[StrategyHash]:
        return self._inner.hashes

    def least_gross(self, token: Address, market: Market, valuation: Valuation) -> int:
        return self._inner.least_gross(token, market, valuation)

    def decide(self, view: View, skips: SkipTally) -> Decided:
        self._reasons.clear()
        decided = self._inner.decide(view, skips)
        taken = {(each.strategy, each.cycle.id): each for each in decided.decisions}
        opened = [view.episodes.opened(cycle) for cycle, _ in self._reasons]
        self._verdicts = [
            Verdict(name, cycle, since, taken.get((name, cycle.id)), skips_of[place])
            for place, name in enumerate(self.hashes)
            for (cycle, skips_of), since in zip(self._reasons, opened, strict=True)
        ]
        return decided

    def verdicts(self) -> Sequence[Verdict]:
        """Since the last call."""
        said, self._verdicts = self._verdicts, []
        return said

    def _note(self, cycle: Cycle, reasons: Codes, best: Ints) -> None:
        said = zip(self._needed, reasons.tolist(), best.tolist(), strict=True)
        self._reasons.append((cycle, [_skip(*each) for each in said]))


def _skip(needed: Mapping[SkipReason, int], code: int, best: int) -> Skip | None:
    if code == TAKEN:
        return None
    reason = REASONS[code]
    least = needed.get(reason)
    return Skip(reason, least, None if least is None or best == NOTHING else best)


def redecided(
    reader: HistoryReader,
    settings: Sequence[StrategySettings],
    epochs: Sequence[Epoch],
    *,
    from_seq: int,
    to_seq: int,
    state_ages: Sequence[StateAge],
    weighing_from: int | None = None,
    probes: Sequence[ProbeRow] = (),
) -> Iterator[Redecided | Died]:
    """Block after block, while the strategies took part according to their epochs.

    from_seq: where the trader began to read. state_ages: which limit held when, ascending.
    weighing_from: the entry from which on the trader has counted chances, None for never. probes:
    those of its ledger that bar routes. Raises StoreError where the history has not got it.
    """
    witness = _Witness(())
    engine = engine_on(reader.keyframe(from_seq))
    for seq, probe in probes:
        engine.barred.add(seq, probe)
    active: list[StrategySettings] = []
    for entry in reader.entries(from_seq + 1, to_seq):
        taking_part = {epoch.strategy for epoch in epochs if epoch.holds(entry.seq)}
        now = [each for each in settings if each.hash in taking_part]
        if now != active:
            active, witness = now, _Witness(now)
            engine.use([witness])
            engine.deciding = bool(now)
        engine.weighing = weighing_from is not None and entry.seq >= weighing_from
        for since, age in state_ages:
            if since <= entry.seq:
                engine.max_state_age_s = age
        step = engine.step(entry)
        engine.skips.clear()
        if step.rewound_to is not None:
            yield Died(step.rewound_to)
        if isinstance(entry, BlockUpdate) and step.block is entry.block and not engine.is_lost:
            yield Redecided(entry.block, witness.verdicts())
