"""A copy of books, history, state and settings that fit together, while both programs go on.

The order makes it fit: first the books, then the state, then the history, which only grows and
which the books follow.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dexarb.errors import StoreError
from dexarb.store.backup_folder import (
    BACKUP_SCHEMA,
    Backup,
    Item,
    Kind,
    list_contents,
    write_list,
)
from dexarb.store.files import disk_errors, replace_file, sync_file, sync_folder
from dexarb.store.history_copy import copy_segment
from dexarb.store.history_reader import HistoryReader
from dexarb.store.ledger_copy import copy_ledger
from dexarb.store.segment import (
    HistorySegment,
    list_segments,
    read_earlier_digests,
    write_earlier_digests,
    write_manifest,
)
from dexarb.store.trials import REGISTER_FILE

PARTIAL_SUFFIX = ".partial"
ROOM = 1.02
"""What a file system needs beside the files themselves, about."""


@dataclass(frozen=True, slots=True)
class Source:
    """What a backup is made of. settings: the paper trader's file first. homes: of each path, see
    `Item`. ledger, state, register: None where there is none yet."""

    settings: Sequence[Path]
    state: Path | None
    ledger: Path | None
    history: Path
    register: Path | None
    homes: Mapping[Path, str]

    def size(self) -> int:
        """Bytes, about. Raises StoreError."""
        files = [*self.settings, *filter(None, (self.state, self.ledger, self.register))]
        with disk_errors(self.history, "cannot be read"):
            total = sum(each.stat().st_size for each in files)
            for folder, _, names in os.walk(self.history):
                for name in names:
                    path = Path(folder, name)
                    total += path.stat().st_size if path.exists() else 0
        return total


class BackupRun:
    """One backup, in steps: `segments` of the history that are left to be copied, then `finish`.

    Used in a `with`: whatever ends it early, nothing is left. Raises StoreError.
    """

    def __init__(self, target: Path, source: Source) -> None:
        """target: a folder that is not there yet."""
        self._target, self._source = target, source
        self._folder = target.with_name(target.name + PARTIAL_SUFFIX)
        if target.exists():
            raise StoreError(target, "is there already", "Name a folder that is not")
        with disk_errors(self._folder, "cannot be created"):
            target.parent.mkdir(parents=True, exist_ok=True)
            needed, free = source.size() * ROOM, shutil.disk_usage(target.parent).free
            if free < needed:
                raise StoreError(
                    target,
                    f"needs {needed / 1e9:.2f} GB, and {free / 1e9:.2f} GB are free",
                    "Free space, or name a folder on another disk",
                )
            if self._folder.exists():
                raise StoreError(
                    self._folder,
                    "is in the way: another backup is at work, or one was killed",
                    "Remove it if no other is at work",
                )
            self._folder.mkdir(mode=0o700)

    def __enter__(self) -> BackupRun:
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)

    def begin(self) -> Sequence[HistorySegment]:
        """Copy all but the history; returns its segments, for `copy`."""
        source, folder = self._source, self._folder
        self._items: list[Item] = []
        self._entry: int | None = None
        if source.ledger is not None:
            self._entry = copy_ledger(source.ledger, folder / "ledger.sqlite")
            self._note("ledger", "ledger.sqlite", source.ledger)
        if source.state is not None:
            self._copy_small(source.state, "pool_state.json")
            self._note("state", "pool_state.json", source.state)
        (folder / "config").mkdir(mode=0o700)
        for number, path in enumerate(source.settings):
            place = f"config/{path.name}"
            if (folder / place).exists():  # two folders, one name
                place = f"config/{number}-{path.name}"
            self._copy_small(path, place)
            self._note("settings" if number else "paper", place, path)
        self._place = f"history/{source.history.name}"
        with disk_errors(folder, "cannot be written"):
            (folder / self._place).mkdir(mode=0o700, parents=True)
        self._note("history", self._place, source.history)
        if source.register is not None:
            self._copy_small(source.register, f"history/{REGISTER_FILE}")
            self._note("trials", f"history/{REGISTER_FILE}", source.register)
        return list_segments(source.history)

    def copy(self, segments: Sequence[HistorySegment]) -> Iterator[None]:
        """One at a time."""
        for segment in segments:
            copy_segment(segment, self._folder / self._place)
            yield

    def finish(self) -> Backup:
        """Look at what was copied, list it, and give it its name."""
        history = self._folder / self._place
        # Last: every folder that was copied is in it, and its lines were there before it.
        write_manifest(history, HistoryReader(self._source.history).manifest)
        if earlier := read_earlier_digests(self._source.history):
            write_earlier_digests(history, earlier)
        reader = HistoryReader(history)
        for segment in list_segments(history):
            if segment.closed:  # its digest is looked at, its blocks are not
                reader.keyframe(segment.first_seq)
        if self._entry is not None and reader.last_seq < self._entry:
            raise StoreError(
                self._source.history,
                f"ends at entry {reader.last_seq}, and the books include entry {self._entry}",
                "Look at it with dexarb history check",
            )
        backup = Backup(
            BACKUP_SCHEMA,
            int(time.time()),
            reader.manifest.chain_id,
            self._entry,
            self._items,
            list_contents(self._folder),
        )
        write_list(self._folder, backup)
        for path in [*self._folder.rglob("*"), self._folder]:
            if path.is_dir():
                sync_folder(path)
            else:
                sync_file(path)
        with disk_errors(self._target, "cannot be created"):
            self._folder.rename(self._target)
        sync_folder(self._target.parent)
        return backup

    def _note(self, kind: Kind, place: str, path: Path) -> None:
        self._items.append(Item(kind, place, self._source.homes[path]))

    def _copy_small(self, path: Path, place: str) -> None:
        """A file that is replaced as a whole where it changes, so that one reading is one state."""
        with disk_errors(path, "cannot be read"):
            data = path.read_bytes()
        replace_file(self._folder / place, data, durable=False)
