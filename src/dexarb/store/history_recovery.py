"""What a writer finds: the end of the history, mended where a crash or a power failure tore it."""

from __future__ import annotations

import os
import shutil
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dexarb.core.market import MAX_REORG_DEPTH
from dexarb.errors import StoreError
from dexarb.store import checksum
from dexarb.store.branch import Branch
from dexarb.store.codec import EntryHeader, LinkHeader, decode_header
from dexarb.store.files import disk_errors, store_error, write_all
from dexarb.store.history_reader import HistoryReader
from dexarb.store.segment import (
    LINES_SUFFIX,
    TEMPORARY_SUFFIX,
    HistorySegment,
    LineReader,
    Manifest,
    drop_doubles,
    list_segments,
)

CUT_SUFFIX = ".cut"


@dataclass(slots=True)
class OpenSegment:
    """Mutable: the file that lines are appended to. end: of its last whole line; crc: of that line;
    blocks: how many of its entries are blocks."""

    path: Path
    fd: int
    end: int
    crc: int
    blocks: int
    _is_torn: bool = False

    def append(self, line: bytes) -> None:
        """Seal and write a line. Raises StoreError, and the file is as it was."""
        sealed, crc = checksum.seal(line, self.crc)
        try:
            if self._is_torn:
                self._cut_torn_line()
            self._is_torn = True
            write_all(self.fd, sealed + b"\n")
            self._is_torn = False
        except OSError as error:
            with suppress(OSError):
                self._cut_torn_line()
            raise store_error(self.path, "cannot be appended to", error) from error
        self.end += len(sealed) + 1
        self.crc = crc

    def _cut_torn_line(self) -> None:
        os.ftruncate(self.fd, self.end)
        self._is_torn = False


@dataclass(frozen=True, slots=True)
class Recovered:
    """file: None if there is no segment to append to. cut_off: what was cut off, in words."""

    branch: Branch
    last_seq: int = 0
    file: OpenSegment | None = None
    cut_off: str | None = None


def recover(folder: Path, manifest: Manifest) -> Recovered:
    """Bring the folder into a state that can be appended to. Only for the holder of its lock.

    Raises StoreError.
    """
    _drop_leftovers(folder)
    drop_doubles(folder, manifest)
    reader = HistoryReader(folder)
    cut_off: str | None = None
    for segment in reversed(list_segments(folder)):
        branch = Branch(
            reader.branch(MAX_REORG_DEPTH + 1, before_seq=segment.first_seq),
            limit=MAX_REORG_DEPTH + 1,
        )
        if segment.closed:
            headers = reader.headers(segment)
            for header in headers:
                branch.follow(header)
            return Recovered(branch, headers[-1].seq, None, cut_off)
        last_seq, file, problem = _good_lines(segment, reader, branch)
        cut_off = problem or cut_off
        if file is not None:
            return Recovered(branch, last_seq, file, cut_off)
    return Recovered(Branch(limit=MAX_REORG_DEPTH + 1), cut_off=cut_off)


def _good_lines(
    segment: HistorySegment, reader: HistoryReader, branch: Branch
) -> tuple[int, OpenSegment | None, str | None]:
    """Follow an open segment up to its last good line and cut off what stands behind that line.

    Returns the line's seq, the file, and what was cut off; no file, and it is gone, if nothing is
    left.
    """
    chain = reader.chain(segment)
    end = crc = count = blocks = 0
    problem = "a line that was not written to its end"
    with LineReader(segment.path) as lines:
        for line in lines.lines():
            try:
                chain.take(line)
                header = decode_header(line, segment.path)
                _follow(header, segment.first_seq + count, branch, segment.path, is_first=not count)
            except StoreError as error:
                problem = error.problem
                break
            count += 1
            blocks += isinstance(header, LinkHeader) and not header.is_keyframe
            end += len(line) + 1
            crc = chain.crc
    cut_off = None
    with disk_errors(segment.path, "cannot be mended"):
        rest = segment.path.stat().st_size - end
        if rest:
            cut_off = f"{segment.path.name}: cut off {rest} bytes: {problem}"
            _keep_whole_lines(segment.path, end)
            os.truncate(segment.path, end)
        if not count:
            segment.path.unlink()
            return segment.first_seq - 1, None, cut_off
        fd = os.open(segment.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
    file = OpenSegment(segment.path, fd, end, crc, blocks)
    return segment.first_seq + count - 1, file, cut_off


def _follow(header: EntryHeader, seq: int, branch: Branch, path: Path, *, is_first: bool) -> None:
    """Take the next entry of an open segment, or raise StoreError."""
    is_keyframe = isinstance(header, LinkHeader) and header.is_keyframe
    if header.seq != seq or is_keyframe != is_first:
        raise StoreError(path, f"entry {header.seq} in a wrong place")
    if not branch.follow(header):
        lacks = "parent" if isinstance(header, LinkHeader) else "block"
        raise StoreError(path, f"entry {header.seq}, whose {lacks} is not known")


def _drop_leftovers(folder: Path) -> None:
    """Remove what a killed roll or compaction left, and segments that a power failure emptied."""
    with disk_errors(folder, "cannot be mended"):
        for path in folder.glob(f"[0-9]*{TEMPORARY_SUFFIX}"):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        for path in folder.glob(f"[0-9]*{LINES_SUFFIX}"):
            if not path.stat().st_size:
                path.unlink()


def _keep_whole_lines(path: Path, start: int) -> None:
    """Before they are cut off: whole lines may be of use to whoever finds out what happened."""
    with path.open("rb") as file:
        file.seek(start)
        rest = file.read()
    if b"\n" in rest:
        path.with_name(path.name + CUT_SUFFIX).write_bytes(rest)
