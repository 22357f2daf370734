"""data-collector: every block of the chain into the history, the newest state beside it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog

from dexarb.apps.collect_plan import chain_profile, pool_requests
from dexarb.apps.config.collector import CollectorConfig, load_collector
from dexarb.apps.latency import Latency
from dexarb.apps.process import Signals, name_process, start_logging
from dexarb.chain.feed import BlockFeed, Received
from dexarb.chain.rpc import Rpc
from dexarb.chain.sync import Bootstrap, bootstrap
from dexarb.core.market import Keyframe, Market
from dexarb.errors import OutsideError, PoolError, ReorgTooDeep, StoreError
from dexarb.store.compaction import close_segments
from dexarb.store.follow import newest_market
from dexarb.store.history_reader import HistoryReader
from dexarb.store.history_writer import HistoryWriter
from dexarb.store.snapshot import StateWriter

T = TypeVar("T")
RETRY_S = (0.5, 30.0)

_log = structlog.get_logger("data-collector")


def history_folder(config: CollectorConfig) -> Path:
    return config.settings.data_dir / "history" / str(config.chain.chain.chain_id)


class Collector:
    """Follows the chain until it is cancelled. Node and disk trouble only delays it."""

    def __init__(self, config: CollectorConfig, rpc: Rpc, writer: HistoryWriter) -> None:
        self._config = config
        self._rpc = rpc
        self._writer = writer
        self._state = StateWriter(config.settings.state_file, writer.folder)
        self._state_latency = Latency()
        self._market: Market | None = None
        self._compaction: asyncio.Task[None] | None = None
        self._blocks = 0
        self._reorgs = 0
        self._told_at = time.monotonic()

    async def run(self) -> None:
        self._market = self._resume()
        while True:
            try:
                await self._catch_up_and_follow()
            except (ReorgTooDeep, PoolError) as error:
                # PoolError: the node sent events that cannot follow what it told before.
                _log.error("resync", reason=str(error))
                self._market = None

    # -- phases -------------------------------------------------------------------------------

    def _resume(self) -> Market | None:
        """The market at the end of the history, None where only a keyframe can come next."""
        if self._writer.needs_keyframe:
            return None
        try:
            market = newest_market(HistoryReader(self._writer.folder))
        except StoreError as error:
            _log.error("resync", reason=str(error))
            return None
        _log.info("resumed", block=market.block.number, pools=len(market.pools))
        return market

    async def _catch_up_and_follow(self) -> None:
        """Bring the history to the chain's head, check it against the chain, then follow."""
        found = await self._persist(self._bootstrap)
        if self._market is not None:
            await self._follow(until=found.block.number)
        keyframe = self._keyframe(found)
        if self._market is None or not _agree(self._market, keyframe):
            if self._market is not None and self._market.block.hash != found.block.hash:
                return  # the head moved to another branch meanwhile: look again
            stored = await self._persist(lambda: _done(self._writer.append_keyframe(keyframe)))
            self._market = Market(stored)
            self._write_state()
        await self._follow(until=None)

    async def _bootstrap(self) -> Bootstrap:
        chain = self._config.chain
        found = await bootstrap(
            self._rpc,
            pool_requests(self._config),
            chain_id=chain.chain.chain_id,
            tokens=chain.tokens.values(),
            multicall=chain.multicall3,
        )
        for missing in found.missing:
            request = missing.request
            _log.warning(
                "pool.missing",
                dex=request.dex,
                pair=f"{self._name(request.token_a)}/{self._name(request.token_b)}",
                fee_pips=missing.fee_pips,
                reason=missing.reason,
            )
        _log.info("bootstrap", block=found.block.number, pools=len(found.pools))
        return found

    def _keyframe(self, found: Bootstrap) -> Keyframe:
        profile = chain_profile(self._config.chain, found)
        return Keyframe(0, found.block, profile, found.tokens, found.pools)

    async def _follow(self, until: int | None) -> None:
        """Take blocks until one with number `until`, or for ever. Raises ReorgTooDeep."""
        market = self._market
        assert market is not None
        if until is not None and market.block.number >= until:
            return
        settings = self._config.settings
        feed = BlockFeed(
            self._rpc,
            pools=market.pools.keys(),
            topics={topic for pool in market.pools.values() for topic in pool.topics},
            known=self._writer.recent_chain(),
            poll_interval_s=settings.poll_interval_ms / 1000,
        )
        async with feed:
            async for received in feed:
                await self._take(market, received)
                self._tell(feed)
                if until is not None and received.block.number >= until:
                    return

    async def _take(self, market: Market, received: Received) -> None:
        """One block: into the history first, then the market, then the state file."""
        parent = received.block.parent_hash
        if parent != market.block.hash:
            if not market.remembers(parent):
                raise ReorgTooDeep(received.block.number, received.block.hash, market.block.number)
            self._reorgs += 1
            depth = market.block.number - received.block.number + 1
            _log.warning("reorg", block=received.block.number, depth=depth)
        update = await self._persist(lambda: _done(self._writer.append(received.update(0))))
        market.rewind(parent)
        market.apply(update)
        self._blocks += 1
        self._write_state()
        if update.block.seen_at is not None:
            self._state_latency.add(time.time() - update.block.seen_at)
        self._roll(market)

    # -- disk ---------------------------------------------------------------------------------

    def _write_state(self) -> None:
        """The state file is a convenience: where it cannot be written the history goes on."""
        assert self._market is not None
        try:
            self._state.write(self._market, self._writer.last_seq, self._metrics())
        except StoreError as error:
            _log.error("state", problem=str(error))

    def _roll(self, market: Market) -> None:
        try:
            rolled = self._writer.roll_if_full(lambda: _keyframe_of(market))
        except StoreError as error:
            _log.error("roll", problem=str(error))
        else:
            if rolled:
                self._start_compaction(market.block.number)

    def _start_compaction(self, head: int) -> None:
        if self._compaction is None or self._compaction.done():
            self._compaction = asyncio.create_task(self._compact(head))

    async def _compact(self, head: int) -> None:
        try:
            closed = await asyncio.to_thread(close_segments, self._writer.folder, head)
        except StoreError as error:
            _log.error("compaction", problem=str(error))
        else:
            if closed:
                _log.info("compaction", segments=len(closed))

    async def _persist(self, action: Callable[[], Awaitable[T]]) -> T:
        """Do it until node and disk let us; every failure is told, nothing is given up."""
        pause = RETRY_S[0]
        while True:
            try:
                return await action()
            except ReorgTooDeep:
                raise
            except OutsideError as error:
                _log.error("waiting", problem=str(error), again_in_s=pause)
            await asyncio.sleep(pause)
            pause = min(RETRY_S[1], pause * 2)

    # -- telling ------------------------------------------------------------------------------

    def _metrics(self) -> dict[str, object]:
        return {
            "blocks": self._blocks,
            "reorgs": self._reorgs,
            "rpc_requests_per_block": self._requests_per_block,
            "block_to_state_ms": self._state_latency.quantiles(),
        }

    _requests_per_block: float = 0.0

    def _tell(self, feed: BlockFeed) -> None:
        self._requests_per_block = round(feed.stats.requests_per_block, 3)
        now = time.monotonic()
        if now - self._told_at >= self._config.settings.metrics_interval_secs:
            self._told_at = now
            assert self._market is not None
            _log.info("metrics", block=self._market.block.number, **self._metrics())

    def _name(self, address: str) -> str:
        names = {token: name for name, token in self._config.chain.tokens.items()}
        return next((name for token, name in names.items() if token == address), address)


