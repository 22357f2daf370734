"""Reading a history, finished or still being written. Needs no lock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path

from dexarb.core.block import BlockUpdate
from dexarb.core.market import MAX_REORG_DEPTH, Keyframe
from dexarb.errors import StoreError
from dexarb.store.branch import Branch
from dexarb.store.codec import Entry, Header, decode, decode_header
from dexarb.store.files import disk_errors
from dexarb.store.segment import (
    KEYFRAME_FILE,
    KEYFRAME_PREFIX,
    LineReader,
    Segment,
    find_segment,
    last_line,
    list_segments,
    read_manifest,
)


class HistoryReader:
    """A view of a history folder; holds no open files between calls.

    Raises StoreError at construction where there is no history, and later for entries that are
    damaged or missing.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        manifest = read_manifest(folder)
        if manifest is None:
            raise StoreError(
                folder,
                "holds no history",
                "Start data-collector, which writes one, or check the path",
            )
        self.manifest = manifest

    @property
    def last_seq(self) -> int:
        """The seq of the last entry, 0 where there is none yet."""
        segments = list_segments(self.folder)
        if not segments:
            return 0
        last = segments[-1]
        if last.closed:
            return self.headers(last)[-1].seq
        with disk_errors(last.path, "cannot be read"):
            line = last_line(last.path)
        return last.first_seq - 1 if line is None else decode_header(line, last.path).seq

    def entries(
        self,
        from_seq: int | None = None,
        to_seq: int | None = None,
        *,
        every_keyframe: bool = False,
    ) -> Iterator[Entry]:
        """The entries there are now, in order of seq, both ends included.

        A keyframe that only continues what was yielded before it is left out, unless
        every_keyframe is set; where the iteration starts at one it is yielded.
        """
        if from_seq is None:
            segments = list_segments(self.folder)
            if not segments:
                return
            from_seq = segments[0].first_seq
        yield from self._stream(from_seq, to_seq, every_keyframe, wait=lambda: False)

    def follow(
        self, from_seq: int, *, poll_s: float = 0.005, stop: Callable[[], bool] = lambda: False
    ) -> Iterator[Entry]:
        """The entries from from_seq on, and those to come, each once, until stop() is true.

        Keyframes are left out as in `entries`. Blocks its thread while it waits, poll_s at a time.
        """

        def wait() -> bool:
            time.sleep(poll_s)
            return not stop()

        for entry in self._stream(from_seq, None, False, wait):
            if stop():
                return
            yield entry

    def last_keyframe(
        self, before_seq: int | None = None, before_block: int | None = None
    ) -> Keyframe | None:
        """The latest keyframe with a smaller seq and of an earlier block than these, if any."""
        for segment in reversed(list_segments(self.folder)):
            if before_seq is not None and segment.first_seq >= before_seq:
                continue
            line = _first_line(segment)
            header = decode_header(line, segment.path)
            if before_block is None or header.number < before_block:
                keyframe = decode(line, segment.path)
                if isinstance(keyframe, Keyframe):
                    return keyframe
        return None

    def recent_chain(self, depth: int = MAX_REORG_DEPTH) -> list[tuple[int, str]]:
        """Number and hash of the last blocks of the branch, oldest first, without holes."""
        return self.branch(depth).recent(depth)

    def branch(self, depth: int, before_seq: int | None = None) -> Branch:
        """The branch over at least the last `depth` blocks, if the history reaches back so far.

        before_seq: leave out the segment that starts there, and those after it.
        """
        segments = [
            segment
            for segment in list_segments(self.folder)
            if before_seq is None or segment.first_seq < before_seq
        ]
        headers: list[Header] = []
        branch = Branch()
        for segment in reversed(segments):
            headers[:0] = self.headers(segment)
            branch = Branch(headers)
            if len(branch.recent(depth)) >= depth:
                break
        return branch

    # -- entries ------------------------------------------------------------------------------

    def _stream(
        self, seq: int, to_seq: int | None, every_keyframe: bool, wait: Callable[[], bool]
    ) -> Iterator[Entry]:
        """Entries from seq on. At the end of what there is, wait() says whether to look again."""
        start = seq
        segment = self._segment_of(seq, wait)
        while segment is not None:
            for raw in self._raw(segment, seq, to_seq, wait):
                if to_seq is not None and seq > to_seq:
                    return
                passed_over = not every_keyframe and seq != start and _continues(raw, segment)
                if not passed_over:
                    entry = raw if isinstance(raw, BlockUpdate) else decode(raw, segment.path)
                    if entry.seq != seq:
                        raise StoreError(
                            segment.path, f"has entry {entry.seq} in the place of entry {seq}"
                        )
                    yield entry
                seq += 1
            if to_seq is not None and seq > to_seq:
                return
            segment = self._segment_starting(seq, wait)

    def _raw(
        self, segment: Segment, seq: int, to_seq: int | None, wait: Callable[[], bool]
    ) -> Iterator[bytes | BlockUpdate]:
        """The segment's entries from seq on: lines, or what the Parquet files give.

        Of an open segment also those that are written meanwhile, until the next one starts.
        """
        is_finished = list_segments(self.folder)[-1].first_seq > segment.first_seq
        reader = _open_lines(segment)
        if reader is None:
            from dexarb.store.parquet import MAX_SEQ, read_blocks

            folder = segment.path.with_suffix("")
            if seq == segment.first_seq:
                yield _keyframe_line(folder)
            yield from read_blocks(folder, seq, MAX_SEQ if to_seq is None else to_seq)
            return
        with reader:
            before = seq - segment.first_seq
            while True:
                for line in reader.lines():
                    if before:
                        before -= 1
                        continue
                    yield line
                    seq += 1
                if before:
                    raise StoreError(
                        segment.path,
                        f"ends before entry {seq}",
                        "The reader is ahead of this history: is it the one it read before?",
                    )
                if is_finished or find_segment(self.folder, seq) is not None or not wait():
                    return

    # -- segments -----------------------------------------------------------------------------

    def _segment_of(self, seq: int, wait: Callable[[], bool]) -> Segment | None:
        """The segment that holds the entry or will hold it; None if waiting was given up."""
        while not (segments := list_segments(self.folder)):
            if not wait():
                return None
        if seq < segments[0].first_seq:
            raise StoreError(self.folder, f"begins at entry {segments[0].first_seq}, not at {seq}")
        return next(segment for segment in reversed(segments) if segment.first_seq <= seq)

    def _segment_starting(self, seq: int, wait: Callable[[], bool]) -> Segment | None:
        while (segment := find_segment(self.folder, seq)) is None:
            if list_segments(self.folder)[-1].first_seq > seq:
                raise StoreError(
                    self.folder, f"no segment starts at entry {seq}, though there are later ones"
                )
            if not wait():
                return None
        return segment

    def headers(self, segment: Segment) -> list[Header]:
        """What links the segment's entries, in order."""
        reader = _open_lines(segment)
        if reader is not None:
            with reader:
                return [decode_header(line, segment.path) for line in reader.lines()]
        from dexarb.store.parquet import read_headers

        folder = segment.path.with_suffix("")
        return [decode_header(_keyframe_line(folder), folder), *read_headers(folder)]


def _open_lines(segment: Segment) -> LineReader | None:
    """None for a closed segment, also for one that has been closed since it was listed."""
    if segment.closed:
        return None
    try:
        return LineReader(segment.path)
    except FileNotFoundError:
        return None


def _first_line(segment: Segment) -> bytes:
    """The line of the segment's keyframe."""
    reader = _open_lines(segment)
    if reader is None:
        return _keyframe_line(segment.path.with_suffix(""))
    with reader:
        line = next(reader.lines(), None)
    if line is None:
        raise StoreError(segment.path, "has no keyframe")
    return line


def _keyframe_line(folder: Path) -> bytes:
    path = folder / KEYFRAME_FILE
    with disk_errors(path, "cannot be read"):
        return path.read_bytes().removesuffix(b"\n")


def _continues(raw: bytes | BlockUpdate, segment: Segment) -> bool:
    """Whether this is a keyframe that adds nothing to the entries before it."""
    if isinstance(raw, BlockUpdate) or not raw.startswith(KEYFRAME_PREFIX):
        return False
    return decode_header(raw, segment.path).continues
