"""The collector: every block of the chain into the history, the newest state beside it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from functools import partial

import structlog

from dexarb.alerts.alerts import Alerts
from dexarb.apps import collect_report, collector_alerts
from dexarb.apps.clock_watch import ClockWatch
from dexarb.apps.latency import Latency
from dexarb.apps.pool_reader import PoolReader
from dexarb.apps.pool_watch import PoolWatch
from dexarb.apps.process import (
    keep_for_good,
)
from dexarb.apps.recorder import Recorder
from dexarb.apps.retrying import Retrying
from dexarb.apps.self_check import SelfCheck
from dexarb.apps.supervisor import UNSUPERVISED, Supervisor
from dexarb.chain.bootstrap.multicall import MULTICALL3
from dexarb.chain.bootstrap.sync import Bootstrap
from dexarb.chain.contents import Watched
from dexarb.chain.feed.feed import PAUSE_S, BlockFeed, Received
from dexarb.chain.feed.headers import LATEST, HeaderReader
from dexarb.chain.feed.pace import Pace
from dexarb.chain.feed.way import fork_point
from dexarb.chain.rpc import Rpc
from dexarb.config.collector import CollectorConfig
from dexarb.core.block import BlockRef
from dexarb.core.market import MAX_REORG_DEPTH, Keyframe, Market
from dexarb.errors import (
    BlocksMissing,
    OutsideError,
    ReorgTooDeep,
    StoreError,
    TransportError,
)
from dexarb.store.history_writer import HistoryWriter
from dexarb.store.snapshot import StateWriter
from dexarb.study.blockspace import BLOCKSPACE, Blockspace

SETTLED_BLOCKS = 16
"""So many blocks after a new start, and the next one need not wait."""
PACE_BLOCKS = 16
BEGIN_TRIES = 6
"""At the fork point, before a gap is accepted."""
UNLOGGED = ("endpoints", BLOCKSPACE)
"""Metrics that are for the state file alone."""
SILENCE_S = 120.0
"""So long an endpoint may be silent before the others' word for another chain than ours counts."""
_RETRYING = Retrying()

_log = structlog.get_logger("data-collector")


