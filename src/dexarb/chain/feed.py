"""The block feed: every block of the chain in order, none skipped, forks included."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any, NamedTuple, Self, cast

import structlog

from dexarb.chain import decode
from dexarb.chain.decode import EventLog, Header, Receipt
from dexarb.chain.heads import FeedStats, Head, HeadListener
from dexarb.chain.rpc import Rpc
from dexarb.chain.trouble import NOT_THERE_YET, is_transient, pause_s
from dexarb.core.block import Block, BlockUpdate, Log, Transaction
from dexarb.core.market import MAX_REORG_DEPTH
from dexarb.core.token import Address
from dexarb.errors import OutsideError, ReorgTooDeep, RpcError

SLICE = 64
"""Blocks of a gap that are taken at once."""
BLOCKS_A_REQUEST = 8
"""Receipts of a busy block are a megabyte."""
RECEIPTS_PATIENCE = 5
"""Failures in a row after which logs have to do: some nodes' receipts cannot be read at all."""
RECEIPTS_AGAIN_AFTER = 256
"""Blocks until receipts are tried again: it may have been another endpoint that refused them."""
MAX_FILTER_ADDRESSES = 200
_PAUSE_S = (0.1, 2.0)

_log = structlog.get_logger("dexarb.feed")


class Received(NamedTuple):
    """A block as it arrived. logs: those of the watched pools, in log order.

    Its parent is the block before it, or, after a reorganisation, an older block of ours.
    """

    block: Block
    logs: tuple[Log, ...]
    transactions: tuple[Transaction, ...]
    has_receipts: bool

    def update(self, seq: int) -> BlockUpdate:
        return BlockUpdate(seq, self.block, self.logs, self.transactions, self.has_receipts)


