"""Where new heads come from: pushed, else polled; other endpoints are probed for theirs."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from dexarb.chain.decode import Header
from dexarb.chain.endpoints.trouble import pause_s
from dexarb.chain.feed.headers import FINALIZED, LATEST, HeaderReader
from dexarb.chain.feed.pace import Pace
from dexarb.chain.feed.witnesses import Witnesses
from dexarb.chain.rpc import Rpc
from dexarb.chain.transport import wire
from dexarb.chain.transport.push import Subscription
from dexarb.core.block import BlockHash, BlockRef
from dexarb.errors import OutsideError, Refused, TransportError

PROBE_S = 15.0
"""How often the endpoints that are not in use are asked for their newest block."""
HICCUP_S = 5.0
"""After a silence no longer than this what comes is still fresh."""
_REMEMBERED = 512
_RESUBSCRIBE_MAX_S = 30.0
_POLL_MAX_S = 8.0
_MOST_DOUBLINGS = 12
_LATEST = ("latest", False)


@dataclass(frozen=True, slots=True)
class Head:
    """live: we were listening when it was heard first, so that its time says something. late: it
    may be older than a hiccup of the line, since nothing had been heard for longer."""

    header: Header
    live: bool
    late: bool


@dataclass(slots=True)
class FeedStats:
    """What the feed has spent.

    requests: round trips that brought `blocks` live, retries included. What catching up cost is
    counted apart, and so are polls that brought nothing. subscriptions: how often one was set up;
    pushed: heads that came over one.
    """

    blocks: int = 0
    requests: int = 0
    backfilled_blocks: int = 0
    backfill_requests: int = 0
    idle_polls: int = 0
    subscriptions: int = 0
    pushed: int = 0

    @property
    def requests_per_block(self) -> float:
        """In the steady state; zero before the first live block."""
        return self.requests / self.blocks if self.blocks else 0.0

    def count(self, blocks: int, *, live: bool) -> None:
        if live:
            self.blocks += blocks
        else:
            self.backfilled_blocks += blocks

    def spend(self, requests: int, *, live: bool) -> None:
        if live:
            self.requests += requests
        else:
            self.backfill_requests += requests


class HeadListener:
    """Puts heads into `heads` until cancelled, None when it ended. Network trouble is only told.

    Where a node pushes, polling is for the times when its line is broken or another endpoint is
    preferred; a silence in which the chain went on means that the subscription is dead. While no
    head comes, and now and then anyway, the other endpoints are asked for theirs: one that goes on
    while ours stands still brings the next head. A head may come more than once.
    """

    def __init__(
        self,
        rpc: Rpc,
        headers: HeaderReader,
        pace: Pace,
        *,
        poll_interval_s: float,
        silence_s: float,
        now: Callable[[], float],
        stats: FeedStats,
        trouble: Callable[[OutsideError], None],
    ) -> None:
        self.heads: asyncio.Queue[Head | None] = asyncio.Queue()
        self.witnesses = Witnesses()
        self.finalized: BlockRef | None = None
        self._finality_failures = self._probes_to_finality = 0
        self._pace = pace
        self._rpc = rpc
        self._probes = rpc.scoped(attempts=1)
        self._headers = headers
        self._poll_interval_s = poll_interval_s
        self._silence_s = silence_s
        self._now = now
        self._stats = stats
        self._trouble = trouble
        self._seen_at: OrderedDict[BlockHash, float] = OrderedDict()
        self._latest: BlockRef | None = None
        self._listening = False
        self._polling = asyncio.Event()
        self._polling.set()
        self._news_at = 0.0
        self._looked_at = float("-inf")

    def seen_at(self, block_hash: BlockHash) -> float | None:
        """When the block was heard of as a live head."""
        return self._seen_at.get(block_hash)

    async def run(self) -> None:
        self._news_at = _clock()
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._poll_on())
                if self._rpc.can_subscribe:
                    group.create_task(self._follow_on())
                group.create_task(self._probe_on())
        finally:
            self.heads.put_nowait(None)

    # -- polling ------------------------------------------------------------------------------

    async def _poll_on(self) -> None:
        failures = 0
        while True:
            await self._polling.wait()
            try:
                await self._poll()
                failures = 0
            except OutsideError as error:
                failures += 1
                self._listening = False
                self._trouble(error)
            # A night's outage must not use up a budget.
            longest_s = max(self._poll_interval_s, _POLL_MAX_S)
            await asyncio.sleep(pause_s(failures + 1, self._poll_interval_s, longest_s))

    async def _poll(self) -> bool:
        """Ask for the newest block; whether it is news. Raises RpcError and TransportError."""
        before, live = self._rpc.requests, self._listening
        header, endpoint = await self._headers.at(LATEST, self._rpc)
        news = self._take_head(header, endpoint)
        if news:
            self._stats.spend(self._rpc.requests - before, live=live)
        else:
            self._stats.idle_polls += self._rpc.requests - before
        self._listening = True
        return news

    # -- subscriptions ------------------------------------------------------------------------

    async def _follow_on(self) -> None:
        failures = 0
        while True:
            started = self._stats.pushed
            try:
                await self._follow()
            except OutsideError as error:
                self._trouble(error)
            self._polling.set()
            failures = 0 if self._stats.pushed > started else failures + 1
            await asyncio.sleep(pause_s(failures + 1, self._poll_interval_s, _RESUBSCRIBE_MAX_S))

    async def _follow(self) -> None:
        """Listen until the line breaks or proves dead. Raises RpcError and TransportError."""
        pushed = await self._rpc.subscribe("newHeads")
        try:
            # What came between our last block and the subscription is not pushed.
            await self._poll()
            self._polling.clear()
            self._stats.subscriptions += 1
            while True:
                await self._take(await self._next(pushed), pushed.endpoint)
        finally:
            self._listening = False  # nobody knows since when the line has been broken
            pushed.drop()

    async def _next(self, pushed: Subscription) -> bytes:
        """The next notification; in long silences the chain is looked at. Raises TransportError."""
        patience = self._silence_s
        while True:
            try:
                async with asyncio.timeout(patience):
                    return await anext(pushed)
            except TimeoutError:
                if patience < self._silence_s:
                    reason = "silent while the chain went on"
                    raise TransportError(pushed.endpoint, reason) from None
            self._listening = False
            if await self._poll():
                # The notification may be on its way, but then it is here soon.
                patience = self._silence_s / 10

    async def _take(self, notification: bytes, endpoint: str) -> None:
        if endpoint == self._rpc.preferred:
            self._polling.clear()
        else:
            self._polling.set()  # this one lags: the subscription only stands by
        try:
            header = self._headers.read(msgspec.json.decode(notification))
        except (*wire.UNREADABLE, Refused):
            await self._poll()
            return
        self._stats.pushed += 1
        self._take_head(header, endpoint)

    # -- the other endpoints ------------------------------------------------------------------

    async def _probe_on(self) -> None:
        """Seldom while heads come; soon, then ever less often, while none does."""
        probed_at, wait = _clock(), 0.0
        while True:
            still_s = self._pace.still_s(self._poll_interval_s, PROBE_S)
            is_still = _clock() - self._news_at >= still_s
            wait = min(PROBE_S, max(wait, still_s) * 2) if is_still else still_s
            if is_still or _clock() - probed_at >= PROBE_S:
                probed_at = _clock()
                await self._probe()
            await asyncio.sleep(wait)

    async def _probe(self) -> None:
        """Ask the other endpoints for their newest block, and ours what is final."""
        self._probes_to_finality -= 1
        if self._probes_to_finality <= 0:
            await self.look_for_finality()
        if len(self._rpc.names) == 1:
            return
        others = self._probes.avoiding(self._rpc.preferred)
        for endpoint, answer in await others.each("eth_getBlockByNumber", *_LATEST):
            try:
                header = self._headers.read(answer)
            except Refused:
                continue  # also where the endpoint did not answer: its health has noted that
            self._note(header, endpoint)
            if self._latest is None or header.block.number > self._latest.number:
                self._take_head(header, endpoint)

    async def look_for_finality(self) -> None:
        """Ask again for the newest final block."""
        ours = self._probes.only(self._rpc.preferred)
        try:
            found, _ = await self._headers.at(FINALIZED, ours)
        except OutsideError:
            self._finality_failures += 1  # most chains without finality say so, some cut the line
            self._probes_to_finality = 1 << min(_MOST_DOUBLINGS, self._finality_failures)
        else:
            self._finality_failures = 0
            self.finalized = BlockRef(found.block.number, found.block.hash)

    # -- what was heard -----------------------------------------------------------------------

    def _note(self, header: Header, endpoint: str) -> None:
        ref = BlockRef(header.block.number, header.block.hash)
        self.witnesses.name(endpoint, ref, header.block.parent_hash)

    def _take_head(self, header: Header, endpoint: str) -> bool:
        """Whether it is news."""
        self._note(header, endpoint)
        block = header.block
        ref = BlockRef(block.number, block.hash)
        news, self._latest = ref != self._latest, ref
        if news:
            self._news_at = _clock()
            self._pace.note(block.number, block.timestamp)
        if news and self._listening:
            self._seen_at.setdefault(block.hash, self._now())
            if len(self._seen_at) > _REMEMBERED:
                self._seen_at.popitem(last=False)
        live = block.hash in self._seen_at
        late = not live and _clock() - self._looked_at > HICCUP_S
        self._looked_at = _clock()
        if news or self.heads.empty():  # said again only to whoever waits
            self.heads.put_nowait(Head(header, live, late))
        if self.heads.qsize() > _REMEMBERED:
            self.heads.get_nowait()  # later ones lead over it
        return news


def _clock() -> float:
    return asyncio.get_running_loop().time()
