"""Segments before a history's first one, from the newest back: they take the numbers below it.

They are written whole, closed, and beside the history's writer, which knows nothing of them: their
digests stand in a file of their own, and their writer has a lock of its own.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Self

from dexarb.core.block import BlockUpdate
from dexarb.core.market import Keyframe, PoolsChanged
from dexarb.errors import StoreError
from dexarb.store import checksum
from dexarb.store.codec import encode_block, encode_keyframe, encode_pools_changed
from dexarb.store.compaction import write_closed
from dexarb.store.files import disk_errors, sync_folder
from dexarb.store.follow import first_keyframe
from dexarb.store.history_reader import HistoryReader
from dexarb.store.locking import WriterLock
from dexarb.store.segment import (
    EARLIER_LOCK,
    LINES_SUFFIX,
    TEMPORARY_SUFFIX,
    HistorySegment,
    read_earlier_digests,
    segment_name,
    write_earlier_digests,
)

_LINES = "earlier" + TEMPORARY_SUFFIX


class EarlierWriter:
    """Mutable; holds a lock from construction to the end of its `with`.

    Raises Locked where another process does the same, and StoreError, also for a history whose
    first segments have been pruned: their numbers may stand in ledgers.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._reader = HistoryReader(folder)
        self.first = first_keyframe(self._reader)
        """The keyframe that the history begins with now."""
        if self.first.seq > 1:
            raise StoreError(
                folder,
                f"begins at entry {self.first.seq}: what was before has been pruned",
                "Bring the segments back, if they were archived",
            )
        self._lock = WriterLock(folder / EARLIER_LOCK, folder)
        try:
            self._clear()
            self.first = first_keyframe(self._reader)
        except BaseException:
            self._lock.release()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._lock.release()

    def put(self, keyframe: Keyframe, entries: Sequence[BlockUpdate | PoolsChanged]) -> None:
        """A keyframe and what leads from it to the market that the history begins with.

        The segment is there as a whole or not at all. Raises StoreError.
        """
        first_seq = self.first.seq - 1 - len(entries)
        keyframe = replace(keyframe, seq=first_seq)
        numbered = [
            replace(entry, seq=seq) for seq, entry in enumerate(entries, start=first_seq + 1)
        ]
        try:
            lines = [encode_keyframe(keyframe, continues=True), *map(_line, numbered)]
        except ValueError as error:
            raise StoreError(self.folder, f"cannot hold a {error}") from error
        name = segment_name(first_seq)
        closed = self.folder / name
        temporary = self.folder / (name + TEMPORARY_SUFFIX)
        path = self.folder / _LINES / (name + LINES_SUFFIX)
        with disk_errors(path, "cannot be written"):
            path.parent.mkdir(exist_ok=True)
            crc = 0
            with path.open("wb") as file:
                for line in lines:
                    sealed, crc = checksum.seal(line, crc)
                    file.write(sealed + b"\n")
            segment = HistorySegment(first_seq, path, closed=False)
            manifest = self._reader.manifest
            digest = write_closed(segment, temporary, dead=[], chain_id=manifest.chain_id)
            # First, so that whoever sees the folder can tell whether it is whole.
            write_earlier_digests(self.folder, {**read_earlier_digests(self.folder), name: digest})
            temporary.rename(closed)
            sync_folder(self.folder)
            shutil.rmtree(path.parent)
        self.first = keyframe

    def _clear(self) -> None:
        """What a kill has left."""
        with disk_errors(self.folder, "cannot be mended"):
            for left in (*self.folder.glob(f"-*{TEMPORARY_SUFFIX}"), self.folder / _LINES):
                shutil.rmtree(left, ignore_errors=True)


def _line(entry: BlockUpdate | PoolsChanged) -> bytes:
    return encode_block(entry) if isinstance(entry, BlockUpdate) else encode_pools_changed(entry)
