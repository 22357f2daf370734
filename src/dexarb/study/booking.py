"""From one step of a session into its ledger: all of it, in one transaction, or nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dexarb.core.block import NO_ENTRY
from dexarb.core.probes import Probe
from dexarb.core.trade import SkipCount, StrategyHash
from dexarb.store.ledger_db import BlockBooks, LedgerDb
from dexarb.store.ledger_notes import FIRST_SEQ, SKIPS_SEQ, STATE_AGES, StateAge
from dexarb.store.ledger_rows import RealityRow, StrategyRow
from dexarb.study.checkpoint import STATE_FORMAT
from dexarb.trading.models.reality import Reality
from dexarb.trading.seams import Step
from dexarb.trading.strategy import StrategySettings


class Counts(NamedTuple):
    """What counters have come to since the last time, up to entry seq. seen: all episodes of the
    strategies that have seen more."""

    seq: int
    skips: Sequence[SkipCount]
    seen: Mapping[StrategyHash, int]


@dataclass(slots=True)
class Unwritten:
    """What one entry brings into the ledger, kept until the disk has taken it.

    strategies: None where they go on as they are. counts: None or several where counters wait for
    more, or an hour ends. ages: all of the ledger. probes: known from this entry on.
    checkpoint: of the state behind the entry, where there is one.
    """

    step: Step
    strategies: Sequence[StrategySettings] | None
    counts: Sequence[Counts]
    ages: Sequence[StateAge]
    probes: Sequence[Probe] = ()
    checkpoint: bytes | None = None


def book(ledger: LedgerDb, pending: Unwritten, reality: Reality, first_seq: int) -> None:
    """first_seq: the entry that the session began to read at. Raises StoreError, and can then be
    called again: nothing is lost and nothing is written twice."""
    step = pending.step
    with ledger.block(step.seq, step.block) as books:
        if ledger.seq == NO_ENTRY:
            books.set_note(FIRST_SEQ, first_seq)
        if pending.strategies is not None:
            rows = [_row(each, place) for place, each in enumerate(pending.strategies)]
            books.set_strategies(rows, RealityRow(reality.hash, reality.canonical))
        books.mark_reorged(step.undone)
        books.mark_evidence_reorged(step.dead_blocks)
        books.drop_checkpoints(step.dead_blocks)
        books.void(step.voided)
        books.add_fills(step.fills)
        books.add_decisions(step.decisions)
        books.add_evidence(step.evidence)
        books.add_incidents(step.incidents)
        books.add_probes(pending.probes)
        if pending.ages and pending.ages[-1].from_seq == step.seq:
            books.set_note(STATE_AGES, tuple(pending.ages))
        for counts in pending.counts:
            add_counts(books, counts)
        if pending.checkpoint is not None:
            books.add_checkpoint(STATE_FORMAT, pending.checkpoint)


def add_counts(books: BlockBooks, counts: Counts) -> None:
    books.add_skips(counts.skips)
    books.set_seen(counts.seen)
    books.set_note(SKIPS_SEQ, counts.seq)


def _row(settings: StrategySettings, ordinal: int) -> StrategyRow:
    return StrategyRow(settings.hash, settings.name, settings.canonical, ordinal)
