"""A recorded history traded again into a ledger, by the very session that trades live.

Live is a replay that has not ended: the same entries and the same strategies give the same ledger.
What only a clock knows (when a trader began, took other strategies, or was given another limit on
the age of blocks) stands in the plan, by history entry.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import NamedTuple

from dexarb.core.block import NO_ENTRY, BlockUpdate
from dexarb.core.market import Entry, Keyframe, PoolsChanged
from dexarb.core.pool import PoolKey
from dexarb.core.units import SECONDS_PER_HOUR
from dexarb.errors import StoreError
from dexarb.store.history_reader import HistoryReader
from dexarb.store.ledger_db import LedgerDb
from dexarb.store.ledger_notes import FIRST_SEQ, SKIPS_SEQ, STATE_AGES, StateAge
from dexarb.store.ledger_reader import LedgerReader
from dexarb.store.ledger_rows import ProbeRow
from dexarb.study.lineup import Lineup
from dexarb.study.session import Session
from dexarb.trading.decide.custom import Factories
from dexarb.trading.decide.one_bot import Door
from dexarb.trading.models.reality import REALITY, Reality
from dexarb.trading.seams import Executor
from dexarb.trading.settle.paper_executor import PaperExecutor
from dexarb.trading.strategy import StrategySettings


@dataclass(frozen=True, slots=True)
class Plan:
    """What is replayed: history entries first_seq, a keyframe, to last_seq.

    turns: entries from which on others take part, ascending; taking_part says who. state_ages:
    ascending. eras: from which entry on which reality holds, ascending. counted_to: the last entry
    up to which the ledger is to have all counters. probes: what nodes had said, by the entry from
    which on it was known.
    """

    first_seq: int
    last_seq: int
    turns: Sequence[int]
    taking_part: Callable[[int], Sequence[StrategySettings]]
    state_ages: Sequence[StateAge]
    eras: Sequence[tuple[int, Reality]]
    counted_to: int
    probes: Sequence[ProbeRow] = ()

    @property
    def from_seq(self) -> int:
        """The first entry that strategies take part in."""
        return self.turns[0]

    @property
    def fingerprint(self) -> str:
        """Of all but where it ends: a ledger can be continued by the same plan alone."""
        facts = chain(
            (f"{each.hash} {each.name}" for seq in self.turns for each in self.taking_part(seq)),
            (f"{seq} {age}" for seq, age in self.state_ages),
            (f"{seq} {reality.hash}" for seq, reality in self.eras),
            (f"{seq} {probe.cycle.id} {probe.until_block}" for seq, probe in self.probes),
        )
        return hashlib.sha256("\n".join(facts).encode()).hexdigest()

    def max_state_age_s(self, seq: int) -> float:
        held = [age for since, age in self.state_ages if since <= seq]
        return held[-1] if held else self.state_ages[0].max_state_age_s


def plan_of(
    settings: Sequence[StrategySettings],
    max_state_age_s: float,
    *,
    first_seq: int,
    from_seq: int,
    last_seq: int,
) -> Plan:
    """The same strategies all the way. from_seq: the first entry that they take part in."""
    return Plan(
        first_seq,
        last_seq,
        (from_seq,),
        lambda _: settings,
        (StateAge(first_seq, max_state_age_s),),
        ((first_seq, REALITY),),
        last_seq,
    )


def plan_as(ledger: LedgerReader, otherwise_max_age_s: float) -> Plan:
    """What a ledger says of its own epochs. otherwise_max_age_s: where it does not tell that limit.
    Raises StoreError where it does not say enough."""
    first_seq, epochs = ledger.note(FIRST_SEQ), ledger.epochs()
    if first_seq is None or not epochs:
        raise StoreError(
            ledger.path, "has no epochs yet", "Replay the ledger of a trader that has begun"
        )
    state_ages = ledger.note(STATE_AGES) or (StateAge(first_seq, otherwise_max_age_s),)
    lineup = Lineup(ledger.strategies(), epochs)
    specs = {row.hash: row.spec for row in ledger.realities()}
    eras: list[tuple[int, Reality]] = []
    for epoch in epochs:
        spec = specs.get(epoch.reality or "")
        reality = REALITY if spec is None else REALITY.as_told(spec)
        if not eras or reality != eras[-1][1]:
            # What lies before the first epoch only warms up.
            eras.append((epoch.from_seq if eras else first_seq, reality))
    counted_to = ledger.note(SKIPS_SEQ)
    return Plan(
        first_seq,
        ledger.seq,
        [seq for seq in lineup.turns if seq <= ledger.seq],
        lineup.at,
        state_ages,
        eras,
        NO_ENTRY if counted_to is None else counted_to,
        ledger.probes(),
    )


def unlike_models(ledger: LedgerReader) -> Mapping[str, tuple[str, str]]:
    """The models of reality that the ledger was traded in, at any time, and that are other ones in
    this program: what they are there, and here. Raises StoreError."""
    unlike = {
        model: pair
        for row in ledger.realities()
        for model, pair in REALITY.unlike(row.spec).items()
    }
    if any(epoch.reality is None for epoch in ledger.epochs()):
        unlike["the model of reality"] = "not told", "that of this program"
    return unlike


class Ends(NamedTuple):
    """Where decisions go. executor: new and empty. door: of a bot that sent, else None."""

    executor: Executor
    door: Door | None = None


def on_paper(reality: Reality) -> Ends:
    return Ends(PaperExecutor(reality))


def replay(
    reader: HistoryReader,
    ledger: LedgerDb,
    plan: Plan,
    factories: Factories | None = None,
    ends: Callable[[Reality], Ends] = on_paper,
) -> Iterator[Entry]:
    """Trade the plan into the ledger; yields every entry that is taken.

    A ledger that ends before the plan does is continued; wherever it was left, it becomes that of
    one replay. factories: of own strategies, by kind. ends: of a bot, those that find in its
    journal what it sent; nothing is sent again. Raises StoreError.
    """
    lasts = [*(from_seq - 1 for from_seq, _ in plan.eras[1:]), plan.last_seq]
    for (_, reality), end in zip(plan.eras, lasts, strict=True):
        if ledger.seq < end:
            yield from _era(reader, ledger, plan, reality, end, factories, ends(reality))


def _era(
    reader: HistoryReader,
    ledger: LedgerDb,
    plan: Plan,
    reality: Reality,
    end: int,
    factories: Factories | None,
    ends: Ends,
) -> Iterator[Entry]:
    """In one reality, as one start of the trader after the other would go on."""
    session = Session(
        reader,
        ledger,
        executor=ends.executor,
        door=ends.door,
        reality=reality,
        max_state_age_s=plan.max_state_age_s(plan.first_seq),
        factories=factories,
        first_seq=plan.first_seq,
        probes=plan.probes,
    )
    turn = bisect_right(plan.turns, ledger.seq)
    for entry in reader.entries(session.from_seq, end):
        now = bisect_right(plan.turns, entry.seq)
        if now > turn and session.next_seq is not None:
            session.use(plan.taking_part(entry.seq))
            turn = now
        session.max_state_age_s = plan.max_state_age_s(entry.seq)
        session.take(entry)
        session.write()
        if entry.seq == plan.counted_to < end:
            session.pause()
        yield entry
    if end <= plan.counted_to:
        session.pause()


@dataclass(slots=True)
class Tally:
    """Mutable. Of the entries from from_seq on, which strategies took part in: what was there, and
    what of it nobody can know. It is shown all of a replay, in order.

    pools: all that were followed at any time. blocks: heights; died: blocks that were received and
    are none of them. without_receipts: places in them are not known. unseen: nobody saw when they
    arrived. backfilled: fetched after their time, so that nobody could trade on them. first, last:
    block numbers; began, ended: their times.
    """

    from_seq: int
    pools: set[PoolKey] = field(default_factory=set)
    blocks: int = 0
    died: int = 0
    without_receipts: int = 0
    unseen: int = 0
    backfilled: int = 0
    first: int | None = None
    last: int | None = None
    began: int | None = None
    ended: int | None = None
    _highest: int = -1

    def add(self, entry: Entry) -> None:
        if isinstance(entry, Keyframe):
            self.pools |= {pool.key for pool in entry.pools}
        elif isinstance(entry, PoolsChanged):
            self.pools |= {pool.key for pool in entry.joined}
        if not isinstance(entry, BlockUpdate) or entry.seq < self.from_seq:
            return
        block = entry.block
        if self.first is None:
            self.first, self.began = block.number, block.timestamp
        self.last, self.ended = block.number, block.timestamp
        self.blocks += block.number > self._highest
        self.died += block.number <= self._highest
        self._highest = max(self._highest, block.number)
        self.without_receipts += not entry.has_receipts
        self.unseen += block.seen_at is None and not entry.backfilled
        self.backfilled += entry.backfilled

    @property
    def hours(self) -> float:
        """From the first block to the last, by their own times."""
        return ((self.ended or 0) - (self.began or 0)) / SECONDS_PER_HOUR
