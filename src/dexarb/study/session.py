"""An engine on a history with a ledger that it continues: what live trading and replay share."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from dexarb.core.ledger import IntColumn
from dexarb.core.market import Break, Entry, Keyframe, Market, PoolsChanged
from dexarb.core.token import Address
from dexarb.core.trade import SkipCount, StrategyHash
from dexarb.errors import StoreError
from dexarb.search.result import Dust
from dexarb.search.scan import Scanner
from dexarb.store.follow import start
from dexarb.store.history_reader import HistoryReader
from dexarb.store.ledger_db import LedgerDb
from dexarb.store.ledger_notes import FIRST_SEQ, SKIPS_SEQ, STATE_AGES, StateAge
from dexarb.store.ledger_rows import RealityRow, StrategyRow
from dexarb.study.past import Booked, Past
from dexarb.study.searching import scanner_of
from dexarb.trading.decide.arrays import Codes
from dexarb.trading.decide.custom import Factories, OwnStrategies
from dexarb.trading.decide.limit_columns import limit_columns, stopped
from dexarb.trading.decide.recorded import Recorded
from dexarb.trading.decide.skips import SECONDS_PER_HOUR
from dexarb.trading.decide.threshold import ThresholdStrategies
from dexarb.trading.decide.triage import NOBODY
from dexarb.trading.engine import Engine
from dexarb.trading.models.reality import Reality
from dexarb.trading.seams import Executor, Step
from dexarb.trading.strategy import THRESHOLD, StrategySettings

FEWEST_HOPS = 2
"""As far as the search goes before a strategy wants more."""

STRATEGIES_PER_FLUSHED_BLOCK = 100
"""Counters, of skips and of episodes seen, go to the ledger after every block for so many
strategies; more, less often."""


class _Counted(NamedTuple):
    """Up to which entry counters go that are on the way to the ledger. seen: episodes, by row."""

    seq: int
    seen: IntColumn


@dataclass(slots=True)
class _Unwritten:
    """What one entry brings into the ledger, kept until the disk has taken it. counted: None where
    counters wait for more."""

    step: Step
    strategies: Sequence[StrategySettings] | None
    skips: Sequence[SkipCount]
    counted: _Counted | None


class Session:
    """Mutable. Feed it every entry from `from_seq` on with `take`, then call `write`.

    Entries that the ledger already includes are replayed with the strategies that held then, and
    nothing is written: that is how a session finds its state again after a crash.
    """

    def __init__(
        self,
        reader: HistoryReader,
        ledger: LedgerDb,
        *,
        executor: Executor,
        reality: Reality,
        max_state_age_s: float,
        factories: Factories | None = None,
    ) -> None:
        """executor: where decisions go, new and empty. reality: the executor's. factories: of own
        strategies, by kind."""
        self._reader = reader
        self._ledger = ledger
        self.max_state_age_s = max_state_age_s
        self._executor = executor
        self._reality = reality
        self._own = OwnStrategies({} if factories is None else factories, reality)
        self._strategies: tuple[Recorded, ...] = ()
        self._engine: Engine | None = None
        self._settings: tuple[StrategySettings, ...] = ()
        self._limits, self._rows = limit_columns(()), np.zeros(0, dtype=np.intp)
        self._unwritten: _Unwritten | None = None
        self._announced: tuple[StrategySettings, ...] | None = None
        self._seen: IntColumn = np.zeros(0, dtype=np.int64)
        self._blocks_since_flush = 0
        self._hour = 0
        self.ledger_seq = ledger.seq
        self._skips_seq = ledger.note(SKIPS_SEQ) or 0
        self._state_ages = ledger.note(STATE_AGES) or ()
        self._past = Past(ledger, reality)
        first = ledger.note(FIRST_SEQ)
        self.from_seq = first if first is not None else start(reader).seq

    @property
    def engine(self) -> Engine:
        """Raises StoreError before the first entry."""
        if self._engine is None:
            raise StoreError(self._reader.folder, "has no entries yet")
        return self._engine

    @property
    def next_seq(self) -> int | None:
        """The entry that comes next; None before the first one."""
        return None if self._engine is None else self._engine.seq + 1

    @property
    def has_begun(self) -> bool:
        """Whether strategies take part yet; before that the session only warms up."""
        return self._engine is not None and self._engine.deciding

    @property
    def changed_models(self) -> tuple[str, ...]:
        """Of reality, since the ledger was written last: a new epoch begins with the next entry."""
        return self._past.changed

    @property
    def settings(self) -> tuple[StrategySettings, ...]:
        return self._settings

    def stopped_by(self) -> Codes:
        """By strategy, in the order of `settings`: the code of the limit on trades or losses that
        stops it after the latest entry, or TAKEN."""
        block = self.engine.market.block.number
        return stopped(self._limits, self.engine.ledger, self._rows, block)

    def _scanner(self, market: Market, dust: Dust) -> Scanner:
        return scanner_of(
            market,
            self._reality.gas,
            max_hops=FEWEST_HOPS,
            min_gross=self._min_gross,
            dust=dust,
        )

    def _min_gross(self, token: Address) -> int:
        """The triage of the search: what is below everybody's minimum is not sized exactly."""
        if self._engine is None:
            return NOBODY
        market, valuation = self._engine.market, self._engine.valuation
        return min(
            (each.least_gross(token, market, valuation) for each in self._strategies),
            default=NOBODY,
        )

    def use(self, settings: Sequence[StrategySettings]) -> None:
        """Trade with these from the next entry on. Books of those that stay go on."""
        self._settings = tuple(settings)
        self._limits = limit_columns(self._settings)
        self._announced = self._settings
        self._own.use([each for each in self._settings if each.kind != THRESHOLD])
        built_in = [each for each in self._settings if each.kind == THRESHOLD]
        threshold = ThresholdStrategies(built_in, self._reality)
        self._strategies = (Recorded(threshold), Recorded(self._own))
        self.engine.use(self._strategies)
        self.engine.search(max((each.max_hops for each in self._settings), default=FEWEST_HOPS))
        self.engine.deciding = True
        rows = self.engine.ledger.rows
        self._rows = np.array([rows[each.hash] for each in self._settings], dtype=np.intp)

    def _take_over(self, booked: Booked) -> None:
        """Of the next entry, what the ledger has instead of trading it again."""
        both = (booked.built_in, booked.own)
        for strategy, decisions in zip(self._strategies, both, strict=False):
            strategy.decisions = decisions
        self.engine.known_fills = booked.fills

    def take(self, entry: Entry) -> Step | None:
        """Move on by one entry; None for the very first one."""
        if self._engine is None:
            if not isinstance(entry, Keyframe):
                raise StoreError(self._reader.folder, f"entry {entry.seq} is not a keyframe")
            self._engine = Engine(
                entry,
                self._scanner,
                self._executor,
                self._reality,
                max_state_age_s=self.max_state_age_s,
            )
            return None
        if entry.seq <= self.ledger_seq:
            return self._replay(entry)
        hour = self._hour_of(entry)
        skips: list[SkipCount] = []
        counted: _Counted | None = None
        if hour != self._hour and self._blocks_since_flush:
            skips += self._drain(self._hour)
            counted = self._counted()
        self._engine.max_state_age_s = self.max_state_age_s
        step = self._engine.step(entry)
        self._hour = hour
        self._blocks_since_flush += 1
        if self._blocks_since_flush * STRATEGIES_PER_FLUSHED_BLOCK >= len(self._settings):
            skips += self._drain(hour)
            counted = self._counted()
        self._unwritten = _Unwritten(step, self._announced, skips, counted)
        self._announced = None
        return step

    def _hour_of(self, entry: Entry) -> int:
        """A break has no time of its own, nor have pools that change."""
        if isinstance(entry, Break | PoolsChanged):
            return self._hour
        return entry.block.timestamp // SECONDS_PER_HOUR

    def _drain(self, hour: int) -> list[SkipCount]:
        self._blocks_since_flush = 0
        return list(self.engine.skips.drain(hour))

    def _counted(self) -> _Counted:
        return _Counted(self.engine.seq, self.engine.ledger.column("seen").copy())

    def _newly_seen(self, seen: IntColumn) -> dict[StrategyHash, int]:
        """Episode counts that the ledger does not have yet."""
        known = np.zeros_like(seen)
        known[: len(self._seen)] = self._seen
        hashes = tuple(self.engine.ledger.rows)
        return {hashes[row]: int(seen[row]) for row in np.flatnonzero(seen != known)}

    def _replay(self, entry: Entry) -> Step:
        """An entry that the ledger includes: the strategies that held then, nothing written."""
        engine = self.engine
        settings = self._past.taking_part(entry.seq)
        if settings and settings != self._settings:
            self.use(settings)
            self._announced = None
        self._take_over(self._past.booked(entry.seq))
        for seq, age in self._state_ages:
            if seq <= entry.seq:
                engine.max_state_age_s = age
        step = engine.step(entry)
        self._hour = self._hour_of(entry)
        self._blocks_since_flush += 1
        if entry.seq <= self._skips_seq or not self.has_begun:
            self._drain(self._hour)
        if entry.seq == self._skips_seq:
            self._seen = self._counted().seen
        if entry.seq == self.ledger_seq:
            self._take_over(Booked())
            if not self._past.goes_on:
                self._announced = self._settings
            if self._ledger.last_block != (step.block.number, step.block.hash):
                # A power failure can cost the history its last seconds, and with them the seqs.
                raise StoreError(
                    self._ledger.path,
                    f"ends at another block than entry {entry.seq} of {self._reader.folder}",
                    "Move it away; it belongs to another history, or to blocks that were lost",
                )
        return step

    def write(self) -> None:
        """Bring the latest entry into the ledger. Raises StoreError, and can then be called
        again: nothing is lost and nothing is written twice."""
        if self._unwritten is None or not self.has_begun:
            self._unwritten = None
            return
        pending = self._unwritten
        with self._ledger.block(pending.step.seq, pending.step.block) as books:
            if self._ledger.seq == 0:
                books.set_note(FIRST_SEQ, self.from_seq)
            if pending.strategies is not None:
                rows = [_row(each, place) for place, each in enumerate(pending.strategies)]
                reality = RealityRow(self._reality.hash, self._reality.canonical)
                books.set_strategies(rows, reality)
            books.mark_reorged(pending.step.undone)
            books.mark_evidence_reorged(pending.step.dead_blocks)
            books.void(pending.step.voided)
            books.add_fills(pending.step.fills)
            books.add_decisions(pending.step.decisions)
            books.add_evidence(pending.step.evidence)
            books.add_incidents(pending.step.incidents)
            books.add_skips(pending.skips)
            ages, age = self._state_ages, self.engine.max_state_age_s
            if not ages or ages[-1].max_state_age_s != age:
                ages = (*ages, StateAge(pending.step.seq, age))
                books.set_note(STATE_AGES, ages)
            if pending.counted is not None:
                books.set_seen(self._newly_seen(pending.counted.seen))
                books.set_note(SKIPS_SEQ, pending.counted.seq)
        self.ledger_seq = pending.step.seq
        self._state_ages = ages
        if pending.counted is not None:
            self._seen = pending.counted.seen
        self._unwritten = None


def _row(settings: StrategySettings, ordinal: int) -> StrategyRow:
    return StrategyRow(settings.hash, settings.name, settings.canonical, ordinal)
