"""Bringing a backup back: all of it or nothing, and nothing that is there is ever deleted.

Everything is copied beside its place first and looked into there; then it takes its place by
renames alone, which are taken back where one fails.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dexarb.errors import StoreError
from dexarb.store.backup_folder import Backup, Item, copy_checked, read_list
from dexarb.store.files import disk_errors, sync_folder
from dexarb.store.history_check import HistoryCheck, check
from dexarb.store.history_reader import HistoryReader
from dexarb.store.history_writer import LOCK_FILE
from dexarb.store.ledger_copy import whole_ledger
from dexarb.store.ledger_db import LOCK_SUFFIX
from dexarb.store.locking import WriterLock
from dexarb.store.snapshot import read_state
from dexarb.store.trials import read_register

STAGED_SUFFIX, KEPT_SUFFIX = ".restoring", ".before-restore"
LEDGER_LOGS = ("-wal", "-shm")
"""What SQLite keeps beside a ledger: beside another one it would destroy that."""


@dataclass(frozen=True, slots=True)
class Restored:
    """placed: what stands where now. kept: where it went that stood there before, by its place.
    history: what a check of it found."""

    backup: Backup
    placed: Mapping[Path, Item]
    kept: Mapping[Path, Path]
    history: HistoryCheck


class _Work:
    """Mutable: what has been done to the disk, so that it can be undone. Raises StoreError."""

    def __init__(self) -> None:
        self._renamed: list[tuple[Path, Path]] = []
        self._staged: list[Path] = []
        self._made: list[Path] = []
        self._locks: list[WriterLock] = []
        self._lock_files: list[Path] = []

    def make_folder(self, folder: Path) -> None:
        missing = [each for each in (folder, *folder.parents) if not each.exists()]
        with disk_errors(folder, "cannot be created"):
            for each in reversed(missing):
                each.mkdir(mode=0o700)
                self._made.append(each)

    def lock(self, path: Path, guarded: Path) -> None:
        """Raises Locked."""
        is_new = not path.exists()
        self._locks.append(WriterLock(path, guarded))
        if is_new:
            self._lock_files.append(path)

    def stage(self, source: Path, backup: Backup, item: Item, target: Path) -> Path:
        """Copy an item beside its place."""
        staged = target.with_name(f".{target.name}{STAGED_SUFFIX}")
        _remove(staged)  # what one that was killed has left
        self._staged.append(staged)
        with disk_errors(staged, "cannot be written"):
            for content in backup.files_of(item):
                path = staged / Path(content.place).relative_to(item.place)
                path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                copy_checked(source / content.place, path, content)
        return staged

    def rename(self, path: Path, to: Path) -> None:
        with disk_errors(to, "cannot be put there"):
            path.rename(to)
        self._renamed.append((path, to))
        sync_folder(to.parent)

    def undo(self) -> None:
        for path, to in reversed(self._renamed):
            with suppress(OSError):
                to.rename(path)
        for path in self._staged:
            _remove(path)
        for path in self._lock_files:
            path.unlink(missing_ok=True)
        for folder in reversed(self._made):
            with suppress(OSError):  # somebody else's file is in it: it stays
                folder.rmdir()

    def unlock(self) -> None:
        for lock in self._locks:
            lock.release()


def restore(
    source: Path, places: Mapping[Item, Path], *, force: bool, tell: Callable[[str], None]
) -> Restored:
    """Bring the items of a backup to their places. Files that are there already and the same stay.

    force: what else is there is renamed; without it, it is an error. tell: of each stage. Raises
    StoreError, with everything as it was, also for a backup that is damaged; Locked where a program
    is at work on what is to make room.
    """
    backup = read_list(source)
    wanted = {
        item: place
        for item, place in places.items()
        if not _stays(item, place) and not _has_content_of(place, source / item.place)
    }
    in_the_way = [str(place) for place in wanted.values() if os.path.lexists(place)]
    if in_the_way and not force:
        others = f", and so are {', '.join(in_the_way[1:])}" if in_the_way[1:] else ""
        raise StoreError(
            in_the_way[0],
            f"is there already{others}",
            "With --force they are renamed and make room",
        )
    work = _Work()
    try:
        for item, place in wanted.items():
            work.make_folder(place.parent)
            if item.kind == "ledger":
                work.lock(place.with_name(place.name + LOCK_SUFFIX), place)
            elif item.kind == "history" and place.is_dir():
                work.lock(place / LOCK_FILE, place)
        tell("copying")
        staged = {item: work.stage(source, backup, item, place) for item, place in wanted.items()}
        tell("looking into it")
        found = _look_into(backup, source, staged)
        kept: dict[Path, Path] = {}
        for place in wanted.values():
            kept |= _make_room(work, place)
        for item, place in wanted.items():
            work.rename(staged[item], place)
    except BaseException:
        work.undo()
        raise
    finally:
        work.unlock()
    return Restored(backup, {place: item for item, place in places.items()}, kept, found)


def _stays(item: Item, place: Path) -> bool:
    """What was tried since the backup was made has been tried."""
    return item.kind == "trials" and place.exists()


def _has_content_of(place: Path, copy: Path) -> bool:
    """Of small files alone: a ledger or history that is there may be in use."""
    if copy.suffix != ".toml" or not place.is_file():
        return False
    with disk_errors(place, "cannot be read"):
        return copy.is_file() and place.read_bytes() == copy.read_bytes()


def _look_into(backup: Backup, source: Path, staged: Mapping[Item, Path]) -> HistoryCheck:
    """Whether what was copied can be used, and fits together. Raises StoreError."""
    found: HistoryCheck | None = None
    ends_at = 0
    for item, path in staged.items():
        shown = source / item.place
        if item.kind == "history":
            reader = HistoryReader(path)
            found, ends_at = check(path), reader.last_seq
            if found.problems:
                raise StoreError(shown, f"is damaged: {found.problems[0]}", "Use another backup")
            _expect_chain(shown, reader.manifest.chain_id, backup)
        elif item.kind == "trials":
            read_register(path)
        elif item.kind == "state":
            _expect_chain(shown, read_state(path).chain_id, backup)
    for item, path in staged.items():
        if item.kind == "ledger":
            with whole_ledger(path) as books:
                entry = books.seq
                _expect_chain(source / item.place, books.chain_id, backup)
            if entry > ends_at:
                problem = f"includes entry {entry}, and the history ends at {ends_at}"
                raise StoreError(source / item.place, problem, "Use another backup")
    if found is None:
        raise StoreError(source, "holds no history", "Use another backup")
    return found


def _expect_chain(path: Path, chain_id: int, backup: Backup) -> None:
    if chain_id != backup.chain_id:
        raise StoreError(path, f"is of chain {chain_id}, the backup of chain {backup.chain_id}")


def _make_room(work: _Work, place: Path) -> dict[Path, Path]:
    """Where it went that stood there. The logs of a ledger go with it."""
    if not os.path.lexists(place):
        return {}
    number = 1
    while os.path.lexists(kept := place.with_name(f"{place.name}{KEPT_SUFFIX}-{number}")):
        number += 1
    for suffix in LEDGER_LOGS:
        log = place.with_name(place.name + suffix)
        if log.exists():
            work.rename(log, kept.with_name(kept.name + suffix))
    work.rename(place, kept)
    return {place: kept}


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
