"""What is in a block: its receipts, or where those are not to be had its logs, checked."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import takewhile
from typing import Any, cast

import structlog

from dexarb.chain import calls, contents
from dexarb.chain.calls import Call, WholeBlock, calls_of, with_calls
from dexarb.chain.contents import Contents, Watched
from dexarb.chain.decode import EventLog, Header, Receipt
from dexarb.chain.endpoints.trouble import NOT_THERE_YET, Trouble, is_pruned, is_transient, trouble
from dexarb.chain.feed.headers import HeaderReader
from dexarb.chain.rpc import Rpc
from dexarb.core.block import Block
from dexarb.errors import OutsideError, Refused, RpcError, TransportError, UnfitChain

MAX_FILTER_ADDRESSES = 200
_DOUBLINGS = 8
"""Blocks until receipts are tried again double up to 256: it may have been another endpoint that
had none."""
_PATIENCE = 3
"""Failures in a row after which logs have to do where receipts cannot be read or are refused."""
_SILENCE_S = 2.0
"""So long receipts have to stay away, where nobody says why."""
_LONG_PATIENCE = 8
"""The same where receipts are not there yet, or cannot be true: proven blocks are worth waiting."""

_log = structlog.get_logger("dexarb.feed")

RpcCall = tuple[str, Sequence[Any]]


class ContentsFetcher:
    """Mutable: remembers for how long receipts are not worth asking for."""

    def __init__(
        self, rpc: Rpc, headers: HeaderReader, watched: Watched, *, keep_calls: bool = False
    ) -> None:
        """keep_calls: ask for what receipts lack of transactions as well, one more call a block."""
        self._rpc = rpc
        self._headers = headers
        self._watched = watched
        self._keep_calls = keep_calls
        self._by_logs = 0
        self._had_receipts = False
        self._receipts_from = 0
        self._without_since: int | None = None
        self._is_fee_disputed = False

    async def fetch(
        self, headers: Sequence[Header], failures: int, failing_s: float
    ) -> list[Contents]:
        """The contents of the first of these blocks, of at least one; they follow each other.

        failures: how often in a row this has failed; failing_s: for how long. Raises the RpcError
        of the first block, a Refused among them, and TransportError; UnfitChain.
        """
        first, count = headers[0].block.number, len(headers)
        if first >= self._receipts_from:
            try:
                found = await self._with_calls(headers)
                self._note_receipts()
                return found
            except OutsideError as error:
                if not self._gives_up(error, failures, failing_s):
                    raise
                count = 1
                if not self._had_receipts and _is_without(error):
                    self._by_logs, count = _DOUBLINGS, len(headers)
                self._note_no_receipts(first, error)
        by_logs = await self.logs(headers[:count])
        if first >= self._receipts_from:
            # One bad block costs one block; a node that never gives receipts is asked ever less.
            self._receipts_from = first + (1 << self._by_logs)
            self._by_logs = min(_DOUBLINGS, self._by_logs + 1)
        return by_logs

    def _gives_up(self, error: OutsideError, failures: int, failing_s: float) -> bool:
        """Whether logs have to do. That receipts cannot be had is believed at once where none have
        ever been."""
        if self._by_logs and not self._had_receipts:
            return True
        if isinstance(error, RpcError) and not is_transient(error):
            return not is_pruned(error) and failures >= self._had_receipts
        is_worth_waiting = isinstance(error, Refused) or (
            isinstance(error, RpcError) and error.code == NOT_THERE_YET
        )
        if isinstance(error, TransportError) and failing_s < _SILENCE_S:
            return False
        return failures >= (_LONG_PATIENCE if is_worth_waiting else _PATIENCE)

    def _note_no_receipts(self, number: int, error: OutsideError) -> None:
        if self._without_since is None:
            self._without_since = number
            remedy = "Blocks stay unproven; an endpoint with eth_getBlockReceipts would mend that"
            _log.warning("receipts.missing", block=number, error=str(error), remedy=remedy)

    def _note_receipts(self) -> None:
        if self._without_since is not None:
            _log.info("receipts.back", missing_since_block=self._without_since)
        self._by_logs, self._without_since, self._had_receipts = 0, None, True

    async def _with_calls(self, headers: Sequence[Header]) -> list[Contents]:
        """Both are asked for at once. No block waits for calls that a node does not tell."""
        if not self._keep_calls:
            return await self._insist(headers)
        asking = asyncio.create_task(self._calls(headers))
        try:
            found = await self._insist(headers)
            told = await asking
        finally:
            asking.cancel()
        return [
            replace(each, transactions=with_calls(each.transactions, known))
            for each, known in zip(found, told, strict=False)
        ]

    async def _calls(self, headers: Sequence[Header]) -> list[Mapping[str, Call]]:
        wanted: list[RpcCall] = [(calls.BLOCK, [each.block.hash, True]) for each in headers]
        try:
            answers = await self._rpc.batch_as(WholeBlock, wanted)
        except TransportError:
            return [{} for _ in headers]
        return [{} if isinstance(each, RpcError) else calls_of(each) for each in answers]

    async def _insist(self, headers: Sequence[Header]) -> list[Contents]:
        """That receipts cannot be had has to be said twice."""
        try:
            return await self._receipts(headers)
        except RpcError as error:
            if is_transient(error) or is_pruned(error):
                raise
        return await self._receipts(headers)

    async def _receipts(self, headers: Sequence[Header]) -> list[Contents]:
        checked: dict[int, Contents] = {}
        charged: set[int] = set()

        def check(at: int, receipts: list[Receipt]) -> None:
            if any(receipt.pays_for_l1 for receipt in receipts):
                charged.add(at)
            checked[at] = contents.of_receipts(headers[at], receipts, self._watched)

        calls: list[RpcCall] = [(contents.RECEIPTS, [each.block.hash]) for each in headers]
        answers = await self._rpc.batch_as(list[Receipt], calls, check=check)
        if charged and not self._is_fee_disputed:
            await self._refuse_chain(headers[min(charged)].block)
        if isinstance(answers[0], RpcError):
            raise answers[0]
        good = takewhile(lambda answer: not isinstance(answer, RpcError), answers)
        return [checked[at] for at, _ in enumerate(good)]

    async def _refuse_chain(self, block: Block) -> None:
        """Raises UnfitChain where nobody contradicts: that a fee was paid is under no root, and one
        false answer among several endpoints is not to end the collecting."""
        found = await self._rpc.each(contents.RECEIPTS, block.hash, type_=list[Receipt])
        told = [(name, answer) for name, answer in found if not isinstance(answer, OutsideError)]
        without = [name for name, answer in told if not any(each.pays_for_l1 for each in answer)]
        if told and not without:
            raise UnfitChain(block.number)
        if without:
            self._is_fee_disputed = True
            remedy = "Where the chain charges an L1 data fee no result is true: do not collect it"
            _log.warning("l1_fee.disputed", block=block.number, without=without, remedy=remedy)

    async def logs(self, headers: Sequence[Header]) -> list[Contents]:
        """Of the first of these blocks, of at least one, by logs alone. Raises as `fetch`."""
        calls: list[RpcCall] = []
        for header in headers:
            calls.append(self._logs_call(header))
            # Some nodes say of a block they do not know that it has no logs; not in this company.
            calls.append(("eth_getBlockByHash", [header.block.hash, False]))

        def check(at: int, answer: Any) -> None:
            header = headers[at // 2]
            if at % 2:
                self._headers.read(answer, header.block.hash)
            else:
                self._of_logs(header, answer)

        answers = await self._rpc.batch_as(_logs_or_header, calls, together=True, check=check)
        found: list[Contents] = []
        for header, events, again in zip(headers, answers[::2], answers[1::2], strict=True):
            failed = next((each for each in (events, again) if isinstance(each, RpcError)), None)
            if failed is None:
                found.append(await self._complete(header, self._of_logs(header, events)))
            elif found:
                break
            else:
                raise failed
        return found

    def _logs_call(self, header: Header) -> RpcCall:
        wanted: dict[str, object] = {
            "blockHash": header.block.hash,
            "topics": [["0x" + topic.hex() for topic in self._watched.topics]],
        }
        if len(self._watched.pools) <= MAX_FILTER_ADDRESSES:
            wanted["address"] = sorted(self._watched.pools)
        return contents.LOGS, [wanted]

    def _of_logs(self, header: Header, events: Any) -> Contents:
        if not isinstance(events, list):
            raise Refused(contents.LOGS, "no list of logs")
        return contents.of_logs(header, events, self._watched)

    async def _complete(self, header: Header, found: Contents) -> Contents:
        """Once more at every endpoint, if the block's bloom admits pools that have no log."""
        if not found.admitted:
            return found
        method, params = self._logs_call(header)
        for _, answer in await self._rpc.each(method, *params, type_=list[EventLog]):
            try:
                other = found if isinstance(answer, OutsideError) else self._of_logs(header, answer)
            except Refused:
                continue
            found = max(found, other, key=lambda each: len(each.logs))
        return found


_logs_or_header = cast("type[Any]", list[EventLog] | dict[str, Any])


def _is_without(error: OutsideError) -> bool:
    return isinstance(error, RpcError) and trouble(error) is Trouble.NO_METHOD
