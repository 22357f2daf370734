"""Writing the history: one process, one open segment, whole lines only."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Self

from dexarb.core.block import BlockUpdate
from dexarb.core.market import MAX_REORG_DEPTH, Keyframe
from dexarb.errors import StoreError
from dexarb.store.branch import Branch
from dexarb.store.codec import Header, decode_header, encode_block, encode_keyframe
from dexarb.store.files import disk_errors, store_error, sync_folder, write_all
from dexarb.store.history_reader import HistoryReader
from dexarb.store.locking import WriterLock
from dexarb.store.segment import (
    LINES_SUFFIX,
    SCHEMA_VERSION,
    TEMPORARY_SUFFIX,
    LineReader,
    Manifest,
    Segment,
    list_segments,
    read_manifest,
    segment_name,
    write_manifest,
)

LOCK_FILE = "lock"
CUT_SUFFIX = ".cut"
SEGMENT_BLOCKS = 1000
SYNC_EVERY_S = 3.0


class HistoryWriter:
    """Mutable; holds the folder's lock from `open` to `close`.

    Every method that writes either does all of it or raises StoreError and has written nothing,
    so that the same call can be made again when the disk has room.
    """

    def __init__(
        self,
        folder: Path,
        lock: WriterLock,
        *,
        segment_blocks: int,
        sync_every_s: float,
    ) -> None:
        """Use `open`."""
        self.folder = folder
        self.recovered: str | None = None
        """What `open` had to cut off after a crash, in words; None if nothing."""
        self._lock = lock
        self._segment_blocks = segment_blocks
        self._sync_every_s = sync_every_s
        self._synced_at = time.monotonic()
        self._branch = Branch(limit=MAX_REORG_DEPTH + 1)
        self._last_seq = 0
        self._blocks_in_segment = 0
        self._fd: int | None = None
        self._path = folder
        self._end = 0
        self._torn = False

    @classmethod
    def open(
        cls,
        folder: Path,
        *,
        chain_id: int,
        chain: str,
        segment_blocks: int = SEGMENT_BLOCKS,
        sync_every_s: float = SYNC_EVERY_S,
    ) -> Self:
        """Open a history for appending, create it where there is none, mend it after a crash.

        chain: the profile's name, for people. Raises Locked while another process writes there,
        and StoreError, also for the history of another chain.
        """
        with disk_errors(folder, "cannot be created"):
            folder.mkdir(parents=True, exist_ok=True)
        lock = WriterLock(folder / LOCK_FILE, folder)
        try:
            manifest = read_manifest(folder)
            if manifest is None:
                write_manifest(folder, Manifest(SCHEMA_VERSION, chain_id, chain))
            elif manifest.chain_id != chain_id:
                raise StoreError(
                    folder,
                    f"is a history of chain {manifest.chain_id}, not of chain {chain_id}",
                    "Use another folder",
                )
            writer = cls(folder, lock, segment_blocks=segment_blocks, sync_every_s=sync_every_s)
            writer._recover()
        except BaseException:
            lock.release()
            raise
        return writer

    # -- what there is ------------------------------------------------------------------------

    @property
    def last_seq(self) -> int:
        """The seq of the last entry, 0 where there is none yet."""
        return self._last_seq

    @property
    def last_block(self) -> tuple[int, str] | None:
        """Number and hash of the block that the history ends at."""
        tip = self._branch.tip
        return None if tip is None else (tip.number, tip.hash)

    def recent_chain(self, depth: int = MAX_REORG_DEPTH) -> list[tuple[int, str]]:
        """Number and hash of the last blocks of the branch, oldest first, without holes."""
        return self._branch.recent(depth)

    # -- appending ----------------------------------------------------------------------------

    def append(self, update: BlockUpdate) -> BlockUpdate:
        """Append a block; returns it with the seq that it got (the given seq is not looked at).

        Its parent has to be the block that the history ends at, or one of the 128 before that,
        where the chain was reorganised. Raises StoreError.
        """
        if self._fd is None:
            raise StoreError(self.folder, "has no keyframe yet", "Append a keyframe first")
        stored = replace(update, seq=self._last_seq + 1)
        block = update.block
        tip = self._branch.tip
        if tip is None or (
            block.parent_hash != tip.hash and not self._branch.holds(block.parent_hash)
        ):
            raise StoreError(
                self.folder,
                f"block {block.number} does not follow any of its last {MAX_REORG_DEPTH} blocks",
                "Append a keyframe first",
            )
        # Before the write: a block that could not be synced must not count as refused.
        if time.monotonic() - self._synced_at >= self._sync_every_s:
            self.sync()
        self._write_line(encode_block(stored))
        self._branch.follow(
            Header(stored.seq, block.number, block.hash, block.parent_hash, False, True)
        )
        self._last_seq = stored.seq
        self._blocks_in_segment += 1
        return stored

    def append_keyframe(self, keyframe: Keyframe) -> Keyframe:
        """Start a new segment at a market that the entries so far do not lead to.

        For the first start, for pools that come or go, and after a gap or a reorganisation that is
        too deep: readers start anew there. Returns it with its seq. Raises StoreError.
        """
        return self._start_segment(keyframe, continues=False)

    def roll_if_full(self, keyframe: Callable[[], Keyframe]) -> bool:
        """Start the next segment if this one has its blocks; call it after `append`.

        keyframe: gives the market at the end of the last appended block. Raises StoreError, and
        the segment goes on, as long as you like.
        """
        if self._fd is None or self._blocks_in_segment < self._segment_blocks:
            return False
        frame = keyframe()
        if self.last_block is None or frame.block.hash != self.last_block[1]:
            raise StoreError(
                self.folder, f"cannot roll at block {frame.block.number}: it is not the last one"
            )
        self._start_segment(frame, continues=True)
        return True

    def sync(self) -> None:
        """fdatasync: what has been appended survives a power failure. Raises StoreError."""
        if self._fd is not None:
            with disk_errors(self._path, "cannot be synced to disk"):
                os.fdatasync(self._fd)
        self._synced_at = time.monotonic()

    def close(self) -> None:
        """Sync, and let the next writer in. A second call does nothing."""
        try:
            self.sync()
        finally:
            if self._fd is not None:
                os.close(self._fd)
                self._fd = None
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # -- lines --------------------------------------------------------------------------------

    def _write_line(self, line: bytes) -> None:
        assert self._fd is not None
        try:
            if self._torn:
                self._cut_torn_line()
            self._torn = True
            write_all(self._fd, line + b"\n")
            self._torn = False
        except OSError as error:
            with suppress(OSError):
                self._cut_torn_line()
            raise store_error(self._path, "cannot be appended to", error) from error
        self._end += len(line) + 1

    def _cut_torn_line(self) -> None:
        assert self._fd is not None
        os.ftruncate(self._fd, self._end)
        self._torn = False

    def _start_segment(self, keyframe: Keyframe, *, continues: bool) -> Keyframe:
        stored = replace(keyframe, seq=self._last_seq + 1)
        line = encode_keyframe(stored, continues=continues) + b"\n"
        path = self.folder / (segment_name(stored.seq) + LINES_SUFFIX)
        # Renamed when its keyframe is whole, so that no reader ever waits on half a segment.
        temporary = path.with_name(path.name + TEMPORARY_SUFFIX)
        self.sync()
        fd = -1
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND | os.O_CLOEXEC
            fd = os.open(temporary, flags, 0o644)
            write_all(fd, line)
            os.fdatasync(fd)
            temporary.rename(path)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            if fd >= 0:
                os.close(fd)
            raise store_error(path, "cannot be started", error) from error
        if self._fd is not None:
            os.close(self._fd)
        self._use(fd, path, len(line), blocks=0)
        block = keyframe.block
        self._branch.follow(
            Header(stored.seq, block.number, block.hash, block.parent_hash, True, continues)
        )
        self._last_seq = stored.seq
        # The segment stands; only its name could still be lost, with the power, and be refetched.
        with suppress(StoreError):
            sync_folder(self.folder)
        return stored

    def _use(self, fd: int, path: Path, end: int, *, blocks: int) -> None:
        self._fd, self._path, self._end, self._torn = fd, path, end, False
        self._blocks_in_segment = blocks

    # -- after a crash ------------------------------------------------------------------------

    def _recover(self) -> None:
        """Bring the folder into a state that `append` can go on from."""
        _drop_leftovers(self.folder)
        reader = HistoryReader(self.folder)
        for segment in reversed(list_segments(self.folder)):
            self._branch = Branch(
                reader.branch(MAX_REORG_DEPTH + 1, before_seq=segment.first_seq),
                limit=MAX_REORG_DEPTH + 1,
            )
            headers = reader.headers(segment) if segment.closed else self._good_headers(segment)
            if headers:
                self._last_seq = headers[-1].seq
                return

    def _good_headers(self, segment: Segment) -> list[Header]:
        """Follow an open segment up to its last good line, cut off what stands behind that line,
        and take it as the segment to append to. Empty, and the file is gone, if nothing is left.
        """
        headers: list[Header] = []
        end = 0
        problem = "a line that was not written to its end"
        with LineReader(segment.path) as lines:
            for line in lines.lines():
                try:
                    header = decode_header(line, segment.path)
                except StoreError as error:
                    problem = error.problem
                    break
                if header.seq != segment.first_seq + len(headers) or (
                    header.is_keyframe == bool(headers)
                ):
                    problem = f"entry {header.seq} in a wrong place"
                    break
                if not self._branch.follow(header):
                    problem = f"block {header.number}, whose parent is not known"
                    break
                headers.append(header)
                end += len(line) + 1
        with disk_errors(segment.path, "cannot be mended"):
            rest = segment.path.stat().st_size - end
            if rest:
                self.recovered = f"{segment.path.name}: cut off {rest} bytes: {problem}"
                _keep_whole_lines(segment.path, end)
                os.truncate(segment.path, end)
            if not headers:
                segment.path.unlink()
                return headers
            fd = os.open(segment.path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        self._use(fd, segment.path, end, blocks=len(headers) - 1)
        return headers


def _drop_leftovers(folder: Path) -> None:
    """Remove what a killed roll or compaction left, and lines that have become a folder."""
    with disk_errors(folder, "cannot be mended"):
        for path in folder.glob(f"[0-9]*{TEMPORARY_SUFFIX}"):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
        for segment in list_segments(folder):
            if segment.closed:
                segment.path.with_suffix(LINES_SUFFIX).unlink(missing_ok=True)


def _keep_whole_lines(path: Path, start: int) -> None:
    """Before they are cut off: whole lines may be of use to whoever finds out what happened."""
    with path.open("rb") as file:
        file.seek(start)
        rest = file.read()
    if b"\n" in rest:
        path.with_name(path.name + CUT_SUFFIX).write_bytes(rest)
