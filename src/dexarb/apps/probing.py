"""Decisions of the paper trader, run by a node beside its work: nothing of a step waits for it."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import NamedTuple

import structlog

from dexarb.chain.endpoints.usage import Budget, Usage
from dexarb.chain.rpc import Rpc
from dexarb.config.probe import ProbeConfig
from dexarb.core.block import Block
from dexarb.core.gas_schedule import GasSchedule
from dexarb.core.market import Market
from dexarb.core.pool import Pool, PoolKey
from dexarb.core.probes import Probe
from dexarb.core.route import Cycle, run
from dexarb.core.token import Address
from dexarb.ends.probe import Prober
from dexarb.errors import OutsideError, PoolError, TransportError
from dexarb.store.ledger_notes import Metering
from dexarb.study.flash_gas import least_limit
from dexarb.trading.seams import Step

MOST_WAITING = 200
"""Decisions; the oldest give way, whose states nodes forget first."""
ATTEMPTS = 3
PAUSE_S = 10.0
"""Where no endpoint could be asked; what is decided meanwhile is passed over."""
JOIN_S = 2.0

_log = structlog.get_logger("paper-trading")


class _Wanted(NamedTuple):
    """A cycle with its pools as they were decided on, at the largest size of all decisions."""

    cycle: Cycle
    block: Block
    amount_in: int
    pools: Mapping[PoolKey, Pool]
    schedule: GasSchedule
    surcharges: Mapping[Address, int]


class Probing:
    """Mutable. A thread of its own asks; the trader puts in what it has decided and takes out what
    came of it. Begun by making it, ended by `close`. has_news: something has come since the
    metering was looked at."""

    def __init__(self, config: ProbeConfig, chain_id: int, noted: Metering | None = None) -> None:
        """noted: by whoever metered the endpoints before. Raises ConfigError and ConfigErrors."""
        table = config.table
        self._bar_blocks = table.bar_blocks
        self._budget = Budget(daily_requests=table.daily_requests or None)
        self._usage = Usage()
        if noted is not None:
            self._usage.take_up(noted.usage.encode())
        self._rpc = Rpc.connect(
            *config.urls(),
            timeout_s=float(table.timeout_s),
            attempts=ATTEMPTS,
            max_wait_s=0.0,  # meanwhile nodes forget the state
            usage=self._usage,
            budgets=[self._budget] * len(table.endpoints),
            notice=lambda *_: None,
        )
        self._rpc.expect(chain_id, lambda: ())
        self._prober: Prober | None = None
        self._rests_until = 0.0
        self._waiting: deque[_Wanted] = deque(maxlen=MOST_WAITING)
        self._arrived: deque[Probe] = deque()
        self._passed_over = 0
        self._problem: str | None = None
        self.has_news = False
        self._loop = asyncio.new_event_loop()
        self._more = asyncio.Event()
        self._serving = self._loop.create_task(self._serve())
        # The interpreter does not wait for it.
        self._thread = threading.Thread(target=self._work, name="probing", daemon=True)
        self._thread.start()

    # -- the trader's side --------------------------------------------------------------------

    def put(self, step: Step, market: Market) -> None:
        """What was decided at the end of the market's block, each cycle once. Never waits."""
        largest: dict[Cycle, int] = {}
        for decision in step.decisions:
            amount = largest.get(decision.cycle, 0)
            largest[decision.cycle] = max(amount, decision.amount_in)
        for cycle, amount in largest.items():
            pools = {pool: market.pools[pool] for pool in cycle.pools}
            self._passed_over += len(self._waiting) == MOST_WAITING
            prices = market.next_gas_schedule, market.next_surcharges
            wanted = _Wanted(cycle, market.block, amount, pools, *prices)
            self._waiting.append(wanted)
        if largest:
            self._loop.call_soon_threadsafe(self._more.set)

    def take(self) -> list[Probe]:
        """What has come since the last time."""
        return [self._arrived.popleft() for _ in range(len(self._arrived))]

    def metering(self) -> Metering:
        """As it is now."""
        self.has_news = False
        now = time.time()
        names = self._rpc.names
        return Metering(
            endpoint=self._prober.endpoint if self._prober else None,
            estimates_gas=bool(self._prober and self._prober.estimates),
            requests_today=sum(self._usage.today(name, now).requests for name in names),
            daily_requests=self._budget.daily_requests and self._budget.daily_requests * len(names),
            waiting=len(self._waiting),
            passed_over=self._passed_over,
            problem=self._problem,
            usage=self._usage.as_json().decode(),
        )

    def close(self) -> None:
        """What waits is given up, and so is a call that has no answer yet."""
        self._loop.call_soon_threadsafe(self._serving.cancel)
        self._thread.join(JOIN_S)

    # -- the thread's -------------------------------------------------------------------------

    def _work(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            with contextlib.suppress(asyncio.CancelledError):
                self._loop.run_until_complete(self._serving)
        except Exception as error:  # trading goes on without it, and status tells
            self._problem = f"probing has ended: {error}"
            _log.exception("probe.ended")

    async def _serve(self) -> None:
        async with self._rpc:
            while True:
                if not self._waiting:
                    self._more.clear()
                    await self._more.wait()
                    continue
                probe = await self._probe(self._waiting.popleft())
                if probe is None:
                    self._passed_over += 1
                else:
                    self._arrived.append(probe)
                self.has_news = True

    async def _probe(self, wanted: _Wanted) -> Probe | None:
        """None where nobody could be asked."""
        if time.monotonic() < self._rests_until or self._is_used_up():
            return None
        try:
            if self._prober is None:
                self._prober = await Prober.open(self._rpc, wanted.block.hash)
            found = await self._run(self._prober, wanted)
        except TransportError as error:
            self._prober, self._problem = None, str(error)
            self._rests_until = time.monotonic() + PAUSE_S
            return None
        except (OutsideError, PoolError) as error:  # of this one, as a kind that has no executor
            self._problem = str(error)
            return None
        self._problem = None
        return found

    def _is_used_up(self) -> bool:
        """Whether the budgets of all endpoints are."""
        now = time.time()
        rests = [self._usage.rest(name, self._budget, now) for name in self._rpc.names]
        spent = next((each for each in rests if each is not None), None)
        if spent is None or None in rests:
            return False
        self._problem = spent[1]
        return True

    async def _run(self, prober: Prober, wanted: _Wanted) -> Probe:
        cycle, block, amount, pools, schedule, surcharges = wanted
        expected = run(cycle, amount, pools.__getitem__)[-1].amount_out
        gas = least_limit(cycle, amount, pools, schedule, surcharges)
        ran = await prober.run(cycle, pools.__getitem__, amount, block.hash)
        probe = Probe(
            cycle,
            block.number,
            block.hash,
            amount,
            expected,
            ran.amount_out,
            gas,
            ran.gas,
            ran.refusal,
        )
        if probe.is_equal:
            return probe
        return probe._replace(until_block=block.number + self._bar_blocks)