async def _done(value: T) -> T:
    return value


def _keyframe_of(market: Market) -> Keyframe:
    """The market as it stands; the writer gives the seq."""
    return Keyframe(
        0,
        market.block,
        market.profile,
        tuple(market.tokens.values()),
        tuple(market.pools.values()),
    )


def _agree(market: Market, chain: Keyframe) -> bool:
    """Whether what the history leads to is what the chain says at the same block."""
    if market.block.hash != chain.block.hash:
        return market.block.number > chain.block.number and _same_setup(market, chain)
    mismatches = [pool.address for pool in chain.pools if market.pools.get(pool.address) != pool]
    if mismatches and _same_setup(market, chain):
        _log.error("history.mismatch", pools=mismatches, remedy="starting a new segment")
    return not mismatches and _same_setup(market, chain)


def _same_setup(market: Market, chain: Keyframe) -> bool:
    return market.profile == chain.profile and market.pools.keys() == {
        pool.address for pool in chain.pools
    }


def run(config_path: Path) -> int:
    """Collect until SIGINT or SIGTERM. Returns the exit code."""
    name_process("data-collector")
    signals = Signals()
    config = load_collector(config_path)
    start_logging("data_collector", config.settings.log_level, config.settings.log_dir)
    return asyncio.run(_run(config, signals))


async def _run(config: CollectorConfig, signals: Signals) -> int:
    chain = config.chain.chain
    with HistoryWriter.open(
        history_folder(config),
        chain_id=chain.chain_id,
        chain=chain.name,
        segment_blocks=config.settings.segment_blocks,
    ) as writer:
        if writer.recovered:
            _log.warning("history.recovered", what=writer.recovered)
        async with Rpc.connect(*config.endpoints, timeout_s=config.timeout_s) as rpc:
            task = asyncio.ensure_future(Collector(config, rpc, writer).run())
            loop = asyncio.get_running_loop()
            signals.on_stop = partial(loop.call_soon_threadsafe, task.cancel)
            if signals.stopping:
                task.cancel()
            _log.info("start", history=str(writer.folder), endpoints=len(config.endpoints))
            try:
                await task
            except asyncio.CancelledError:
                _log.info("stop", block=writer.last_block)
    return 0
