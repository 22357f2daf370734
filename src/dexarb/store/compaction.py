"""Closing segments: JSON lines become a folder of Parquet files, once they cannot change."""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path

import msgspec

from dexarb.core.market import MAX_REORG_DEPTH
from dexarb.errors import StoreError
from dexarb.store import closed_segment
from dexarb.store.branch import Branch
from dexarb.store.codec import EntryHeader, LinkHeader, decode
from dexarb.store.files import disk_errors, sync_file, sync_folder
from dexarb.store.history_reader import HistoryReader
from dexarb.store.parquet import write_tables
from dexarb.store.segment import (
    BREAK_FILE,
    BREAK_PREFIX,
    CHANGES_FILE,
    CHANGES_PREFIX,
    KEYFRAME_FILE,
    TEMPORARY_SUFFIX,
    HistorySegment,
    LineReader,
    digest_of,
    drop_doubles,
    list_segments,
    read_manifest,
    segment_name,
    write_manifest,
)


def close_segments(folder: Path, head: int, *, depth: int = MAX_REORG_DEPTH) -> list[Path]:
    """Convert the segments whose blocks all lie more than `depth` blocks below block `head`.

    Returns the new folders. Never touches the last segment, which may be written meanwhile: run
    it in a thread or process beside the writer, one at a time, for the holder of the writer's lock
    only. Killed at any moment, it leaves the lines or the folder whole. Raises StoreError, and
    the lines stay, where the disk is full or what was written does not read back the same.
    """
    reader = HistoryReader(folder)
    drop_doubles(folder, reader.manifest)
    open_segments = [segment for segment in list_segments(folder) if not segment.closed]
    headers = {segment: reader.headers(segment) for segment in open_segments}
    ripe: list[HistorySegment] = []
    for segment in open_segments[:-1]:
        numbers = [each.number for each in headers[segment] if isinstance(each, LinkHeader)]
        if head - max(numbers) <= depth:
            break  # in order, so that lines never stand before folders
        ripe.append(segment)
    if not ripe:
        return []
    branch = Branch(header for segment in open_segments for header in headers[segment])
    canonical = {header.seq for header in branch}
    return [
        _close(segment, _dead(headers[segment], canonical), reader.manifest.chain_id)
        for segment in ripe
    ]


def _dead(headers: list[EntryHeader], canonical: set[int]) -> list[int]:
    return [
        each.seq
        for each in headers
        if isinstance(each, LinkHeader) and not each.is_keyframe and each.seq not in canonical
    ]


def _close(segment: HistorySegment, dead: list[int], chain_id: int) -> Path:
    closed = segment.path.with_name(segment_name(segment.first_seq))
    temporary = closed.with_name(closed.name + TEMPORARY_SUFFIX)
    with disk_errors(temporary, "cannot be written"):
        digest = write_closed(segment, temporary, dead=dead, chain_id=chain_id)
        temporary.rename(closed)
        sync_folder(closed.parent)
        # Until the manifest knows the folder the lines count, and readers read the lines.
        _enter(closed, digest)
        segment.path.unlink()
    return closed


def write_closed(
    segment: HistorySegment, folder: Path, *, dead: Collection[int], chain_id: int
) -> str:
    """The files of an open segment as a closed one, read back and synced; returns their digest.

    folder: theirs, which is made anew, and is not there after an error. dead: seqs of blocks off
    the branch. Raises StoreError.
    """
    with disk_errors(folder, "cannot be written"):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        try:
            longest = _copy_lines(segment.path, folder)
            write_tables(segment.path, folder, chain_id=chain_id, dead=dead, longest_line=longest)
            _compare(segment, folder)
            for path in folder.iterdir():
                sync_file(path)
            sync_folder(folder)
            return digest_of(folder)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise


def _enter(closed: Path, digest: str) -> None:
    """Into the manifest. Nobody else writes it while a writer has the history open."""
    manifest = read_manifest(closed.parent)
    if manifest is None:
        raise StoreError(closed.parent, "has lost its manifest")
    digests = manifest.digests | {closed.name: digest}
    write_manifest(closed.parent, msgspec.structs.replace(manifest, digests=digests))


def _copy_lines(lines: Path, folder: Path) -> int:
    """Write the lines of entries that are no blocks to files of their own; returns the length of
    the longest line."""
    longest, line, changes = 0, b"", []
    with LineReader(lines) as reader:
        for line in reader.lines():
            if not longest:
                (folder / KEYFRAME_FILE).write_bytes(line + b"\n")
            elif line.startswith(CHANGES_PREFIX):
                changes.append(line + b"\n")
            longest = max(longest, len(line))
    if changes:
        (folder / CHANGES_FILE).write_bytes(b"".join(changes))
    if line.startswith(BREAK_PREFIX):
        (folder / BREAK_FILE).write_bytes(line + b"\n")
    return longest


def _compare(segment: HistorySegment, folder: Path) -> None:
    """The lines go only if every entry reads back equal."""
    with LineReader(segment.path) as reader:
        lines = reader.lines()
        next(lines)
        read_back = closed_segment.entries(folder)
        for line in lines:
            written, raw = decode(line, segment.path), next(read_back, None)
            if written != (decode(raw, folder) if isinstance(raw, bytes) else raw):
                raise StoreError(
                    segment.path,
                    f"entry {written.seq} does not read back as it was, so the lines stay",
                )
        if next(read_back, None) is not None:
            raise StoreError(segment.path, "has fewer entries than the files that it became")
