"""dexarb replay: strategies on a recorded history, into a ledger of their own."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from dexarb.config.shipped_files import CLASSIC_STRATEGIES, SAMPLE_HISTORY
from dexarb.core.block import NO_ENTRY
from dexarb.errors import InputError
from dexarb.screens.output import complain
from dexarb.screens.progress import shown
from dexarb.screens.replay_screen import Compared, ReplayedHistory, from_here
from dexarb.screens.replay_task import Task, of_config, of_ledger
from dexarb.screens.when import BlocksAsked, When
from dexarb.store.ledger_db import LedgerDb
from dexarb.store.ledger_difference import first_difference
from dexarb.store.ledger_figures import offered
from dexarb.store.ledger_notes import REPLAYED
from dexarb.store.ledger_reader import LedgerReader, read_only
from dexarb.store.trials import TrialKind, record_trial
from dexarb.study.replay import Tally, replay
from dexarb.study.totals import read_totals
from dexarb.study.warm_up import warm_up

REPLAYS = "replays"
"""The folder beside a history that ledgers of replays go to."""


def answer_sample(
    config: Path | None,
    ledger: Path | None,
    first: When | None = None,
    last: When | None = None,
    count: int | None = None,
) -> ReplayedHistory:
    """Of the history that comes with the program. config: None for the eight strategies that do.

    Raises ConfigErrors, InputError, StoreError.
    """
    asked = BlocksAsked(SAMPLE_HISTORY, config or CLASSIC_STRATEGIES, first, last, count)
    task = of_config(asked)
    if ledger is not None:
        return _replayed(task, ledger)
    with tempfile.TemporaryDirectory() as folder:
        return _replayed(task, Path(folder) / "sample.sqlite", is_kept=False)


def answer(asked: BlocksAsked, ledger: Path | None) -> ReplayedHistory:
    """With the strategies of a configuration. ledger: None for a new one beside the history.

    Raises ConfigErrors, InputError, StoreError.
    """
    task = of_config(asked)
    return _replayed(task, ledger or _new_ledger(task.reader.folder))


def answer_as(live: Path, history: Path | None, ledger: Path | None) -> ReplayedHistory:
    """With the epochs of a ledger, compared with it. history: None for the one that it names.

    Raises InputError, StoreError.
    """
    # One moment of it, also where its trader goes on meanwhile.
    with read_only(live) as known, known.at_one_moment():
        task = of_ledger(known, history)
        return _replayed(task, ledger or _new_ledger(task.reader.folder))


def _new_ledger(history: Path) -> Path:
    """A file beside the history that is not there yet."""
    folder, number = history.absolute().parent / REPLAYS, 1
    while (path := folder / f"{history.name}-{number}.sqlite").exists():
        number += 1
    return path


def _replayed(task: Task, path: Path, *, is_kept: bool = True) -> ReplayedHistory:
    reader, plan = task.reader, task.plan
    is_new = _begins(path, task)
    began = time.perf_counter()
    warm_up()
    tally, chain_id = Tally(plan.from_seq), reader.manifest.chain_id
    with LedgerDb.open(path, chain_id=chain_id, history=reader.folder) as books:
        if is_new:
            books.put_note(REPLAYED, task.note)
        known_to = books.seq
        if known_to != NO_ENTRY:
            known = reader.entries(plan.first_seq, known_to)
            for entry in shown(known, "reading what was replayed", known_to - plan.first_seq):
                tally.add(entry)
        if books.seq < plan.last_seq and reader.folder != SAMPLE_HISTORY:
            _register(task, path)
        feed = replay(reader, books, plan, task.types)
        try:
            for entry in shown(feed, "replaying", plan.last_seq - max(known_to, plan.first_seq)):
                if entry.seq > known_to:
                    tally.add(entry)
        except KeyboardInterrupt:
            if is_kept:
                complain(f"interrupted: the same with --ledger {from_here(path)} goes on")
            raise
        digest, most = books.digest(), offered(books)
        compared = _compared(task, books, digest)
    return ReplayedHistory(
        reader.folder,
        path if is_kept else None,
        digest,
        tally,
        read_totals(path, tally.ended),
        most,
        [each.name for each in task.settings if each.latency_ms is not None],
        compared,
        time.perf_counter() - began,
    )


def _register(task: Task, ledger: Path) -> None:
    """Before anybody sees a result: who stops a replay has tried it too. Raises StoreError."""
    first, last = task.blocks
    record_trial(
        task.reader.folder,
        TrialKind.REPLAY,
        [each.hash for each in task.settings],
        first_block=first,
        last_block=last,
        at=int(time.time()),
        file=str(ledger.absolute()),
    )


def _compared(task: Task, books: LedgerReader, digest: str) -> Compared | None:
    live = task.live
    if live is None:
        return None
    expected = live.digest()
    found = None if expected == digest else first_difference(live, books)
    return Compared(live.path, expected, found, task.unlike)


def _begins(path: Path, task: Task) -> bool:
    """Whether there is no ledger yet. Raises InputError for one that this replay cannot continue:
    nothing is ever written over another."""
    if not path.exists():
        return True
    with read_only(path) as found:
        note, seq = found.note(REPLAYED), found.seq
    if note is None:
        raise InputError(
            f"{path} is not the ledger of a replay and stays as it is. Name a file with --ledger"
            " that is not there yet"
        )
    if note != task.note or seq > task.plan.last_seq:
        raise InputError(
            f"{path} is the ledger of another replay (other strategies, blocks, models or history)"
            " and stays as it is. Name a file with --ledger that is not there yet"
        )
    return False
