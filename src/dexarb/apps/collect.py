"""data-collector: every block of the chain into the history, the newest state beside it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Sequence
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import structlog

from dexarb.apps.collect_plan import chain_profile, pool_requests, what_is_lost
from dexarb.apps.config.collector import CollectorConfig, load_collector
from dexarb.apps.latency import Latency
from dexarb.apps.process import Signals, name_process, start_logging
from dexarb.apps.recorder import RETRY_S, Recorder, persist
from dexarb.apps.self_check import DIFFERENCES_BORNE, SelfCheck
from dexarb.chain.contents import Watched
from dexarb.chain.feed import BlockFeed, Received
from dexarb.chain.headers import LATEST, HeaderReader
from dexarb.chain.multicall import MULTICALL3
from dexarb.chain.rpc import Rpc
from dexarb.chain.sync import Bootstrap, bootstrap
from dexarb.chain.way import fork_point
from dexarb.core.block import BlockRef, BlockUpdate
from dexarb.core.market import MAX_REORG_DEPTH, Keyframe, Market
from dexarb.core.pool import Pool
from dexarb.core.token import Address, Token
from dexarb.errors import (
    BlocksMissing,
    OutsideError,
    PoolError,
    ReorgTooDeep,
    StoreError,
    TransportError,
)
from dexarb.store.history_writer import HistoryWriter
from dexarb.store.snapshot import StateWriter

SETTLED_BLOCKS = 16
"""So many blocks after a new start, and the next one need not wait."""
EVENTS_SHOWN = 3

_log = structlog.get_logger("data-collector")


def history_folder(config: CollectorConfig) -> Path:
    return config.settings.data_dir / "history" / str(config.chain.chain.chain_id)


class Collector:
    """Follows the chain until it is cancelled. Node and disk trouble only delays it."""

    def __init__(self, config: CollectorConfig, rpc: Rpc, writer: HistoryWriter) -> None:
        self._config = config
        self._rpc = rpc
        self._multicall = config.chain.multicall3 or MULTICALL3
        self._recorder = Recorder(writer)
        self._headers = HeaderReader(rpc.scoped(attempts=2))
        self._check = SelfCheck(rpc, self._multicall)
        self._state = StateWriter(config.settings.state_file, writer.folder)
        self._state_latency = Latency()
        self._feed: BlockFeed | None = None
        self._absent: dict[Address, Pool] = {}
        self._tokens: dict[Address, Token] = {}
        self._left_out: set[Address] = set()
        self._finalized: BlockRef | None = None
        self._told_at = time.monotonic()

    async def run(self) -> None:
        self._recorder.resume()
        pause = RETRY_S[0]
        while True:
            begun_at = self._recorder.blocks
            try:
                await self._catch_up()
                await self._follow(until=None)
            except (ReorgTooDeep, BlocksMissing) as error:
                await self._break(error)
            if self._recorder.blocks - begun_at > SETTLED_BLOCKS:
                pause = RETRY_S[0]
            await asyncio.sleep(pause)
            pause = min(RETRY_S[1], pause * 2)

    # -- phases -------------------------------------------------------------------------------

    async def _catch_up(self) -> None:
        """Bring the history to the chain's head, and check it against the chain.

        Raises ReorgTooDeep and BlocksMissing.
        """
        await persist(self._headers.prove)
        market = self._recorder.market
        if market is not None:
            head = await persist(partial(self._headers.one, LATEST))
            if head.block.number < market.block.number:
                _log.warning("lag", newest=head.block.number, ours=market.block.number)
                await self._follow(until=market.block.number + 1)
        while True:
            found = await persist(self._bootstrap)
            market = self._recorder.market
            if market is None:
                await self._begin(self._keyframe(found, found.pools))
                return
            if market.block.number < found.block.number:
                await self._follow(until=found.block.number)
            if market.block.hash == found.block.hash:
                await self._adopt(market, found)
                return
            if market.block.number > found.block.number and _same_setup(market, found):
                return  # blocks came meanwhile; what they lead to is checked as time goes by
            # The head moved to another branch, or an endpoint lags: look again.
            await asyncio.sleep(RETRY_S[0])

    async def _adopt(self, market: Market, found: Bootstrap) -> None:
        """Compare our market with the chain's at the same block, and take up what is new."""
        differing = [
            market.pools[pool.address]
            for pool in found.pools
            if market.pools.get(pool.address, pool) != pool
        ]
        chain = await persist(partial(self._check.differing, market.block, differing))
        if chain:
            _log.error("history.mismatch", pools=sorted(chain), remedy="taking the chain's state")
        pools = [chain.get(p.address) or market.pools.get(p.address) or p for p in found.pools]
        frame = self._keyframe(found, pools)
        is_same = market.profile == frame.profile and market.pools.keys() == {
            pool.address for pool in pools
        }
        if chain or not is_same:
            await self._begin(frame)

    async def _begin(self, keyframe: Keyframe) -> None:
        await self._recorder.begin(keyframe)
        self._write_state()

    async def _bootstrap(self) -> Bootstrap:
        chain = self._config.chain
        found = await bootstrap(
            self._rpc,
            pool_requests(self._config),
            chain_id=chain.chain.chain_id,
            tokens=chain.tokens.values(),
            names={address: name for name, address in chain.tokens.items()},
            remembered=self._tokens,
            multicall=chain.multicall3 or MULTICALL3,
        )
        self._tokens |= {token.address: token for token in found.tokens}
        for missing in found.missing:
            request = missing.request
            _log.warning(
                "pool.missing",
                dex=request.dex,
                pair=f"{self._name(request.token_a)}/{self._name(request.token_b)}",
                fee_pips=missing.fee_pips,
                reason=missing.reason,
            )
        for loss in what_is_lost(chain, found):
            _log.error("token.odd", problem=loss)
        _log.info("bootstrap", block=found.block.number, pools=len(found.pools))
        borne = [p for p in found.pools if self._check.differences[p.address] <= DIFFERENCES_BORNE]
        return replace(found, pools=tuple(borne))

    def _keyframe(self, found: Bootstrap, pools: Sequence[Pool]) -> Keyframe:
        profile = chain_profile(self._config.chain, found)
        return Keyframe(0, found.block, profile, found.tokens, tuple(pools))

    async def _follow(self, until: int | None) -> None:
        """Take blocks until one with number `until`, or for ever.

        Raises ReorgTooDeep and BlocksMissing.
        """
        market = self._recorder.market
        assert market is not None
        settings = self._config.settings
        feed = BlockFeed(
            self._rpc,
            watched=Watched.of(market.pools.values()),
            known=self._recorder.branch(MAX_REORG_DEPTH + 1),
            headers=self._headers,
            newest_timestamp=market.block.timestamp,
            poll_interval_s=settings.poll_interval_ms / 1000,
        )
        self._feed = feed
        async with feed:
            async for received in feed:
                await self._take(received)
                self._tell()
                if until is not None and received.block.number >= until:
                    return

    async def _take(self, received: Received) -> None:
        """One block: into the market, then the history, then the state file."""
        recorder = self._recorder
        update = await self._applied(received)
        await recorder.append(update)
        self._write_state()
        if update.block.seen_at is not None:
            self._state_latency.add(time.time() - update.block.seen_at)
        differing = self._check.take()
        if differing:
            await self._doubt(differing & self._market.pools.keys(), "differ from the chain")
        if self._absent:
            await self._restore()
        self._check.advance(self._market)

    async def _applied(self, received: Received) -> BlockUpdate:
        """The block in the market. Pools that it shows to be wrong are left out before it."""
        update = received.update(0)
        while True:
            try:
                ours = self._recorder.apply(update)
            except PoolError as error:
                emitters = {log.address for log in update.logs}
                await self._doubt({Address(error.pool)} & emitters or emitters, str(error))
                continue
            market = self._market
            events = [e for e in received.contents.unknown_events if e[0] in market.pools]
            differing = await self._check.examine(update.block, events, market)
            if not differing:
                return ours
            self._recorder.take_back(ours)
            topics = sorted({topic.hex() for pool, topic in events if pool in differing})
            await self._doubt(differing, f"changed by events that we do not know: {topics}")

    async def _doubt(self, pools: Collection[Address], reason: str) -> None:
        """Leave pools out at once; the chain's state comes back in unless it happens again."""
        if not pools:
            return
        market = self._market
        for address in sorted(pools):
            pool = market.pools[address]
            self._check.differences[address] += 1
            self._check.counts.differences += 1
            comes_back = self._check.differences[address] <= DIFFERENCES_BORNE
            _log.error(
                "pool.left_out",
                pool=address,
                dex=pool.dex,
                kind=pool.kind,
                reason=reason,
                last_events=market.last_events(address, EVENTS_SHOWN),
                until="it has been read anew" if comes_back else "a restart",
            )
            if comes_back:
                self._absent[address] = pool
        await self._recorder.leave_out(pools)

    async def _restore(self) -> None:
        """Take in again, as the chain has them, pools that were left out."""
        market = self._market
        try:
            found = await self._check.restored(market.block, list(self._absent.values()))
        except OutsideError as error:
            _log.debug("restore", problem=str(error))
            return
        if not found:
            return
        frame = market.keyframe()
        await self._begin(replace(frame, pools=(*frame.pools, *found.values())))
        for address in found:
            del self._absent[address]
        _log.info("pool.restored", pools=sorted(found), block=market.block.number)

    # -- breaks -------------------------------------------------------------------------------

    async def _break(self, error: ReorgTooDeep | BlocksMissing) -> None:
        """Say in the history what still stands, so that everything can start anew."""
        if self._recorder.market is None:
            return
        newest = self._recorder.branch(1)[-1]
        if isinstance(error, BlocksMissing):
            await self._recorder.break_off(newest, str(error))
            return
        stands = await persist(self._fork_point)
        if stands != newest:
            await self._recorder.break_off(stands, str(error))

    async def _fork_point(self) -> BlockRef | None:
        """The newest of our blocks that the chain has.

        Raises OutsideError, also where nothing of ours is there while an endpoint is silent: it
        may be the one that is on our chain.
        """
        depth, branch = MAX_REORG_DEPTH, self._recorder.branch(1)
        while True:
            longer = self._recorder.branch(depth * 8)
            if len(longer) == len(branch):
                break
            depth, branch = depth * 8, longer
            found = await self._headers.drive(fork_point(branch))
            if found is not None:
                return found
        for endpoint, answer in await self._rpc.each("eth_blockNumber"):
            if isinstance(answer, OutsideError):
                problem = "is silent, and the others have another chain than ours: waiting for it"
                raise TransportError(endpoint, problem)
        return None

    # -- telling ------------------------------------------------------------------------------

    def _write_state(self) -> None:
        """The state file is a convenience: where it cannot be written the history goes on."""
        try:
            self._state.write(self._market, self._recorder.writer.last_seq, self._metrics())
        except StoreError as error:
            _log.error("state", problem=str(error))

    def _metrics(self) -> dict[str, object]:
        recorder, feed = self._recorder, self._feed
        agreed = feed.agreed() if feed else None
        return {
            "blocks": recorder.blocks,
            "reorgs": recorder.reorgs,
            "breaks": recorder.breaks,
            "unproven": recorder.unproven,
            "backfilled": recorder.backfilled,
            "agreed_block": agreed.number if agreed else None,
            "finalized_block": self._finalized.number if self._finalized else None,
            "self_check": asdict(self._check.counts),
            "left_out": sorted(self._left_out),
            "rpc_requests_per_block": round(feed.stats.requests_per_block, 3) if feed else 0.0,
            "block_to_state_ms": self._state_latency.quantiles(),
        }

    def _tell(self) -> None:
        now = time.monotonic()
        if now - self._told_at >= self._config.settings.metrics_interval_secs:
            self._told_at = now
            _log.info("metrics", block=self._market.block.number, **self._metrics())

    @property
    def _market(self) -> Market:
        market = self._recorder.market
        assert market is not None
        return market

    def _name(self, address: str) -> str:
        names = {token: name for name, token in self._config.chain.tokens.items()}
        return next((name for token, name in names.items() if token == address), address)


def _same_setup(market: Market, found: Bootstrap) -> bool:
    return market.pools.keys() == {pool.address for pool in found.pools}


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
