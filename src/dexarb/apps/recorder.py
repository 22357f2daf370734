"""The market and the history that leads to it, always in step."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Iterable, Iterator
from dataclasses import replace

import structlog

from dexarb.apps.retrying import Retrying
from dexarb.chain.feed.heads import HICCUP_S
from dexarb.core.block import Block, BlockRef, BlockUpdate
from dexarb.core.market import MAX_REORG_DEPTH, Keyframe, Market, PoolsChanged
from dexarb.core.pool import Pool, PoolKey
from dexarb.core.token import Token
from dexarb.errors import ReorgTooDeep, StoreError
from dexarb.store.compaction import close_segments
from dexarb.store.follow import newest_market
from dexarb.store.history_reader import HistoryReader
from dexarb.store.history_writer import HistoryWriter

_log = structlog.get_logger("data-collector")


class Recorder:
    """Mutable. Whatever it is given stands in the history or has changed nothing.

    market: None before the first keyframe, and after a break until the next one. blocks, reorgs,
    unproven, backfilled: counts of this run.
    """

    def __init__(self, writer: HistoryWriter, retrying: Retrying) -> None:
        self.writer = writer
        self._retrying = retrying
        self.market: Market | None = None
        self.blocks = self.reorgs = self.unproven = self.backfilled = self.breaks = 0
        self._compaction: asyncio.Task[None] | None = None
        self._is_roll_stuck = False

    def resume(self) -> None:
        """Take up the market at the end of the history, where there is one."""
        if self.writer.needs_keyframe:
            return
        try:
            self.market = newest_market(HistoryReader(self.writer.folder))
        except StoreError as error:
            _log.error("resync", reason=str(error))
            return
        _log.info("resumed", block=self.market.block.number, pools=len(self.market.pools))

    def can_begin_at(self, block: Block) -> bool:
        """Whether a keyframe may come there: a node that lags knows only what is recorded."""
        newest = self.writer.last_block
        return newest is None or block.number > newest.number or block.hash == newest.hash

    def ever_longer_branches(self) -> Iterator[list[BlockRef]]:
        """The newest blocks that stand, oldest first, then ever more of them up to all."""
        reader = HistoryReader(self.writer.folder)
        depth, before = MAX_REORG_DEPTH, 0
        while True:
            branch = [BlockRef(each.number, each.hash) for each in reader.branch(depth)]
            if len(branch) <= before:
                return
            yield branch
            depth, before = depth * 8, len(branch)

    def go_back(self, block: Block) -> dict[PoolKey, Pool]:
        """Take the market back to the parent of a block, if it stands elsewhere; returns the pools
        that joined only behind it, as they were.

        Raises ReorgTooDeep for a parent that the market does not remember.
        """
        market = self._market
        if block.parent_hash == market.block.hash:
            return {}
        if not market.remembers(block.parent_hash):
            raise ReorgTooDeep(block.number, block.hash, market.block.number)
        depth = market.block.number - block.number + 1
        _log.warning("reorg", block=block.number, depth=depth)
        self.reorgs += 1
        before = dict(market.pools)
        market.rewind(block.parent_hash)
        return {key: pool for key, pool in before.items() if key not in market.pools}

    def apply(self, update: BlockUpdate) -> BlockUpdate:
        """Move the market to the block; returns it with the logs of the market's pools alone.

        Nothing is written yet: `append` or `take_back` follows. Raises the PoolError of a pool that
        cannot follow.
        """
        market = self._market
        logs = tuple([log for log in update.logs if market.key_of(log) is not None])
        ours = replace(update, logs=logs)
        market.apply(ours)
        return ours

    def take_back(self, update: BlockUpdate) -> None:
        """Undo `apply`."""
        self._market.rewind(update.block.parent_hash)

    async def append(self, update: BlockUpdate) -> None:
        """Write what was applied, as soon as the disk lets us; late, if that took long."""
        begun_at = time.monotonic()

        async def write() -> BlockUpdate:
            waited = time.monotonic() - begun_at > HICCUP_S
            return self.writer.append(replace(update, backfilled=update.backfilled or waited))

        update = await self._retrying.until_done(write)
        self.blocks += 1
        self.unproven += update.witnesses == 0
        self.backfilled += update.backfilled
        self._roll()

    async def begin(self, keyframe: Keyframe) -> None:
        """Go on from this market: the first one, another profile, a new start after a break."""

        async def write() -> Keyframe:
            return self.writer.append_keyframe(keyframe)

        self.market = Market(await self._retrying.until_done(write))

    async def break_off(self, fork_point: BlockRef | None, reason: str) -> None:
        """What is recorded behind the fork point is dead; a keyframe has to follow."""

        async def write() -> None:
            self.writer.append_break(fork_point, reason)

        _log.error("break", stands=fork_point and fork_point.number, reason=reason)
        await self._retrying.until_done(write)
        self.breaks += 1
        self.market = None

    async def change(
        self,
        *,
        tokens: Iterable[Token] = (),
        joined: Iterable[Pool] = (),
        left: Iterable[PoolKey] = (),
    ) -> None:
        """Let pools join and leave at the market's block, which the history ends at.

        joined: as they are at its end. tokens: among them those that the market does not know.
        """
        market = self._market
        new = tuple(token for token in tokens if token.address not in market.tokens)
        entry = PoolsChanged(0, self._place, new, tuple(joined), tuple(left))

        async def write() -> PoolsChanged:
            return self.writer.append_pools_changed(entry)

        market.change(await self._retrying.until_done(write))

    async def leave_out(self, pools: Collection[PoolKey]) -> None:
        """Go on at the same block without these pools: traders pass them over from here on."""
        if self.writer.last_block == self._place:
            await self.change(left=sorted(pools))
            return
        frame = self._market.keyframe()
        await self.break_off(self._place, "pools had to be left out on another branch")
        rest = tuple(pool for pool in frame.pools if pool.key not in pools)
        await self.begin(replace(frame, pools=rest))

    @property
    def _market(self) -> Market:
        assert self.market is not None
        return self.market

    @property
    def _place(self) -> BlockRef:
        """The block that the market stands at."""
        return BlockRef(self._market.block.number, self._market.block.hash)

    # -- segments -----------------------------------------------------------------------------

    def _roll(self) -> None:
        market = self._market
        try:
            rolled = self.writer.roll_if_full(market.keyframe)
        except StoreError as error:
            if not self._is_roll_stuck:
                _log.error("roll", problem=str(error))
            self._is_roll_stuck = True
        else:
            self._is_roll_stuck = False
            if rolled and (self._compaction is None or self._compaction.done()):
                self._compaction = asyncio.create_task(self._compact(market.block.number))

    async def finish(self) -> None:
        """Wait until no segment is being closed."""
        if self._compaction is not None:
            await asyncio.wait([self._compaction])

    async def _compact(self, head: int) -> None:
        try:
            closed = await asyncio.to_thread(close_segments, self.writer.folder, head)
        except StoreError as error:
            _log.error("compaction", problem=str(error))
        else:
            if closed:
                _log.info("compaction", segments=len(closed))
