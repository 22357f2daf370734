"""The end of a rehearsal: all but signing and sending. A signed transaction that lies about is live
ammunition, so nodes run the very call instead, from the operator and on their newest state.

Trades settle on paper; what the executor, its pools and tokens would have said is in the journal.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from queue import Empty

import structlog

from dexarb.apps.live.writing import Writing
from dexarb.chain.endpoints.trouble import is_revert
from dexarb.chain.rpc import Rpc
from dexarb.core.market import Entry, Market
from dexarb.core.sending import Rehearsed
from dexarb.core.token import Address
from dexarb.core.trade import Decision, Funding
from dexarb.ends.executor_contract import execute_data
from dexarb.ends.refusal import refusal
from dexarb.errors import OutsideError, PoolError, RpcError
from dexarb.store.journal import Journal
from dexarb.study.session import Session
from dexarb.trading.models.reality import Reality
from dexarb.trading.seams import Step
from dexarb.trading.settle.paper_executor import PaperExecutor

EMPTY = "0x"
NO_CODE = "there is no executor at this address"


class RehearsalEnd:
    """Mutable; runs from `start` to `stop`. See `apps.end.End`."""

    door = None

    def __init__(
        self,
        reality: Reality,
        journal: Journal,
        urls: Sequence[str],
        *,
        executor: Address,
        operator: Address,
        timeout_s: float,
    ) -> None:
        """executor: the contract's address, operator: who would call it."""
        self.executor = PaperExecutor(reality)
        self._journal, self._writing = journal, Writing(journal)
        self._urls, self._timeout_s = urls, timeout_s
        self._to, self._from = executor, operator
        self._found: queue.SimpleQueue[Rehearsed] = queue.SimpleQueue()
        self._log = structlog.get_logger("dexarb-bot")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=self._loop.run_forever, name="rehearsal", daemon=True
        )
        self._rpc: Rpc | None = None
        self._under_way: set[Future[None]] = set()

    def start(self) -> None:
        """Raises ConfigError for a URL that is none."""
        self._rpc = Rpc.connect(
            *self._urls, timeout_s=self._timeout_s, attempts=1, max_wait_s=self._timeout_s
        )
        self._thread.start()

    def stop(self) -> None:
        wait(self._under_way)
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    def stepped(self, session: Session, _: Entry, step: Step, *, is_live: bool) -> None:
        if not is_live:
            return
        for decision in step.decisions:
            self._rehearse(decision, session.engine.market)

    def _rehearse(self, decision: Decision, market: Market) -> None:
        block = market.block.number
        try:
            data = execute_data(
                decision.cycle,
                market.pools.__getitem__,
                decision.amount_in,
                decision.min_amount_out,
                decision.deadline_block + 1,  # by then the node may be a block ahead of us
                flash=decision.funding is Funding.FLASH,
            )
        except (PoolError, ValueError) as error:
            self._found.put(Rehearsed(decision.id, block, decision.amount_out, None, str(error)))
            return
        begun = asyncio.run_coroutine_threadsafe(self._run(decision, block, data), self._loop)
        self._under_way.add(begun)
        begun.add_done_callback(self._under_way.discard)

    async def _run(self, decision: Decision, block: int, data: bytes) -> None:
        assert self._rpc is not None
        call = {"from": self._from, "to": self._to, "data": "0x" + data.hex()}
        amount_out, said = None, ""
        try:
            answer = await self._rpc.call_as(str, "eth_call", call, "latest")
            if answer == EMPTY:
                said = NO_CODE
            else:
                amount_out = int(answer, 16)
        except RpcError as error:
            said = refusal(error) if is_revert(error) else str(error)
        except OutsideError as error:
            said = str(error)
        self._found.put(Rehearsed(decision.id, block, decision.amount_out, amount_out, said))

    def idle(self, _: Session) -> None:
        found: list[Rehearsed] = []
        with suppress(Empty):
            while True:
                found.append(self._found.get_nowait())
        if not found:
            return
        for each in found:
            level = self._log.info if each.amount_out is not None else self._log.warning
            level("rehearsed", **each._asdict())
        with self._writing():
            self._journal.add_rehearsals(found)

    async def _close(self) -> None:
        if self._rpc is not None:
            await self._rpc.aclose()