class BlockFeed:
    """`async with BlockFeed(...) as feed: async for received in feed: ...`

    known: the (number, hash) of our newest blocks in chain order, the last being where the feed
    goes on; at least that one. Of more than 129 the newest count (a fork point may lie 128 back).

    Network trouble never ends the iteration: it is handed to `trouble` (default: the log) and
    tried again. What ends it is ReorgTooDeep, when the chain does not connect to `known`, and
    cancellation, at once.

    seen_at is when the block was heard of, None for blocks that came while we were not listening.
    """

    def __init__(
        self,
        rpc: Rpc,
        *,
        pools: Collection[Address],
        topics: Collection[bytes],
        known: Sequence[tuple[int, str]],
        poll_interval_s: float = 1.0,
        silence_s: float = 15.0,
        now: Callable[[], float] = time.time,
        trouble: Callable[[OutsideError], None] | None = None,
    ) -> None:
        if not known:
            raise ValueError("a feed needs the block to start from")
        self.stats = FeedStats()
        self._pools = frozenset(pools)
        self._topics = frozenset(topics)
        self._known = deque(known, maxlen=MAX_REORG_DEPTH + 1)
        # Few attempts a call: after a failure the chain may have gone another way, so the feed
        # looks at the newest head again before it insists.
        self._rpc = rpc.scoped(attempts=2)
        self._trouble = trouble or _tell
        self._listener = HeadListener(
            rpc.scoped(attempts=2),
            poll_interval_s=poll_interval_s,
            silence_s=silence_s,
            now=now,
            stats=self.stats,
            trouble=self._trouble,
        )
        self._listening: asyncio.Task[None] | None = None
        self._head: Head | None = None
        self._path: deque[Block] = deque()
        self._path_is_live = False
        self._ready: deque[Received] = deque()
        self._failures = 0
        self._receipts_from = 0

    async def __aenter__(self) -> Self:
        self._listening = asyncio.create_task(self._listener.run())
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._listening is not None:
            self._listening.cancel()
            await asyncio.wait([self._listening])

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Received:
        """The next block. Raises ReorgTooDeep. A call that was cancelled can be made again."""
        while not self._ready:
            await self._advance()
        received = self._ready.popleft()
        while self._known[-1][1] != received.block.parent_hash:
            self._known.pop()
        self._known.append((received.block.number, received.block.hash))
        return received

    async def _advance(self) -> None:
        """One step towards the head: a plan of the way there, or the next blocks of it."""
        if self._head is None:
            self._head = await self._next_head()
        before, live = self._rpc.requests, False
        try:
            if not self._path:
                await self._plan(self._head)
            chunk = list(itertools.islice(self._path, BLOCKS_A_REQUEST))
            self._ready.extend(await self._contents(chunk))
            live = self._path_is_live
            for _ in chunk:
                self._path.popleft()
            self.stats.count(len(chunk), live=live)
            if not chunk:
                self._head = None
            self._failures = 0
        except OutsideError as error:
            self._path.clear()
            self._failures += 1
            self._trouble(error)
            await asyncio.sleep(pause_s(self._failures, *_PAUSE_S))
        finally:
            self.stats.spend(self._rpc.requests - before, live=live)

    async def _next_head(self) -> Head:
        if self._listening is None:
            raise RuntimeError("a feed is used in its async with block")
        head = await self._listener.heads.get()
        if head is None:
            self._listener.heads.put_nowait(None)  # for whoever asks again
            await asyncio.wait([self._listening])
            if not self._listening.cancelled():
                self._listening.result()  # only a mistake of ours ends it; it is raised here
            raise StopAsyncIteration
        return head

    async def _plan(self, head: Head) -> None:
        """Sets the path to the head, or to a block on the way; empty if we are there."""
        header, tip = head.header, self._known[-1][0]
        if self._failures:
            # The head may have left the chain: go where the chain is now.
            header = await self._rpc.call_as(Header, "eth_getBlockByNumber", "latest", False)
        if int(header.number, 16) > tip + SLICE:
            number = hex(tip + SLICE)
            header = await self._rpc.call_as(Header, "eth_getBlockByNumber", number, False)
        live = head.live and header is head.header
        heard_at = self._listener.heard_at(head.header.hash.lower()) if live else None
        self._path_is_live = live
        self._path = deque(
            replace(block, seen_at=self._listener.heard_at(block.hash) or heard_at)
            for block in await self._way_to(decode.block(header))
        )

    async def _way_to(self, target: Block) -> list[Block]:
        """Blocks from the one after our newest ancestor of the target up to it.

        Raises ReorgTooDeep; RpcError where the target has left the chain meanwhile.
        """
        known = {block_hash for _, block_hash in self._known}
        oldest, tip = self._known[0][0], self._known[-1][0]
        if target.hash in known:
            return []
        way, heard = [target], dict[str, Block]()
        window = min(SLICE, max(1, target.number - tip - 1))
        while way[-1].parent_hash not in known:
            child = way[-1]
            if child.number - 1 <= oldest:
                raise ReorgTooDeep(child.number, child.hash, oldest)
            if child.parent_hash not in heard:
                heard.update(await self._headers_below(child, window, oldest))
                window = min(SLICE, window * 4)
            parent = heard.get(child.parent_hash)
            if parent is None or parent.number != child.number - 1:
                raise RpcError("eth_getBlockByHash", NOT_THERE_YET, "a parent is missing")
            way.append(parent)
        return way[::-1]

    async def _headers_below(self, child: Block, window: int, oldest: int) -> dict[str, Block]:
        """The child's parent by its hash, and what the chain has below it by number.

        Only hashes connect blocks; those by number save round trips if they belong to the branch.
        """
        lower = range(child.number - 2, max(oldest, child.number - 1 - window), -1)
        answers = await self._rpc.batch_as(
            _maybe_header,
            [("eth_getBlockByHash", [child.parent_hash, False])]
            + [("eth_getBlockByNumber", [hex(number), False]) for number in lower],
        )
        found = [decode.block(answer) for answer in answers if isinstance(answer, Header)]
        return {block.hash: block for block in found}

    async def _contents(self, blocks: Sequence[Block]) -> list[Received]:
        if not blocks:
            return []
        if blocks[0].number >= self._receipts_from:
            try:
                return await self._with_receipts(blocks)
            except OutsideError as error:
                passing = not isinstance(error, RpcError) or is_transient(error)
                if passing and self._failures < RECEIPTS_PATIENCE:
                    raise
                self._trouble(error)
        found = await self._with_logs(blocks)
        if blocks[0].number >= self._receipts_from:
            self._receipts_from = blocks[-1].number + RECEIPTS_AGAIN_AFTER
        return found

    async def _with_receipts(self, blocks: Sequence[Block]) -> list[Received]:
        calls = [("eth_getBlockReceipts", [block.hash]) for block in blocks]
        answers = await self._rpc.batch_as(list[Receipt], calls)
        found = []
        for block, receipts in zip(blocks, answers, strict=True):
            if isinstance(receipts, RpcError):
                raise receipts
            if not decode.belong_to(receipts, block.hash) or (block.gas_used and not receipts):
                raise RpcError("eth_getBlockReceipts", NOT_THERE_YET, "those of another block")
            events = itertools.chain.from_iterable(receipt.logs for receipt in receipts)
            transactions = decode.transactions(receipts)
            found.append(Received(block, self._watched(events), transactions, True))
        return found

    async def _with_logs(self, blocks: Sequence[Block]) -> list[Received]:
        wanted: dict[str, object] = {"topics": [["0x" + topic.hex() for topic in self._topics]]}
        if len(self._pools) <= MAX_FILTER_ADDRESSES:
            wanted["address"] = sorted(self._pools)
        calls: list[tuple[str, Sequence[Any]]] = []
        for block in blocks:
            calls.append(("eth_getLogs", [{"blockHash": block.hash, **wanted}]))
            # Some nodes say of a block they do not know that it has no logs; not in this company.
            calls.append(("eth_getBlockByHash", [block.hash, False]))
        answers = await self._rpc.batch_as(_events_or_header, calls, together=True)
        found = []
        for block, events, header in zip(blocks, answers[::2], answers[1::2], strict=True):
            for answer in (events, header):
                if isinstance(answer, RpcError):
                    raise answer
            if not (
                isinstance(events, list)
                and isinstance(header, Header)
                and decode.belong_to(events, block.hash)
            ):
                raise RpcError("eth_getLogs", NOT_THERE_YET, "those of another block")
            found.append(Received(block, self._watched(events), (), False))
        return found

    def _watched(self, events: Iterable[EventLog]) -> tuple[Log, ...]:
        try:
            return decode.logs(events, self._pools, self._topics)
        except ValueError as error:
            raise RpcError("logs", NOT_THERE_YET, f"malformed: {error}") from None


_maybe_header = cast("type[Header | None]", Header | None)
_events_or_header = cast("type[Any]", list[EventLog] | Header)


def _tell(error: OutsideError) -> None:
    _log.warning("feed.trouble", error=str(error))
