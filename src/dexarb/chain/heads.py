"""Where new heads come from: pushed over a subscription, else polled."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

import msgspec

from dexarb.chain import wire
from dexarb.chain.decode import Header
from dexarb.chain.rpc import Rpc
from dexarb.chain.transport_push import Subscription
from dexarb.chain.trouble import pause_s
from dexarb.errors import OutsideError, TransportError

_REMEMBERED = 512
_RESUBSCRIBE_MAX_S = 30.0


@dataclass(frozen=True, slots=True)
class Head:
    """live: we were listening when it was heard first, so that its time says something."""

    header: Header
    live: bool


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

    Where a node pushes, polling is for the times when its line is broken; a silence in which the
    chain went on means that the subscription is dead. A head may come more than once.
    """

    def __init__(
        self,
        rpc: Rpc,
        *,
        poll_interval_s: float,
        silence_s: float,
        now: Callable[[], float],
        stats: FeedStats,
        trouble: Callable[[OutsideError], None],
    ) -> None:
        self.heads: asyncio.Queue[Head | None] = asyncio.Queue()
        self._rpc = rpc
        self._poll_interval_s = poll_interval_s
        self._silence_s = silence_s
        self._now = now
        self._stats = stats
        self._trouble = trouble
        self._heard_at: OrderedDict[str, float] = OrderedDict()
        self._latest: str | None = None
        self._listening = False
        self._polling = asyncio.Event()
        self._polling.set()

    def heard_at(self, block_hash: str) -> float | None:
        """When the block was heard of as a live head."""
        return self._heard_at.get(block_hash)

    async def run(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._poll_on())
                if self._rpc.can_subscribe:
                    group.create_task(self._follow_on())
        finally:
            self.heads.put_nowait(None)

    async def _poll_on(self) -> None:
        while True:
            await self._polling.wait()
            try:
                await self._poll()
            except OutsideError as error:
                self._listening = False
                self._trouble(error)
            await asyncio.sleep(self._poll_interval_s)

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
                await self._take(await self._next(pushed))
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
                    raise TransportError("newHeads", reason) from None
            self._listening = False
            if await self._poll():
                # The notification may be on its way, but then it is here soon.
                patience = self._silence_s / 10

    async def _take(self, notification: bytes) -> None:
        try:
            header = msgspec.json.decode(notification, type=Header)
        except wire.UNREADABLE:
            await self._poll()
            return
        self._stats.pushed += 1
        self._hear(header)

    async def _poll(self) -> bool:
        """Ask for the newest block; whether it is news. Raises RpcError and TransportError."""
        before, live = self._rpc.requests, self._listening
        header = await self._rpc.call_as(Header, "eth_getBlockByNumber", "latest", False)
        news = self._hear(header)
        if news:
            self._stats.spend(self._rpc.requests - before, live=live)
        else:
            self._stats.idle_polls += self._rpc.requests - before
        self._listening = True
        return news

    def _hear(self, header: Header) -> bool:
        name = header.hash.lower()
        news, self._latest = name != self._latest, name
        if news and self._listening:
            self._heard_at.setdefault(name, self._now())
            if len(self._heard_at) > _REMEMBERED:
                self._heard_at.popitem(last=False)
        self.heads.put_nowait(Head(header, live=name in self._heard_at))
        return news