class Collector:
    """Follows the chain until it is cancelled. Node and disk trouble only delays it."""

    def __init__(
        self,
        config: CollectorConfig,
        rpc: Rpc,
        writer: HistoryWriter,
        *,
        retrying: Retrying = _RETRYING,
        feed_pause_s: tuple[float, float] = PAUSE_S,
        supervisor: Supervisor = UNSUPERVISED,
        alerts: Alerts | None = None,
        written: Callable[[], object] = lambda: None,
    ) -> None:
        """written: told of each block as soon as the history has it."""
        self._alerts = alerts or Alerts("data-collector")
        self._config = config
        self._written = written
        self._supervisor = supervisor
        self._rpc = rpc
        self._retrying = retrying
        self._feed_pause_s = feed_pause_s
        chain = config.chain.chain
        self._headers = HeaderReader(
            rpc.scoped(attempts=2), chain.header_fields, is_sealed=chain.sealed_headers
        )
        self._pace = Pace()
        self._recorder = Recorder(writer, retrying)
        self._check = SelfCheck(rpc, config.chain.multicall3 or MULTICALL3)
        self._pools = PoolWatch(self._recorder, self._check)
        self._reader = PoolReader(config, rpc, self._headers, self._check, self._pools)
        self._state = StateWriter(config.settings.state_file, writer.folder)
        self._is_state_stuck = False
        self._state_latency = Latency()
        self._clock = ClockWatch()
        self._blockspace = Blockspace()
        self._feed: BlockFeed | None = None
        self._logged_at = time.monotonic()
        rpc.expect(config.chain.chain.chain_id, self._known_blocks)

    async def run(self) -> None:
        self._recorder.resume()
        if self._recorder.market is not None:
            self._reader.remember(self._recorder.market.tokens)
        await self._retrying.until_done(self._measure_pace)
        pause_s, is_behind = self._retrying.shortest_s, True
        while True:
            begun_at = self._recorder.blocks
            try:
                if is_behind:
                    await self._catch_up()
                    is_behind = False
                    keep_for_good()
                    self._supervisor.status("following the chain")
                await self._follow(until=None)
            except (ReorgTooDeep, BlocksMissing) as error:
                is_behind = await self._break(error) or is_behind
            if self._recorder.blocks - begun_at > SETTLED_BLOCKS:
                pause_s = self._retrying.shortest_s
            await asyncio.sleep(pause_s)
            pause_s = self._retrying.longer_s(pause_s)

    async def finish(self) -> None:
        """Wait for what goes on beside `run` and needs the history's lock."""
        await self._recorder.finish()

    # -- phases -------------------------------------------------------------------------------

    async def _measure_pace(self) -> None:
        """Whether headers can be proven, how fast the chain is, and what that will cost."""
        await self._headers.prove()
        head = (await self._headers.one(LATEST)).block
        (older,) = await self._headers.ask([max(0, head.number - PACE_BLOCKS)])
        for block in (older.block if older else head, head):
            self._pace.note(block.number, block.timestamp)
        if self._pace.block_time_s:
            collect_report.log_forecast(self._config, self._rpc, self._pace.block_time_s)

    async def _catch_up(self) -> None:
        """Bring the history to the chain's head, and check it against the chain.

        Raises ReorgTooDeep and BlocksMissing.
        """
        market = self._recorder.market
        if market is not None:
            head = await self._retrying.until_done(partial(self._headers.one, LATEST))
            if head.block.number < market.block.number:
                _log.warning("lag", newest=head.block.number, ours=market.block.number)
                await self._follow(until=market.block.number + 1)
        pause_s = self._retrying.shortest_s
        while True:
            found = await self._retrying.until_done(self._read_pools)
            market = self._recorder.market
            if market is None:
                if self._recorder.can_begin_at(found.block):
                    await self._begin(self._reader.keyframe(found, found.pools))
                    return
            else:
                if market.block.number < found.block.number:
                    await self._follow(until=found.block.number)
                if market.block.hash == found.block.hash:
                    await self._adopt(market, found)
                    return
            # Blocks came meanwhile, the head moved to another branch, or an endpoint lags. Each
            # time costs a whole bootstrap, and what stands still may do so for hours.
            await asyncio.sleep(pause_s)
            pause_s = self._retrying.longer_s(pause_s)

    async def _adopt(self, market: Market, found: Bootstrap) -> None:
        """Compare our market with the chain's at the same block, and take up what is new."""
        read = {pool.key: pool for pool in found.pools}
        ours = [pool for key, pool in market.pools.items() if read.get(key, pool) != pool]
        compare = partial(self._check.differing, market.block, ours)
        chain = await self._retrying.until_done(compare)
        if chain:
            _log.error("history.mismatch", pools=sorted(chain), remedy="taking the chain's state")
            collector_alerts.tell_history_mismatch(self._alerts, len(chain))
        pools = [chain.get(key) or market.pools.get(key) or pool for key, pool in read.items()]
        frame = self._reader.keyframe(found, pools)
        wanted = {pool.key: pool for pool in frame.pools}
        # A pool that stays as it is is the market's own.
        joined = [pool for key, pool in wanted.items() if market.pools.get(key) is not pool]
        left = [key for key, pool in market.pools.items() if wanted.get(key) is not pool]
        renamed = any(market.tokens.get(each.address, each) != each for each in frame.tokens)
        if market.profile != frame.profile or (renamed and (joined or left)):
            await self._begin(frame)
        elif joined or left:
            await self._recorder.change(tokens=frame.tokens, joined=joined, left=left)
            self._write_state()

    async def _read_pools(self, at: BlockRef | None = None) -> Bootstrap:
        market = self._recorder.market
        found = await self._reader.read(market.pools.keys() if market is not None else (), at)
        collect_report.save_usage(self._config, self._rpc)
        return found

    async def _begin(self, keyframe: Keyframe) -> None:
        await self._recorder.begin(keyframe)
        self._write_state()

    async def _follow(self, until: int | None) -> None:
        """Take blocks until one with number `until`, or for ever.

        Raises ReorgTooDeep and BlocksMissing.
        """
        market = self._market
        feed = BlockFeed(
            self._rpc,
            watched=Watched.of([*market.pools.values(), *self._pools.absent]),
            known=self._recorder.writer.recent_chain(MAX_REORG_DEPTH + 1),
            headers=self._headers,
            pace=self._pace,
            newest_timestamp=market.block.timestamp,
            poll_interval_s=self._config.settings.poll_interval_ms / 1000,
            pause_s=self._feed_pause_s,
            keep_calls=self._config.settings.keep_calls,
        )
        self._feed = feed
        async with feed:
            async for received in feed:
                await self._take(received)
                if until is not None and received.block.number >= until:
                    return

    async def _take(self, received: Received) -> None:
        """One block: into the market, then the history, then the state file."""
        update = await self._pools.applied(received)
        collector_alerts.tell_mismatches(self._alerts, self._pools)  # some end in this very block
        await self._recorder.append(update)
        self._written()
        self._blockspace.add(update)
        self._write_state()
        seen_at = update.block.seen_at
        if seen_at is not None:
            self._state_latency.add(time.time() - seen_at)
            if self._clock.note(seen_at, update.block.timestamp):
                self._log_clock()
        await self._pools.settle()
        self._alerts.block(update.block.number, update.block.timestamp)
        collector_alerts.tell_mismatches(self._alerts, self._pools)
        self._log_metrics()

    # -- breaks -------------------------------------------------------------------------------

    async def _break(self, error: ReorgTooDeep | BlocksMissing) -> bool:
        """Say in the history what still stands, so that everything can start anew; whether it has
        to."""
        market = self._recorder.market
        if market is None:
            return True
        stands = self._recorder.writer.last_block
        if isinstance(error, ReorgTooDeep):
            patient_until = asyncio.get_running_loop().time() + SILENCE_S
            stands = await self._retrying.until_done(partial(self._fork_point, patient_until))
            if stands is not None and market.remembers(stands.hash):
                if stands.hash == market.block.hash:
                    _log.warning("reorg.refuted", block=stands.number, reason=str(error))
                return False  # nothing that the feed does not find by itself
        await self._recorder.break_off(stands, str(error))
        if isinstance(error, ReorgTooDeep) and stands is not None:
            await self._begin_at(stands)
        return True

    async def _begin_at(self, fork_point: BlockRef) -> None:
        """Go on where the branches part, so that no block is missing.

        Most forks that are too deep for the market are shallow ones behind a new keyframe, and
        nodes keep the states of the newest blocks. Where they do not it goes on at the head.
        """
        failure: OutsideError | None = None
        for _ in range(BEGIN_TRIES):
            try:
                found = await self._read_pools(fork_point)
            except OutsideError as error:
                failure = error
                await asyncio.sleep(self._retrying.shortest_s)
            else:
                await self._begin(self._reader.keyframe(found, found.pools))
                keep_for_good()
                return
        _log.warning("gap", behind=fork_point.number, reason=str(failure))

    async def _fork_point(self, patient_until: float) -> BlockRef | None:
        """The newest of our blocks that the chain has.

        Raises OutsideError, also where nothing of ours is there while an endpoint is silent: it
        may be the one that is on our chain. That ends at a time of the loop's.
        """
        for branch in self._recorder.ever_longer_branches():
            found = await self._headers.drive(fork_point(branch))
            if found is not None:
                return found
        answered = {
            name
            for name, answer in await self._rpc.each("eth_blockNumber")
            if not isinstance(answer, OutsideError)
        }
        answered |= self._rpc.foreign  # they have answered that before
        is_patient = asyncio.get_running_loop().time() < patient_until
        for name in self._rpc.names:
            if name not in answered and is_patient:
                problem = "is silent, and the others have another chain than ours: waiting for it"
                raise TransportError(name, problem)
        return None

    def _known_blocks(self) -> list[BlockRef]:
        """By these endpoints are known: the first hardly a reorganisation reaches any more."""
        branch = self._recorder.writer.recent_chain(MAX_REORG_DEPTH)
        return [branch[0], branch[len(branch) // 2], branch[-1]] if branch else []

    # -- telling ------------------------------------------------------------------------------

    def _write_state(self) -> None:
        """The state file is a convenience: where it cannot be written the history goes on."""
        try:
            self._state.write(self._market, self._recorder.writer.last_seq, self._metrics)
        except StoreError as error:
            if not self._is_state_stuck:
                _log.error("state", problem=str(error))
            self._is_state_stuck = True
        else:
            if self._is_state_stuck:
                _log.info("state.over")
            self._is_state_stuck = False

    def _metrics(self) -> dict[str, object]:
        return collect_report.metrics(
            self._recorder,
            self._feed,
            self._check,
            self._pools,
            self._rpc,
            self._state_latency,
            self._clock,
            self._blockspace,
        )

    def _log_clock(self) -> None:
        clock = self._clock
        if clock.offset_s is None:
            _log.info("clock.over")
        else:
            _log.warning("clock", is_off_by_s=clock.offset_s, remedy=clock.remedy)

    def _log_metrics(self) -> None:
        now = time.monotonic()
        if now - self._logged_at >= self._config.settings.metrics_interval_secs:
            self._logged_at = now
            metrics = self._metrics()
            collector_alerts.stand(self._alerts, self._market.block.number, metrics)
            shown = {key: value for key, value in metrics.items() if key not in UNLOGGED}
            _log.info("metrics", block=self._market.block.number, **shown)
            self._supervisor.status(f"block {self._market.block.number}")
            collect_report.save_usage(self._config, self._rpc)

    @property
    def _market(self) -> Market:
        market = self._recorder.market
        assert market is not None
        return market
