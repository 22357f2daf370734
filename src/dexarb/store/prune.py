"""Taking old segments out of a history: what no trader and no collector needs to go on."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from dexarb.core.block import BlockRef
from dexarb.errors import StoreError
from dexarb.store.files import disk_errors
from dexarb.store.follow import keyframe_before, start
from dexarb.store.history_reader import HistoryReader
from dexarb.store.ledger_reader import LedgerReader
from dexarb.store.segment import TEMPORARY_SUFFIX, HistorySegment, list_segments


@dataclass(frozen=True, slots=True)
class Old:
    """segments: oldest first, all of them older than what stays. size: in bytes. first: the block
    that the history begins at then."""

    segments: Sequence[HistorySegment]
    size: int
    first: BlockRef


def old_segments(reader: HistoryReader, ledgers: Iterable[LedgerReader], state_format: int) -> Old:
    """The closed segments that lie before everything that is still needed: the way to the oldest
    checkpoint of each ledger, and the last 128 blocks. Raises StoreError for a ledger without a
    checkpoint: its trader begins at its first entry."""
    needed = start(reader).seq
    for ledger in ledgers:
        checkpoint = ledger.oldest_checkpoint(state_format)
        if checkpoint is None:
            raise StoreError(
                ledger.path,
                "has no checkpoint, so its trader needs the history from its first entry on",
                "Stop paper-trading, which leaves one unless an own strategy does not give its"
                " state; or begin a new ledger",
            )
        needed = min(needed, keyframe_before(reader, checkpoint.seq, checkpoint.block))
    segments = list_segments(reader.folder)
    old = [
        segment
        for segment, following in pairwise(segments)
        if segment.closed and following.first_seq <= needed
    ]
    first = reader.keyframe(segments[len(old)].first_seq).block
    with disk_errors(reader.folder, "cannot be read"):
        size = sum(file.stat().st_size for segment in old for file in segment.path.iterdir())
    return Old(old, size, BlockRef(first.number, first.hash))


def prune(old: Old, archive: Path | None = None) -> None:
    """Delete the segments, or move them to a folder. The oldest first, and each at once, so that
    what is left is a history after every one of them. Raises StoreError."""
    for segment in old.segments:
        if archive is not None:
            _copy(segment.path, archive)
        leaving = segment.path.with_name(segment.path.name + TEMPORARY_SUFFIX)
        with disk_errors(segment.path, "cannot be deleted"):
            segment.path.rename(leaving)
            shutil.rmtree(leaving)


def _copy(segment: Path, archive: Path) -> None:
    """Whole or not at all."""
    copied = archive / segment.name
    if copied.exists():
        raise StoreError(copied, "is there already", "Choose another folder for the archive")
    unfinished = archive / (segment.name + TEMPORARY_SUFFIX)
    with disk_errors(copied, "cannot be archived"):
        archive.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(unfinished, ignore_errors=True)
        shutil.copytree(segment, unfinished)
        unfinished.rename(copied)
