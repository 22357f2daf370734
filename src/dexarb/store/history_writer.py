"""Writing the history: one process, one open segment, whole lines only."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Self

import msgspec

from dexarb.core.block import BlockRef, BlockUpdate
from dexarb.core.market import MAX_REORG_DEPTH, Break, Keyframe, PoolsChanged
from dexarb.errors import StoreError
from dexarb.store import checksum
from dexarb.store.branch import Branch
from dexarb.store.codec import (
    encode_block,
    encode_break,
    encode_keyframe,
    encode_pools_changed,
    header_of,
)
from dexarb.store.files import disk_errors, store_error, sync_folder, write_all
from dexarb.store.history_reader import HistoryReader
from dexarb.store.history_recovery import OpenSegment, Recovered, recover
from dexarb.store.locking import WriterLock
from dexarb.store.segment import (
    LINES_SUFFIX,
    SCHEMA_VERSION,
    TEMPORARY_SUFFIX,
    Manifest,
    read_manifest,
    segment_name,
    write_manifest,
)

LOCK_FILE = "lock"
SEGMENT_BLOCKS = 1000
SYNC_EVERY_S = 3.0
MAX_REASON = 500


class HistoryWriter:
    """Mutable; holds the folder's lock from `open` to `close`.

    Every method that writes either does all of it or raises StoreError and has written nothing,
    so that the same call can be made again when the disk has room.
    """

    def __init__(
        self,
        folder: Path,
        lock: WriterLock,
        found: Recovered,
        *,
        segment_blocks: int,
        sync_every_s: float,
    ) -> None:
        """Use `open`."""
        self.folder = folder
        self.recovered = found.cut_off
        """What `open` had to cut off after a crash, in words; None if nothing."""
        self._lock = lock
        self._segment_blocks = segment_blocks
        self._sync_every_s = sync_every_s
        self._synced_at = time.monotonic()
        self._branch = found.branch
        self._last_seq = found.last_seq
        self._file: OpenSegment | None = found.file

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
                manifest = Manifest(SCHEMA_VERSION, chain_id, chain, crc_from=1)
                write_manifest(folder, manifest)
            elif manifest.chain_id != chain_id:
                raise StoreError(
                    folder,
                    f"is a history of chain {manifest.chain_id}, not of chain {chain_id}",
                    "Use another folder",
                )
            writer = cls(
                folder,
                lock,
                recover(folder, manifest),
                segment_blocks=segment_blocks,
                sync_every_s=sync_every_s,
            )
            writer._upgrade(manifest)
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
    def last_block(self) -> BlockRef | None:
        """The block that the history ends at; behind a break its fork point."""
        tip = self._branch.tip
        return None if tip is None else tip.ref

    @property
    def needs_keyframe(self) -> bool:
        """Whether nothing but a keyframe can come next: at the start, and behind a break."""
        return self._file is None or self._branch.is_broken

    def recent_chain(self, depth: int = MAX_REORG_DEPTH) -> list[BlockRef]:
        """The last blocks of the branch, oldest first, without holes."""
        return self._branch.recent(depth)

    def holds(self, ref: BlockRef) -> bool:
        """Whether the block is on the branch, however deep.

        The last 128 are known; deeper ones are read from the disk. Raises StoreError.
        """
        oldest = self._branch.oldest
        if oldest is None or oldest.number <= ref.number:
            return any(header.ref == ref for header in self._branch)
        return HistoryReader(self.folder).holds(ref)

    # -- appending ----------------------------------------------------------------------------

    def append(self, update: BlockUpdate) -> BlockUpdate:
        """Append a block; returns it with the seq that it got (the given seq is not looked at).

        Its parent has to be the block that the history ends at, or one of the 128 before that,
        where the chain was reorganised. Raises StoreError.
        """
        if self._file is None or self._branch.is_broken:
            raise StoreError(self.folder, "has no keyframe to go on from", "Append one first")
        stored = replace(update, seq=self._last_seq + 1)
        block = update.block
        header = header_of(stored.seq, block, is_keyframe=False)
        if self._branch.holds(block.hash):
            raise StoreError(self.folder, f"has block {block.number} {block.hash} already")
        tip = self._branch.tip
        if tip is None or (
            block.parent_hash != tip.hash and not self._branch.holds(block.parent_hash)
        ):
            raise StoreError(
                self.folder,
                f"block {block.number} does not follow any of its last {MAX_REORG_DEPTH} blocks",
                "Append a keyframe first",
            )
        try:
            line = encode_block(stored)
        except ValueError as error:
            raise StoreError(self.folder, f"cannot hold a {error}") from error
        # Before the write: a block that could not be synced must not count as refused.
        if time.monotonic() - self._synced_at >= self._sync_every_s:
            self.sync()
        self._file.append(line)
        self._branch.follow(header)
        self._last_seq = stored.seq
        self._file.blocks += 1
        return stored

    def append_pools_changed(self, entry: PoolsChanged) -> PoolsChanged:
        """Say that pools join and leave at the end of the last block; returns it with its seq.

        Raises StoreError, also for another block than the one that the history ends at.
        """
        if self._file is None or self._branch.is_broken:
            raise StoreError(self.folder, "has no keyframe to go on from", "Append one first")
        last, block = self.last_block, entry.block
        if last != block:
            raise StoreError(
                self.folder,
                f"stands at block {last and last.number} {last and last.hash}, so no pools can "
                f"change at block {block.number} {block.hash}",
            )
        stored = replace(entry, seq=self._last_seq + 1)
        self._file.append(encode_pools_changed(stored))
        self._last_seq = stored.seq
        return stored

    def append_break(self, fork_point: BlockRef | None, reason: str) -> Break:
        """Say that what is recorded behind the fork point is dead; returns it with its seq.

        fork_point: on the branch, however deep, or None if nothing that is recorded stands any
        more. reason: in words, cut to 500 characters. Only a keyframe can follow, and the history
        may be closed and opened before it. Raises StoreError.
        """
        if self._file is None or self._branch.is_broken:
            raise StoreError(self.folder, "has nothing to break off", "Append a keyframe first")
        if fork_point is not None and not self.holds(fork_point):
            raise StoreError(
                self.folder,
                f"block {fork_point.number} {fork_point.hash} is not on its branch, "
                "so nothing can break off behind it",
            )
        branch = self._branch_up_to(fork_point)
        stored = Break(self._last_seq + 1, fork_point, reason[:MAX_REASON])
        self._file.append(encode_break(stored))
        self._branch = branch
        self._branch.follow(stored)
        self._last_seq = stored.seq
        return stored

    def _branch_up_to(self, ref: BlockRef | None) -> Branch:
        """As it was at this block: of what is in memory little or nothing may be left then."""
        tip = self._branch.tip
        if tip is None or ref is None:
            return Branch(limit=MAX_REORG_DEPTH + 1)
        depth = tip.number - ref.number + 1 + MAX_REORG_DEPTH
        deep = HistoryReader(self.folder).branch(depth)
        return Branch(
            (header for header in deep if header.number <= ref.number), limit=MAX_REORG_DEPTH + 1
        )

    def append_keyframe(self, keyframe: Keyframe) -> Keyframe:
        """Start a new segment at a market that the entries so far do not lead to.

        For the first start, for another profile, and after a gap or a break: readers start anew
        there. Returns it with its seq. Raises StoreError, also for a block that is neither the
        last one nor above it: blocks that are dead have to be broken off first.
        """
        tip, block = self._branch.tip, keyframe.block
        if tip is not None and block.number <= tip.number and block.hash != tip.hash:
            raise StoreError(
                self.folder,
                f"stands at block {tip.number} {tip.hash}, so no keyframe can come "
                f"at block {block.number} {block.hash}",
                "Append a break first, if the blocks from there on are dead",
            )
        return self._start_segment(keyframe, continues=False)

    def roll_if_full(self, keyframe: Callable[[], Keyframe]) -> bool:
        """Start the next segment if this one has its blocks; call it after `append`.

        keyframe: gives the market at the end of the last appended block. Raises StoreError, and
        the segment goes on, as long as you like.
        """
        if self._file is None or self._branch.is_broken or self._file.blocks < self._segment_blocks:
            return False
        frame = keyframe()
        if self.last_block is None or frame.block.hash != self.last_block.hash:
            raise StoreError(
                self.folder, f"cannot roll at block {frame.block.number}: it is not the last one"
            )
        self._start_segment(frame, continues=True)
        return True

    def sync(self) -> None:
        """fdatasync: what has been appended survives a power failure. Raises StoreError."""
        if self._file is not None:
            with disk_errors(self._file.path, "cannot be synced to disk"):
                os.fdatasync(self._file.fd)
        self._synced_at = time.monotonic()

    def close(self) -> None:
        """Sync, and let the next writer in. A second call does nothing."""
        try:
            self.sync()
        finally:
            if self._file is not None:
                os.close(self._file.fd)
                self._file = None
            self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    # -- lines --------------------------------------------------------------------------------

    def _start_segment(self, keyframe: Keyframe, *, continues: bool) -> Keyframe:
        stored = replace(keyframe, seq=self._last_seq + 1)
        try:
            line, crc = checksum.seal(encode_keyframe(stored, continues=continues), 0)
        except ValueError as error:
            raise StoreError(self.folder, f"cannot hold a {error}") from error
        path = self.folder / (segment_name(stored.seq) + LINES_SUFFIX)
        # Renamed when its keyframe is whole, so that no reader ever waits on half a segment.
        temporary = path.with_name(path.name + TEMPORARY_SUFFIX)
        self.sync()
        fd = -1
        try:
            # One that a crash has left is in the way, and through a link we would write elsewhere.
            temporary.unlink(missing_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
            fd = os.open(temporary, flags, 0o644)
            write_all(fd, line + b"\n")
            os.fdatasync(fd)
            temporary.rename(path)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            if fd >= 0:
                os.close(fd)
            raise store_error(path, "cannot be started", error) from error
        if self._file is not None:
            os.close(self._file.fd)
        self._file = OpenSegment(path, fd, len(line) + 1, crc, blocks=0)
        self._branch.follow(
            header_of(stored.seq, keyframe.block, is_keyframe=True, continues=continues)
        )
        self._last_seq = stored.seq
        # The segment stands; only its name could still be lost, with the power, and be refetched.
        with suppress(StoreError):
            sync_folder(self.folder)
        return stored

    def _upgrade(self, manifest: Manifest) -> None:
        """Every line from here on carries a crc; a power failure may have taken some that did."""
        next_seq = self._last_seq + 1
        crc_from = next_seq if manifest.crc_from is None else min(manifest.crc_from, next_seq)
        new = msgspec.structs.replace(manifest, schema=SCHEMA_VERSION, crc_from=crc_from)
        if new != manifest:
            write_manifest(self.folder, new)
