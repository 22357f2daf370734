"""Consumes a block feed in the background and checks what every consumer relies on."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

from dexarb.chain.feed.feed import BlockFeed, Received
from dexarb.chain.rpc import Rpc
from dexarb.core.block import Block, BlockRef
from dexarb.errors import OutsideError
from tests.support.chain_driver import WATCHING, Driver, until

QUICK: dict[str, Any] = {"poll_interval_s": 0.02, "silence_s": 5.0}


class Follower:
    """received: everything that came, dead branches included. troubles: what the feed told."""

    def __init__(self, feed: BlockFeed, known: Sequence[BlockRef]) -> None:
        self.feed = feed
        self.known = known
        self.received: list[Received] = []
        self.troubles: list[OutsideError] = []
        self.task: asyncio.Task[None] | None = None

    async def consume(self) -> None:
        seen = {block_hash for _, block_hash in self.known}
        async for received in self.feed:
            assert received.block.parent_hash in seen, "a block came without its parent"
            assert received.block.hash not in seen, "a block came twice"
            seen.add(received.block.hash)
            self.received.append(received)

    async def reach(self, block: Block) -> None:
        """Wait until this block is the last one received."""

        def there() -> bool:
            if self.task is not None and self.task.done():
                self.task.result()
            return bool(self.received) and self.received[-1].block.hash == block.hash

        await until(there)

    def branch(self) -> list[Received]:
        """From the first block after the known ones to the last received, without dead branches."""
        by_hash = {received.block.hash: received for received in self.received}
        way, name = [], self.received[-1].block.hash
        while name in by_hash:
            way.append(by_hash[name])
            name = by_hash[name].block.parent_hash
        assert name in {block_hash for _, block_hash in self.known}
        return way[::-1]

    async def check_against(self, driver: Driver) -> None:
        """Reach the node's head; our branch is the node's chain, with all its watched events."""
        await self.reach(await driver.block())
        branch = self.branch()
        expected = await driver.chain(branch[0].block.number)
        assert [replace(received.block, seen_at=None) for received in branch] == expected
        assert [received.contents.logs for received in branch] == await driver.logs(expected)


@contextlib.asynccontextmanager
async def following(
    *urls: str, known: Sequence[BlockRef], timeout_s: float = 5.0, **options: Any
) -> AsyncIterator[Follower]:
    """A feed over these endpoints and its consumer."""
    async with Rpc.connect(*urls, timeout_s=timeout_s, backoff_s=0.001, backoff_max_s=0.05) as rpc:
        troubles: list[OutsideError] = []
        defaults: dict[str, Any] = {"watched": WATCHING, **QUICK}
        async with BlockFeed(
            rpc, known=known, trouble=troubles.append, **(defaults | options)
        ) as feed:
            follower = Follower(feed, known)
            follower.troubles = troubles
            follower.task = asyncio.create_task(follower.consume())
            try:
                yield follower
            finally:
                follower.task.cancel()
                (ended,) = await asyncio.gather(follower.task, return_exceptions=True)
            if isinstance(ended, AssertionError):
                raise ended
