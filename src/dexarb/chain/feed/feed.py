"""The block feed: every block of the chain in order, none skipped, forks included, each proven."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple, Self

import structlog

from dexarb.chain.contents import Contents, Watched
from dexarb.chain.decode import Header
from dexarb.chain.endpoints.trouble import NOT_THERE_YET, Trouble, pause_s, trouble
from dexarb.chain.feed.fetch import ContentsFetcher
from dexarb.chain.feed.headers import LATEST, HeaderReader
from dexarb.chain.feed.heads import HICCUP_S, FeedStats, Head, HeadListener
from dexarb.chain.feed.outage import Outage
from dexarb.chain.feed.pace import Pace
from dexarb.chain.feed.way import WINDOW, ParentMissing, way_to
from dexarb.chain.rpc import Rpc
from dexarb.core.block import Block, BlockRef, BlockUpdate
from dexarb.core.market import MAX_REORG_DEPTH
from dexarb.core.token import Address
from dexarb.errors import BlocksMissing, OutsideError, ReorgTooDeep, RpcError

BLOCKS_A_REQUEST = 8
"""Receipts of a busy block are a megabyte."""
PATIENCE_S = 60.0
"""So long the next block may stay away while the chain goes on."""
PRUNED_PATIENCE = 6
"""Failures in a row where all endpoints say that they no longer keep the block."""
DOUBTFUL_AFTER = 3
"""Failures in a row after which the preferred endpoint's head counts no more than the others'."""
PAUSE_S = (0.1, 2.0)
"""After a failure, doubling."""


_log = structlog.get_logger("dexarb.feed")


class Received(NamedTuple):
    """A block as it arrived, proven as far as it can be.

    Its parent is the block before it, or, after a reorganisation, an older block of ours. producer:
    who made it, by its header.
    """

    block: Block
    contents: Contents
    witnesses: int
    backfilled: bool
    producer: Address | None

    def update(self, seq: int) -> BlockUpdate:
        contents = self.contents
        return BlockUpdate(
            seq,
            self.block,
            contents.logs,
            contents.transactions,
            contents.has_receipts,
            witnesses=self.witnesses,
            backfilled=self.backfilled,
            producer=self.producer,
            traffic=contents.traffic,
        )


class BlockFeed:
    """`async with BlockFeed(...) as feed: async for received in feed: ...`

    known: our newest blocks in chain order, the last being where the feed goes on; at least that
    one. Of more than 129 the newest count (a fork point may lie 128 back). newest_timestamp: of
    the last one, UNIX seconds. headers: a reader that knows already whether headers can be proven.
    pace: what is known already of the chain's. keep_calls: see ContentsFetcher.

    Network trouble never ends the iteration: it is handed to `trouble` (default: told once in the
    log) and tried again. Nor does an endpoint that lags. What ends it is ReorgTooDeep, when the
    chain does not connect to `known`; UnfitChain, when it charges an L1 data fee; BlocksMissing,
    when for a while no endpoint has had the next block though the chain went on; and cancellation,
    at once.

    seen_at is when the block was heard of, None for blocks that came while we were not listening;
    where that was longer than a hiccup they are backfilled.
    """

    def __init__(
        self,
        rpc: Rpc,
        *,
        watched: Watched,
        known: Sequence[BlockRef],
        headers: HeaderReader | None = None,
        pace: Pace | None = None,
        newest_timestamp: int = 0,
        poll_interval_s: float = 1.0,
        silence_s: float = 15.0,
        patience_s: float = PATIENCE_S,
        pause_s: tuple[float, float] = PAUSE_S,
        keep_calls: bool = False,
        now: Callable[[], float] = time.time,
        trouble: Callable[[OutsideError], None] | None = None,
    ) -> None:
        if not known:
            raise ValueError("a feed needs the block to start from")
        self.stats = FeedStats()
        self._now = now
        self._known = deque(known, maxlen=MAX_REORG_DEPTH + 1)
        self._newest_timestamp = newest_timestamp
        # Few attempts a call: after a failure the chain may have gone another way, so the feed
        # looks at the newest head again before it insists.
        self._rpc = rpc.scoped(attempts=2)
        self._headers = headers or HeaderReader(self._rpc)
        self._fetcher = ContentsFetcher(self._rpc, self._headers, watched, keep_calls=keep_calls)
        self._heads_outage, self._blocks_outage = (
            Outage("heads", now=now),
            Outage("blocks", now=now),
        )
        self._trouble = trouble or self._blocks_outage.failed
        self.listener = HeadListener(
            rpc.scoped(attempts=2),
            self._headers,
            pace or Pace(),
            poll_interval_s=poll_interval_s,
            silence_s=silence_s,
            now=now,
            stats=self.stats,
            trouble=trouble or self._heads_outage.failed,
        )
        self._listening: asyncio.Task[None] | None = None
        self._head: Head | None = None
        self._path: deque[Header] = deque()
        self._path_is_live = self._path_is_late = False
        self._ready: deque[Received] = deque()
        self._contradicting: dict[str, BlockRef] = {}
        self._disagreeing: set[str] = set()
        self._failures = self._pruned = 0
        self._failing_since = self._missing_since = 0.0
        self._patience_s = patience_s
        self._pause_s = pause_s

    async def __aenter__(self) -> Self:
        self._listening = asyncio.create_task(self.listener.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait([self._listening])

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Received:
        """The next block. A call that was cancelled can be made again."""
        while not self._ready:
            await self._advance()
        self._check_what_others_say()
        received = self._ready.popleft()
        while self._known[-1].hash != received.block.parent_hash:
            self._known.pop()
        self._known.append(BlockRef(received.block.number, received.block.hash))
        self._newest_timestamp = received.block.timestamp
        return received

    def _check_what_others_say(self) -> None:
        """Say once of an endpoint that it has another chain than ours, and once that it has not.

        Once may be a fork of a moment: only the second block of its own counts.
        """
        known = tuple(self._known)
        contradictions = self.listener.witnesses.contradictions(known)
        for endpoint, theirs in contradictions.items():
            first = self._contradicting.setdefault(endpoint, theirs)
            if first != theirs and endpoint not in self._disagreeing:
                self._disagreeing.add(endpoint)
                ours = dict(known)[theirs.number]
                remedy = "One of them is on a dead branch or on another chain; add a third to tell"
                _log.warning(
                    "endpoints.disagree",
                    endpoint=endpoint,
                    block=theirs.number,
                    theirs=theirs.hash,
                    ours=ours,
                    remedy=remedy,
                )
        for endpoint in self._contradicting.keys() - contradictions.keys():
            del self._contradicting[endpoint]
            if endpoint in self._disagreeing:
                self._disagreeing.discard(endpoint)
                _log.info("endpoints.agree", endpoint=endpoint)

    async def _check_finality(self) -> None:
        """At the head: raises ReorgTooDeep where the chain calls a block final that is not ours."""
        if self._contradicts_finality():
            await self.listener.look_for_finality()  # what was said may be older than a fork
            final = self.listener.finalized
            if final is not None and self._contradicts_finality():
                raise ReorgTooDeep(final.number, final.hash, self._known[0].number)

    def _contradicts_finality(self) -> bool:
        final = self.listener.finalized
        return final is not None and dict(self._known).get(final.number, final.hash) != final.hash

    def agreed(self, endpoints: int) -> BlockRef | None:
        """The newest of our blocks that at least so many endpoints have named."""
        return self.listener.witnesses.agreed(tuple(self._known), endpoints)

    async def _advance(self) -> None:
        """One step towards the head: a plan of the way there, or the next blocks of it."""
        if self._head is None:
            self._head = await self._next_head()
            self._heads_outage.over()
        before, live = self._rpc.requests, False
        try:
            if not self._path:
                await self._plan(self._head)
            chunk = list(itertools.islice(self._path, BLOCKS_A_REQUEST))
            if chunk:
                live = self._path_is_live
                await self._take(chunk, live=live)
            else:
                self._head = None
                await self._check_finality()
            self._failures = self._pruned = 0
            self._blocks_outage.over()
        except OutsideError as error:
            self._path.clear()
            self._note_failure(error)
            self._trouble(error)
            await asyncio.sleep(pause_s(self._failures, *self._pause_s))
        finally:
            self.stats.spend(self._rpc.requests - before, live=live)

    def _note_failure(self, error: OutsideError) -> None:
        """Raises BlocksMissing where the answers have said for long enough that it is gone."""
        clock = asyncio.get_running_loop().time()
        if not self._failures:
            self._failing_since = self._missing_since = clock
        self._failures += 1
        kind = trouble(error) if isinstance(error, RpcError) else Trouble.BUSY
        if kind in (Trouble.BUSY, Trouble.QUOTA):
            self._missing_since = clock  # nobody answers: that says nothing about the block
        self._pruned = self._pruned + 1 if kind is Trouble.PRUNED else 0
        if self._pruned >= PRUNED_PATIENCE or clock - self._missing_since >= self._patience_s:
            raise BlocksMissing(self._known[-1].number + 1, str(error)) from error

    def _failing_s(self) -> float:
        return asyncio.get_running_loop().time() - self._failing_since if self._failures else 0.0

    async def _take(self, chunk: Sequence[Header], *, live: bool) -> None:
        """Contents of the next blocks of the path, of at least one."""
        found = await self._fetcher.fetch(chunk, self._failures, self._failing_s())
        counts = self.listener.witnesses.counts([header.block.hash for header in self._path])
        for contents, count in zip(found, counts, strict=False):
            header = self._path.popleft()
            witnesses = max(1, count) if contents.is_proven else 0
            late = self._is_late(header.block)
            self._ready.append(Received(header.block, contents, witnesses, late, header.producer()))
        self.stats.count(len(found), live=live)

    def _is_late(self, block: Block) -> bool:
        """Whether nobody could have traded on it: heard of, or filled, long after its time."""
        if block.seen_at is None:
            return self._path_is_late
        return self._now() - block.seen_at > HICCUP_S

    async def _next_head(self) -> Head:
        if self._listening is None:
            raise RuntimeError("a feed is used in its async with block")
        head = await self.listener.heads.get()
        if head is None:
            self.listener.heads.put_nowait(None)  # for whoever asks again
            await asyncio.wait([self._listening])
            if not self._listening.cancelled():
                self._listening.result()  # only a mistake of ours ends it; it is raised here
            raise StopAsyncIteration
        return head

    # -- the way to the head ------------------------------------------------------------------

    async def _plan(self, head: Head) -> None:
        """Sets the path to the head, or to a block on the way; empty if we are there."""
        header, newest = head.header, self._known[-1]
        if self._failures:
            # The head may have left the chain: go where the chain is now.
            header = await self._another_head()
        is_far = header.block.number > newest.number + WINDOW
        if is_far:
            header = await self._headers.one(newest.number + WINDOW)
        live = head.live and header is head.header
        seen_at = self.listener.seen_at(head.header.block.hash) if live else None
        way = await self._way_to(header)
        is_lower = bool(way) and way[-1].block.number <= newest.number
        if is_lower and await self._headers.stands(newest):
            return  # a lower head on another branch, and somebody still has ours: wait
        self._path_is_live = live
        self._path_is_late = head.late or is_far
        self._path = deque(
            _seen(each, self.listener.seen_at(each.block.hash) or seen_at) for each in way
        )

    async def _another_head(self) -> Header:
        """Where the chain is now. After some failures the lowest head above ours that any endpoint
        names: whoever names one far away need not have the way there."""
        if self._failures >= DOUBTFUL_AFTER:
            newest = self._known[-1].number
            heads = [each for each in await self._headers.heads() if each.block.number > newest]
            if heads:
                return min(heads, key=lambda header: header.block.number)
        return await self._headers.one(LATEST)

    async def _way_to(self, target: Header) -> list[Header]:
        """Raises ReorgTooDeep if nobody contradicts it, RpcError and TransportError."""
        dialogue = way_to(target, tuple(self._known), self._newest_timestamp)
        try:
            return await self._headers.drive(dialogue)
        except ParentMissing:
            raise RpcError("eth_getBlockByHash", NOT_THERE_YET, "a parent is missing") from None
        except ReorgTooDeep:
            if await self._headers.stands(self._known[-1]):
                return []
            raise


def _seen(header: Header, at: float | None) -> Header:
    return replace(header, block=replace(header.block, seen_at=at))
