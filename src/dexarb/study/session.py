"""An engine on a history with a ledger that it continues: what live trading and replay share.

There is one way to find a state, at the start of a program and for a fork that goes back further
than is remembered: the newest checkpoint that lies deep enough, and from there step by step.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from dexarb.core.block import NO_ENTRY, Block, BlockRef
from dexarb.core.ledger import IntColumn
from dexarb.core.market import (
    MAX_REORG_DEPTH,
    Break,
    Entry,
    Keyframe,
    Market,
    PoolsChanged,
)
from dexarb.core.probes import BarredRoutes, Probe
from dexarb.core.saved import NO_NOUNS
from dexarb.core.token import Address
from dexarb.core.trade import SkipCount
from dexarb.core.units import SECONDS_PER_HOUR
from dexarb.errors import StateError, StoreError
from dexarb.search.result import Dust
from dexarb.search.scan import Scanner
from dexarb.store.follow import market_behind, start
from dexarb.store.history_reader import HistoryReader
from dexarb.store.ledger_db import LedgerDb
from dexarb.store.ledger_notes import FIRST_SEQ, SKIPS_SEQ, STATE_AGES, StateAge
from dexarb.store.ledger_rows import ProbeRow
from dexarb.study.booking import Counts, Unwritten, add_counts, book
from dexarb.study.checkpoint import STATE_FORMAT, SessionState, decode_state, encode_state
from dexarb.study.past import Booked, Past
from dexarb.study.searching import scanner_of
from dexarb.trading.decide.arrays import Codes, rows_of
from dexarb.trading.decide.custom import Factories
from dexarb.trading.decide.limit_columns import limit_columns, stopped
from dexarb.trading.decide.one_bot import Door, OneBot
from dexarb.trading.decide.own_strategies import OwnStrategies
from dexarb.trading.decide.recorded import Recorded
from dexarb.trading.decide.threshold import ThresholdStrategies
from dexarb.trading.decide.triage import NOBODY
from dexarb.trading.engine import Engine, Resumed
from dexarb.trading.models.reality import Reality
from dexarb.trading.seams import Executor, Step
from dexarb.trading.strategy import THRESHOLD, StrategySettings, weighs_misses

FEWEST_HOPS = 2
"""As far as the search goes before a strategy wants more."""

STRATEGIES_PER_FLUSHED_BLOCK = 34
"""Counters, of skips and of episodes seen, go to the ledger after every block for so many
strategies; more, less often."""

WORK_PER_BLOCK, WORK_PER_CHECKPOINT = 1_000, 700_000
"""A strategy in a block counts as 1, the block itself as so much. What has been done since the
newest checkpoint is done again at a restart: 694 blocks of eight strategies, 295 of ten thousand,
as checkpoints are made where counters go to the ledger."""


class Session:
    """Mutable. Feed it every entry from `from_seq` on with `take`, then call `write`; at the end
    `pause`.

    Entries that the ledger already includes are replayed with the strategies that held then, and
    nothing is written: that is how a session finds its state again behind a checkpoint.
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
        first_seq: int | None = None,
        door: Door | None = None,
        probes: Sequence[ProbeRow] = (),
        on_way: Callable[[Entry], None] = lambda _: None,
    ) -> None:
        """executor: where decisions go, new and empty. reality: the executor's. factories: of own
        strategies, by kind. first_seq: the keyframe that a new ledger begins at; without it the
        newest that lies 128 blocks deep. door: of a bot that sends; strategies on paper do not
        know of each other. probes: of a ledger that is to come out once more; they are taken up as
        its entries were. on_way: is shown the entries that a `take` goes through once more,
        which can be many. Raises StoreError."""
        self._reader = reader
        self._ledger = ledger
        self.max_state_age_s = max_state_age_s
        self._executor = executor
        self._reality = reality.on(start(reader, before=0).profile)
        self._factories = {} if factories is None else factories
        self._door = door
        self._unwritten: Unwritten | None = None
        self._announced: tuple[StrategySettings, ...] | None = None
        self.ledger_seq = ledger.seq
        self._state_ages: tuple[StateAge, ...] = ledger.note(STATE_AGES) or ()
        self._barred = BarredRoutes()
        for seq, probe in ledger.probes(barring=True):
            self._barred.add(seq, probe)
        self._recorded = [each for each in probes if each.seq > self.ledger_seq]
        self._arrived: list[Probe] = []
        self._on_way = on_way
        noted = ledger.note(FIRST_SEQ)
        first = first_seq if noted is None else noted
        self._first_seq = first if first is not None else start(reader).seq
        self._begin()

    # -- finding a state ----------------------------------------------------------------------

    def _begin(self, deepest: int | None = None) -> None:
        """From the newest checkpoint, the newest up to the block of this number where one is told;
        from the first entry where there is none. `from_seq` is what comes next then."""
        self._own = OwnStrategies(self._factories, self._reality)
        self._strategies: tuple[Recorded, ...] = ()
        self._engine: Engine | None = None
        self._settings: tuple[StrategySettings, ...] = ()
        self._limits, self._rows = limit_columns(()), rows_of(())
        self._seen: IntColumn = np.zeros(0, dtype=np.int64)
        self._blocks_since_flush = self._work = self._hour = 0
        self._is_at_block = False
        counted = self._ledger.note(SKIPS_SEQ)
        self._skips_seq = NO_ENTRY if counted is None else counted
        checkpoint = self._ledger.checkpoint(STATE_FORMAT, deepest)
        self._past = Past(self._ledger, self._reality, checkpoint.seq if checkpoint else NO_ENTRY)
        if checkpoint is None:
            self._executor.resume(None, NO_NOUNS)
            self.from_seq = self._first_seq
            if self.from_seq < self._reader.first_seq:
                raise StoreError(
                    self._ledger.path,
                    f"needs entry {self.from_seq}, and {self._reader.folder} begins at entry"
                    f" {self._reader.first_seq}",
                    "Bring the segments back that were taken out of the history, or move the"
                    " ledger away: paper-trading then starts a new one",
                )
            return
        try:
            self._resume(decode_state(checkpoint.state), checkpoint.block)
        except (StateError, LookupError, TypeError, ValueError) as error:
            raise StoreError(
                self._ledger.path, f"its checkpoint behind entry {checkpoint.seq}: {error}"
            ) from error
        self.from_seq = checkpoint.seq + 1

    def _resume(self, state: SessionState, block: BlockRef) -> None:
        seq = state.engine.seq
        market = market_behind(self._reader, seq, block)
        self._engine = self._engine_from(Resumed(market, state.engine))
        settings = self._past.taking_part(seq)
        self._own.resume([each for each in settings if each.kind != THRESHOLD], state.own)
        self.use(settings)
        self._announced = None
        self._hour = market.block.timestamp // SECONDS_PER_HOUR
        if seq == self._skips_seq:
            self._seen = self._engine.ledger.column("seen").copy()
        if seq == self.ledger_seq:
            self._caught_up(market.block)

    def _engine_from(self, begins: Keyframe | Resumed) -> Engine:
        engine = Engine(
            begins,
            self._scanner,
            self._executor,
            self._reality,
            max_state_age_s=self.max_state_age_s,
        )
        engine.barred = self._barred
        return engine

    def _reach_back(self, entry: Entry, deepest: int) -> None:
        """Find the state of now once more, from as far back as the entry goes, and remember the
        whole way."""
        announced = self._announced
        self._begin(deepest)
        entries = self._reader.entries(self.from_seq, entry.seq - 1)
        if self._engine is None:
            self._take_first(next(entries))
        self.engine.remember(entry.seq - self.from_seq + 1)
        for each in entries:
            if each.seq <= self.ledger_seq:
                self._replay(each)
            else:
                self.engine.step(each)
            self._on_way(each)
        if announced is not None:
            self.use(announced)

    def _caught_up(self, block: Block) -> None:
        """At the entry that the ledger includes last: what comes now is new. Raises StoreError."""
        self._take_over(Booked())
        if not self._past.goes_on:
            self._announced = self._settings
        if self._ledger.last_block != (block.number, block.hash):
            # A power failure can cost the history its last seconds, and with them the seqs.
            raise StoreError(
                self._ledger.path,
                f"ends at another block than entry {self.ledger_seq} of {self._reader.folder}",
                "Move it away; it belongs to another history, or to blocks that were lost",
            )

    # -- looking at it ------------------------------------------------------------------------

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

    @property
    def without_state(self) -> tuple[str, ...]:
        """Names of own strategies that do not give their state: while they take part there are no
        checkpoints."""
        lacking = set(self._own.without_state)
        return tuple(each.name for each in self._settings if each.hash in lacking)

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

    # -- going on -----------------------------------------------------------------------------

    def use(self, settings: Sequence[StrategySettings]) -> None:
        """Trade with these from the next entry on. Books of those that stay go on."""
        self._settings = tuple(settings)
        self._limits = limit_columns(self._settings)
        self._announced = self._settings
        self._own.use([each for each in self._settings if each.kind != THRESHOLD])
        built_in = [each for each in self._settings if each.kind == THRESHOLD]
        threshold = ThresholdStrategies(built_in, self._reality)
        self._strategies = (Recorded(threshold), Recorded(self._own))
        one_bot = self._door and OneBot(self._strategies, self._door)
        self.engine.use([one_bot] if one_bot else self._strategies)
        self.engine.weighing = weighs_misses(self._settings) or self._door is not None
        self.engine.search(max((each.max_hops for each in self._settings), default=FEWEST_HOPS))
        self.engine.deciding = True
        rows = self.engine.ledger.rows
        self._rows = rows_of([rows[each.hash] for each in self._settings])

    def probed(self, probes: Iterable[Probe]) -> None:
        """A node has said this: it is known from the next entry on, and written with it."""
        self._arrived += probes

    def take(self, entry: Entry) -> Step | None:
        """Move on by one entry; None for the very first one. Raises StoreError where it goes back
        further than ledger and history can tell any more."""
        if self._engine is None:
            self._take_first(entry)
            return None
        deepest = self._engine.beyond(entry)
        if deepest is not None:
            self._reach_back(entry, deepest)
        step = self._replay(entry) if entry.seq <= self.ledger_seq else self._go_on(entry)
        if deepest is not None:
            self.engine.remember(MAX_REORG_DEPTH)
        return step

    def _take_first(self, entry: Entry) -> None:
        if not isinstance(entry, Keyframe):
            raise StoreError(self._reader.folder, f"entry {entry.seq} is not a keyframe")
        self._engine = self._engine_from(entry)

    def _go_on(self, entry: Entry) -> Step:
        engine, hour = self.engine, self._hour_of(entry)
        counts: list[Counts] = []
        if hour != self._hour and self._blocks_since_flush:
            counts.append(self._counts(self._hour))
        engine.max_state_age_s = self.max_state_age_s
        probes = self._known_from(entry.seq)
        step = engine.step(entry)
        self._count_block(entry, step)
        profile = engine.market.profile
        reality = self._reality.on(profile)
        if reality != self._reality:
            # As good as another model of reality, so epochs have to tell.
            self._reality, self._announced = reality, self._settings
        if self._blocks_since_flush * STRATEGIES_PER_FLUSHED_BLOCK >= len(self._settings):
            counts.append(self._counts(hour))
        ages, age = self._state_ages, engine.max_state_age_s
        if not ages or ages[-1].max_state_age_s != age:
            ages = (*ages, StateAge(step.seq, age))
        self._unwritten = Unwritten(step, self._announced, counts, ages, probes)
        self._announced = None
        return step

    def _known_from(self, seq: int) -> Sequence[Probe]:
        """What has become known since the entry before; from this one on it counts."""
        recorded = self._recorded
        while recorded and recorded[0].seq <= seq:
            self._arrived.append(recorded.pop(0).probe)
        probes, self._arrived = self._arrived, []
        for each in probes:
            self._barred.add(seq, each)
        return probes

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
        self._count_block(entry, step)
        if entry.seq <= self._skips_seq or not self.has_begun:
            self._drain(self._hour)
        if entry.seq == self._skips_seq:
            self._seen = engine.ledger.column("seen").copy()
        if entry.seq == self.ledger_seq:
            self._caught_up(step.block)
        return step

    def _take_over(self, booked: Booked) -> None:
        """Of the next entry, what the ledger has instead of trading it again."""
        both = (booked.built_in, booked.own)
        for strategy, decisions in zip(self._strategies, both, strict=False):
            strategy.decisions = decisions
        self.engine.known_fills = booked.fills

    # -- counters -----------------------------------------------------------------------------

    def _hour_of(self, entry: Entry) -> int:
        """A break has no time of its own, nor have pools that change."""
        if isinstance(entry, Break | PoolsChanged):
            return self._hour
        return entry.block.timestamp // SECONDS_PER_HOUR

    def _count_block(self, entry: Entry, step: Step) -> None:
        self._hour = self._hour_of(entry)
        self._blocks_since_flush += 1
        self._work += WORK_PER_BLOCK + len(self._settings)
        self._is_at_block = (
            not isinstance(entry, Keyframe | Break | PoolsChanged)
            and step.block is entry.block
            and not self.engine.is_lost
        )

    def _drain(self, hour: int) -> list[SkipCount]:
        self._blocks_since_flush = 0
        return self.engine.skips.drain(hour)

    def _counts(self, hour: int) -> Counts:
        """All since the last time, up to where the engine stands, booked to an hour."""
        skips = self._drain(hour)
        seen, known = self.engine.ledger.column("seen").copy(), self._seen
        hashes = tuple(self.engine.ledger.rows)
        more = np.flatnonzero(seen != np.pad(known, (0, len(seen) - len(known))))
        self._seen = seen
        return Counts(
            self.engine.seq, skips, {hashes[row]: int(seen[row]) for row in more.tolist()}
        )

    # -- into the ledger ----------------------------------------------------------------------

    def write(self) -> None:
        """Bring the latest entry into the ledger. Raises StoreError, and can then be called
        again: nothing is lost and nothing is written twice."""
        pending = self._unwritten
        if pending is None or not self.has_begun:
            self._unwritten = None
            return
        is_due = self._work >= WORK_PER_CHECKPOINT and self._is_at_block
        if is_due and not self._blocks_since_flush:
            pending.checkpoint = self._state()
        book(self._ledger, pending, self._reality, self._first_seq)
        self.ledger_seq = pending.step.seq
        self._state_ages = tuple(pending.ages)
        self._unwritten = None

    def pause(self) -> None:
        """Bring what has been counted into the ledger and, behind a block, leave a checkpoint for
        whoever goes on. Raises StoreError."""
        if self._engine is None or self._unwritten is not None:
            return
        if self._engine.seq != self.ledger_seq:
            return
        counts = self._counts(self._hour)
        state = self._state() if self._is_at_block else None
        with self._ledger.again(self._engine.market.block) as books:
            add_counts(books, counts)
            if state is not None:
                books.add_checkpoint(STATE_FORMAT, state)

    def _state(self) -> bytes | None:
        """None while an own strategy does not give its own."""
        self._work = 0
        own = self._own.state()
        return None if own is None else encode_state(SessionState(self.engine.state(), own))
