"""Reading a history, finished or still being written. Needs no lock."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from itertools import chain as joined
from operator import attrgetter
from pathlib import Path

from dexarb.core.block import BlockRef, BlockUpdate
from dexarb.core.market import MAX_REORG_DEPTH, Entry, Keyframe
from dexarb.errors import StoreError
from dexarb.store import closed_segment
from dexarb.store.branch import Branch
from dexarb.store.checksum import REMEDY, Chain
from dexarb.store.closed_segment import Raw
from dexarb.store.codec import EntryHeader, LinkHeader, decode, decode_header
from dexarb.store.files import disk_errors
from dexarb.store.segment import (
    KEYFRAME_PREFIX,
    HistorySegment,
    LineReader,
    Manifest,
    digest_of,
    find_segment,
    last_line,
    list_segments,
    read_earlier_digests,
    read_manifest,
)

_NEVER = 1 << 63
_NUMBER = attrgetter("number")


class HistoryReader:
    """A view of a history folder; holds no open files between calls.

    Raises StoreError at construction where there is no history, and later for entries that are
    damaged or missing: every line's crc is verified when it is read, the digest of a closed segment
    when its entries are first read.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = self._read_manifest()
        self._verified: set[str] = set()

    def _read_manifest(self) -> Manifest:
        manifest = read_manifest(self.folder)
        if manifest is None:
            raise StoreError(
                self.folder,
                "holds no history",
                "Start data-collector, which writes one, or check the path",
            )
        return manifest

    @property
    def first_seq(self) -> int:
        """The seq of the first entry, 1 where there is none yet."""
        segments = list_segments(self.folder)
        return segments[0].first_seq if segments else 1

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
        self,
        from_seq: int,
        *,
        poll_s: float = 0.005,
        stop: Callable[[], bool] = lambda: False,
        pause: Callable[[float], object] = time.sleep,
    ) -> Iterator[Entry]:
        """The entries from from_seq on, and those to come, each once, until stop() is true.

        Keyframes are left out as in `entries`. Blocks its thread while it waits, poll_s at a time.
        pause: waits for so many seconds, or until somebody knows that there is more.
        """

        def wait() -> bool:
            pause(poll_s)
            return not stop()

        for entry in self._stream(from_seq, None, False, wait):
            if stop():
                return
            yield entry

    def keyframe_headers(self, before_seq: int = _NEVER) -> Iterator[LinkHeader]:
        """The keyframes with a smaller seq than this, newest first.

        Which of them can be started from is told by `dexarb.store.follow.start`.
        """
        segments = list_segments(self.folder)
        for segment in reversed(segments):
            if segment.first_seq >= before_seq:
                continue
            line = self._first_line(segment)
            if line is None and segment == segments[-1]:
                continue  # torn by a power failure; the next writer removes it
            header = decode_header(line or b"", segment.path)
            if not isinstance(header, LinkHeader):
                raise StoreError(segment.path, "does not begin with a keyframe")
            yield header

    def keyframe(self, seq: int) -> Keyframe:
        """The keyframe that is entry seq. Raises StoreError where that is none."""
        entry = next(self.entries(seq, seq), None)
        if not isinstance(entry, Keyframe):
            raise StoreError(self.folder, f"entry {seq} is not a keyframe")
        return entry

    def recent_chain(self, depth: int = MAX_REORG_DEPTH) -> list[BlockRef]:
        """The last blocks of the branch, oldest first, without holes."""
        return self.branch(depth).recent(depth)

    def holds(self, ref: BlockRef) -> bool:
        """Whether the block is on the branch, however deep: costs reading what is above it."""
        tip = self.branch(1).tip
        if tip is None or tip.number < ref.number:
            return False
        return any(header.ref == ref for header in self.branch_down_to(ref.number))

    def branch(self, depth: int, before_seq: int | None = None) -> Branch:
        """The branch over the last `depth` block numbers at least, as far as the history reaches
        back. Reads no more segments than that needs.

        before_seq: leave out the segment that starts there, and those after it.
        """
        return self._branch(lambda oldest, tip: tip.number - oldest.number + 1 >= depth, before_seq)

    def branch_down_to(self, number: int) -> Branch:
        """The branch with all its blocks from this number on, as far as the history has them."""
        return self._branch(lambda oldest, _: oldest.number <= number)

    def branch_since(self, timestamp: int) -> Branch:
        """The branch with all its blocks from that UNIX second on, and at least one before them if
        the history reaches back so far."""
        return self._branch(lambda oldest, _: oldest.timestamp < timestamp)

    def _branch(
        self, reaches: Callable[[LinkHeader, LinkHeader], bool], before_seq: int | None = None
    ) -> Branch:
        """reaches: whether a branch from this oldest block to this tip is long enough."""
        newest_first: list[list[EntryHeader]] = []
        links: list[LinkHeader] = []
        for segment in reversed(list_segments(self.folder)):
            if before_seq is not None and segment.first_seq >= before_seq:
                continue
            headers = self.headers(segment)
            newest_first.append(headers)
            links += (header for header in headers if isinstance(header, LinkHeader))
            if not links:
                continue  # its keyframe is torn
            links = [min(links, key=_NUMBER), max(links, key=_NUMBER)]
            if not reaches(*links):
                continue  # no branch of these can be long enough
            branch = Branch(joined.from_iterable(reversed(newest_first)))
            tip, oldest = branch.tip, branch.oldest
            if tip and oldest and reaches(oldest, tip):
                return branch
        return Branch(joined.from_iterable(reversed(newest_first)))

    def headers(self, segment: HistorySegment) -> list[EntryHeader]:
        """What links the segment's entries, in order."""
        reader = _open_lines(segment)
        if reader is not None:
            chain = self.chain(segment)
            with reader:
                found = []
                for line in reader.lines():
                    chain.take(line)
                    found.append(decode_header(line, segment.path))
                return found
        folder = segment.path.with_suffix("")
        keyframe = decode_header(self._keyframe_line(segment), folder)
        return [keyframe, *closed_segment.headers(folder)]

    def require_whole_end(self) -> None:
        """Raises StoreError where the newline of the very last line was damaged: without it the
        line looks like one that is still being written."""
        segments = list_segments(self.folder)
        reader = _open_lines(segments[-1]) if segments else None
        if reader is None:
            return
        with reader:
            chain = self.chain(segments[-1])
            for line in reader.lines():
                chain.take(line)
            if chain.has_lost_its_newline(reader.rest()):
                raise StoreError(
                    segments[-1].path, f"entry {chain.next_seq} is damaged: its newline", REMEDY
                )

    def chain(self, segment: HistorySegment) -> Chain:
        """For the crcs of the segment's lines, from its first line on."""
        crc_from = self.manifest.crc_from
        if (
            segment.first_seq < 1
        ):  # from before: of whichever schema the history was, these carry one
            crc_from = segment.first_seq
        return Chain(segment.first_seq, _NEVER if crc_from is None else crc_from, segment.path)

    # -- entries ------------------------------------------------------------------------------

    def _stream(
        self, seq: int, to_seq: int | None, every_keyframe: bool, wait: Callable[[], bool]
    ) -> Iterator[Entry]:
        """Entries from seq on. At the end of what there is, wait() says whether to look again."""
        start = seq
        segment = self._segment_of(seq, wait)
        while segment is not None:
            before = seq
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
            if seq == before == segment.first_seq and not wait():
                return  # its keyframe is torn; whoever waits sees what the next writer makes of it
            segment = self._segment_starting(seq, wait)

    def _raw(
        self, segment: HistorySegment, seq: int, to_seq: int | None, wait: Callable[[], bool]
    ) -> Iterator[Raw]:
        """The segment's entries from seq on: lines, or what the Parquet files give.

        Of an open segment also those that are written meanwhile, until the next one starts.
        """
        is_finished = any(each.first_seq > segment.first_seq for each in list_segments(self.folder))
        reader = _open_lines(segment)
        if reader is None:
            yield from self._closed(segment, seq, to_seq)
            return
        chain = self.chain(segment)
        with reader:
            while True:
                for line in reader.lines():
                    chain.take(line)
                    if chain.next_seq > seq:
                        yield line
                        seq += 1
                if chain.next_seq < seq:
                    raise StoreError(
                        segment.path,
                        f"ends before entry {seq}",
                        "The reader is ahead of this history: is it the one it read before?",
                    )
                if seq == segment.first_seq:
                    if is_finished:
                        raise StoreError(segment.path, "has no keyframe", REMEDY)
                    return
                if is_finished or find_segment(self.folder, seq) is not None or not wait():
                    return

    def _closed(self, segment: HistorySegment, seq: int, to_seq: int | None) -> Iterator[Raw]:
        folder = segment.path.with_suffix("")
        self._verify(folder, segment.first_seq)
        if seq == segment.first_seq:
            yield self._keyframe_line(segment)
        last_seq = closed_segment.MAX_SEQ if to_seq is None else to_seq
        yield from closed_segment.entries(folder, seq, last_seq)

    def _verify(self, folder: Path, first_seq: int) -> None:
        """A closed segment against its digest. Those closed under schema 1 have none."""
        if folder.name in self._verified:
            return
        if first_seq < 1:
            known, is_old = read_earlier_digests(self.folder).get(folder.name), False
        else:
            if folder.name not in self.manifest.digests:
                self.manifest = self._read_manifest()  # it may have been closed since
            known = self.manifest.digests.get(folder.name)
            crc_from = self.manifest.crc_from
            is_old = crc_from is None or first_seq < crc_from
        if (known is not None or not is_old) and known != digest_of(folder):
            raise StoreError(
                folder, f"its entries from {first_seq} on are damaged: its digest differs", REMEDY
            )
        self._verified.add(folder.name)

    # -- segments -----------------------------------------------------------------------------

    def _segment_of(self, seq: int, wait: Callable[[], bool]) -> HistorySegment | None:
        """The segment that holds the entry or will hold it; None if waiting was given up."""
        while not (segments := list_segments(self.folder)):
            if not wait():
                return None
        if seq < segments[0].first_seq:
            raise StoreError(self.folder, f"begins at entry {segments[0].first_seq}, not at {seq}")
        return next(segment for segment in reversed(segments) if segment.first_seq <= seq)

    def _segment_starting(self, seq: int, wait: Callable[[], bool]) -> HistorySegment | None:
        while (segment := find_segment(self.folder, seq)) is None:
            if any(each.first_seq > seq for each in list_segments(self.folder)):
                raise StoreError(
                    self.folder, f"no segment starts at entry {seq}, though there are later ones"
                )
            if not wait():
                return None
        return segment

    def _first_line(self, segment: HistorySegment) -> bytes | None:
        """The line of the segment's keyframe, None for an open one that has no whole line."""
        reader = _open_lines(segment)
        if reader is None:
            return self._keyframe_line(segment)
        with reader:
            line = next(reader.lines(), None)
        if line is not None:
            self.chain(segment).take(line)
        return line

    def _keyframe_line(self, segment: HistorySegment) -> bytes:
        """Of a segment that has been closed."""
        line = closed_segment.keyframe_line(segment.path.with_suffix(""))
        self.chain(segment).take(line)
        return line


def _open_lines(segment: HistorySegment) -> LineReader | None:
    """None for a closed segment, also for one that has been closed since it was listed."""
    if segment.closed:
        return None
    try:
        return LineReader(segment.path)
    except FileNotFoundError:
        return None


def _continues(raw: Raw, segment: HistorySegment) -> bool:
    """Whether this is a keyframe that adds nothing to the entries before it."""
    if isinstance(raw, BlockUpdate) or not raw.startswith(KEYFRAME_PREFIX):
        return False
    header = decode_header(raw, segment.path)
    return isinstance(header, LinkHeader) and header.continues
