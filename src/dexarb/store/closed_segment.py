"""Reading a closed segment: blocks from Parquet files, and the lines of all other entries as they
were."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import merge
from operator import attrgetter, itemgetter
from pathlib import Path

from dexarb.core.block import BlockUpdate
from dexarb.store.codec import EntryHeader, decode_header
from dexarb.store.files import disk_errors
from dexarb.store.segment import BREAK_FILE, CHANGES_FILE, KEYFRAME_FILE

Raw = bytes | BlockUpdate
"""An entry as it is stored: its line, or a block that has none any more."""

MIN_SEQ, MAX_SEQ = -(1 << 63), (1 << 63) - 1


def keyframe_line(folder: Path) -> bytes:
    """The segment's first entry. Raises StoreError."""
    return _content(folder / KEYFRAME_FILE)


def entries(folder: Path, from_seq: int = MIN_SEQ, to_seq: int = MAX_SEQ) -> Iterator[Raw]:
    """Those behind the keyframe with from_seq <= seq <= to_seq, in order of seq.

    Raises StoreError.
    """
    from dexarb.store.parquet import read_blocks

    lines = [(decode_header(line, folder).seq, line) for line in _no_blocks(folder)]
    wanted: Iterator[tuple[int, Raw]] = (each for each in lines if from_seq <= each[0] <= to_seq)
    blocks = ((update.seq, update) for update in read_blocks(folder, from_seq, to_seq))
    for _, raw in merge(wanted, blocks, key=itemgetter(0)):
        yield raw


def headers(folder: Path) -> Iterator[EntryHeader]:
    """Of the entries behind the keyframe, in order of seq. Raises StoreError."""
    from dexarb.store.parquet import read_headers

    others = (decode_header(line, folder) for line in _no_blocks(folder))
    yield from merge(others, read_headers(folder), key=attrgetter("seq"))


def _no_blocks(folder: Path) -> list[bytes]:
    """Lines behind the keyframe, in order."""
    there = (path for name in (CHANGES_FILE, BREAK_FILE) if (path := folder / name).exists())
    return [line for path in there for line in _content(path).split(b"\n")]


def _content(path: Path) -> bytes:
    """Without the last newline."""
    with disk_errors(path, "cannot be read"):
        return path.read_bytes().removesuffix(b"\n")
