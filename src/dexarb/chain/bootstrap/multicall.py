"""Reads of many contracts, all at the end of one block.

Source of the contract and its address: Multicall3, https://www.multicall3.com.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any, Self

import structlog

from dexarb.amm.abi import encode
from dexarb.chain import decode
from dexarb.chain.bootstrap import abi
from dexarb.chain.decode import Data, JsonObject
from dexarb.chain.endpoints.trouble import is_revert, is_transient
from dexarb.chain.rpc import Rpc
from dexarb.core.block import Block
from dexarb.core.pool import Call
from dexarb.core.token import Address
from dexarb.errors import BlockGone, Refused, RpcError, the_failure

MULTICALL3 = Address("0xca11bde05977b3631167028862be2a173976ca11")
"""Where Multicall3 lives on nearly every chain."""

MAX_CALLS = 500
MAX_CALLDATA = 128 * 1024
"""Bounds of one aggregate. 500 reads of cold slots stay below 20 million gas; nodes allow 50. As
hexadecimal text its data is a quarter of the megabyte that web servers take by default."""

_AGGREGATE3 = abi.selector("aggregate3((address,bool,bytes)[])")
_STATE = tuple(
    map(abi.selector, ("getBlockNumber()", "getLastBlockHash()", "getCurrentBlockTimestamp()"))
)
"""What each aggregate asks of Multicall3 itself: which block's state it is that answers."""

_OTHER_NUMBERS = 100_000
"""No node is so many blocks off at the right second. Contracts of some rollups see the number of
the chain below, which is."""

_IN_FLIGHT = 4
_ASKED = 3
"""How often in all an answer out of another block's state is asked for."""

_log = structlog.get_logger("dexarb.reader")


class PinnedReader:
    """Reads contracts as they were at the end of `block`; made by `open`.

    The block is named by its hash (EIP-1898). To a node that cannot do that it is named by its
    number, and after each read the number must still have that hash. Besides, each aggregate tells
    which block's state answered, and one of another block is refused: there are nodes that ignore
    the hash, and addresses with several nodes behind. Without Multicall3 they are believed.

    calls: reads so far. aggregates: the requests they take with Multicall3.
    """

    def __init__(self, rpc: Rpc, block: Block, reference: object, multicall: Address | None):
        self.block = block
        self.multicall = multicall
        self.calls = 0
        self.aggregates = 0
        self._rpc = rpc
        self._reference = reference
        self._gate = asyncio.Semaphore(_IN_FLIGHT)

    @classmethod
    async def open(cls, rpc: Rpc, block: Block, multicall: Address | None = MULTICALL3) -> Self:
        """Finds out what the node can do. `multicall` is not used if it is none at that block.

        Raises BlockGone; Refused where the node answers for other blocks however it is asked;
        RpcError and TransportError.
        """
        try:
            try:
                return await cls._opened(rpc, block, {"blockHash": block.hash}, multicall)
            except RpcError as error:
                if is_transient(error) and not isinstance(error, Refused):
                    raise
            return await cls._opened(rpc, block, hex(block.number), multicall)
        except RpcError:
            await _check(rpc, block)
            raise

    @classmethod
    async def _opened(
        cls, rpc: Rpc, block: Block, reference: object, multicall: Address | None
    ) -> Self:
        """The empty aggregate is asked for its block. Raises RpcError."""
        reader = cls(rpc, block, reference, multicall or MULTICALL3)
        try:
            await reader._until_true(lambda: reader._asked([]))
        except ValueError:
            reader.multicall = None
        except RpcError as error:
            if not is_revert(error):
                raise
            reader.multicall = None
        if multicall is None:
            reader.multicall = None
        return reader

    async def read(self, calls: Sequence[Call]) -> list[bytes | None]:
        """The answers in the order of the calls; None where the contract reverted.

        An address without code answers with b"". Raises BlockGone if the block has left the
        chain meanwhile, Refused, RpcError and TransportError.
        """
        if not calls:
            return []
        self.calls += len(calls)
        chunks = list(aggregates(calls))
        self.aggregates += len(chunks)
        try:
            if self.multicall is None:
                answers = await self._one_by_one(calls)
            else:
                answers = await self._aggregated(chunks)
        except RpcError:
            await _check(self._rpc, self.block)
            raise
        if isinstance(self._reference, str):
            await _check(self._rpc, self.block)
        return answers

    async def code(self, contracts: Sequence[Address]) -> list[bytes | None]:
        """The code of each, None where the node does not tell. Raises TransportError."""
        if not contracts:
            return []
        calls = [("eth_getCode", (contract, self._reference)) for contract in contracts]
        answers = await self._rpc.batch_as(_data, calls)
        return [
            None if isinstance(answer, RpcError) else bytes.fromhex(answer[2:])
            for answer in answers
        ]

    async def _one_by_one(self, calls: Sequence[Call]) -> list[bytes | None]:
        answers = await self._rpc.batch_as(
            _data, [("eth_call", self._params(call.to, call.data)) for call in calls]
        )
        return [_answer(answer) for answer in answers]

    async def _aggregated(self, chunks: Sequence[Sequence[Call]]) -> list[bytes | None]:
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._aggregate(chunk)) for chunk in chunks]
        except BaseExceptionGroup as failed:
            raise the_failure(failed) from None
        answers = [answer for task in tasks for answer in task.result()]
        # A call fails within an aggregate when it reverts, but also when the aggregate ran out
        # of gas on it or on its neighbours. Alone it says which.
        calls = [call for chunk in chunks for call in chunk]
        failed_at = [place for place, answer in enumerate(answers) if answer is None]
        if failed_at:
            failed_calls = [calls[place] for place in failed_at]
            alone = await self._until_true(lambda: self._alone(failed_calls))
            for place, answer in zip(failed_at, alone, strict=True):
                answers[place] = answer
        return answers

    async def _aggregate(self, calls: Sequence[Call]) -> list[bytes | None]:
        try:
            async with self._gate:
                return await self._until_true(lambda: self._asked(calls))
        except Refused:
            raise
        except (RpcError, ValueError) as error:
            if isinstance(error, RpcError) and is_transient(error):
                raise
            if len(calls) == 1:
                # There are contracts whose answer of megabytes uses up the gas of the aggregate.
                reverted = isinstance(error, RpcError) and is_revert(error)
                return [None] if reverted else await self._one_by_one(calls)
        half = len(calls) // 2
        return await self._aggregate(calls[:half]) + await self._aggregate(calls[half:])

    async def _alone(self, calls: Sequence[Call]) -> list[bytes | None]:
        """An aggregate for each. One that runs out of gas counts as a revert."""
        requests = [("eth_call", self._aggregate_params([call])) for call in calls]
        answers = map(_answer, await self._rpc.batch_as(_data, requests))
        try:
            return [None if data is None else self._checked(data, 1)[0] for data in answers]
        except ValueError as error:
            raise Refused("eth_call", str(error)) from None

    async def _asked(self, calls: Sequence[Call]) -> list[bytes | None]:
        """One aggregate. Raises RpcError and, where the answer is malformed, ValueError."""
        answer = await self._rpc.call_as(_data, "eth_call", *self._aggregate_params(calls))
        return self._checked(bytes.fromhex(answer[2:]), len(calls))

    async def _until_true(
        self, ask: Callable[[], Awaitable[list[bytes | None]]]
    ) -> list[bytes | None]:
        """Behind one address there can be several nodes: what is refused is asked for again."""
        for _ in range(_ASKED - 1):
            try:
                return await ask()
            except Refused as refused:
                _log.debug("reader.refused", reason=refused.reason)
        return await ask()

    def _checked(self, data: bytes, count: int) -> list[bytes | None]:
        """The answers to `count` calls. Raises Refused for another block's, ValueError."""
        answers = _decode(data, len(_STATE) + count)
        number, parent_hash, timestamp = (abi.uint_at(word or b"", 0) for word in answers[:3])
        block = self.block
        foreign = abs(number - block.number) > _OTHER_NUMBERS
        at_height = number == block.number and parent_hash == int(block.parent_hash, 16)
        if timestamp != block.timestamp or not (at_height or foreign):
            raise Refused("eth_call", f"from the state of block {number}, not of {block.number}")
        return answers[len(_STATE) :]

    def _aggregate_params(self, calls: Sequence[Call]) -> list[Any]:
        assert self.multicall is not None
        state = [Call(self.multicall, selector) for selector in _STATE]
        return self._params(self.multicall, _encode([*state, *calls]))

    def _params(self, to: Address, data: bytes) -> list[Any]:
        return [{"to": to, "data": "0x" + data.hex()}, self._reference]


_data: Any = Data


async def _check(rpc: Rpc, block: Block) -> None:
    """Raises BlockGone if the chain has another block at this number by now."""
    method = "eth_getBlockByNumber"
    answer = await rpc.call_as(JsonObject, method, hex(block.number), False)
    if decode.header(answer, method).block.hash != block.hash:
        raise BlockGone(block.number, block.hash)


def _answer(answer: str | RpcError) -> bytes | None:
    if not isinstance(answer, RpcError):
        return bytes.fromhex(answer[2:])
    if is_revert(answer):
        return None
    raise answer


def aggregates(calls: Sequence[Call]) -> Iterator[Sequence[Call]]:
    """The calls, cut into what goes into one request each."""
    start, size = 0, 0
    for end, call in enumerate(calls):
        cost = 5 * abi.WORD + len(abi.padded(call.data))
        if end > start and (end - start == MAX_CALLS or size + cost > MAX_CALLDATA):
            yield calls[start:end]
            start, size = end, 0
        size += cost
    if start < len(calls):
        yield calls[start:]


def _encode(calls: Sequence[Call]) -> bytes:
    """aggregate3 with allowFailure on every call."""
    heads: list[int] = []
    tails: list[bytes] = []
    offset = len(calls) * abi.WORD
    for call in calls:
        tail = encode(b"", call.to, 1, 3 * abi.WORD, len(call.data)) + abi.padded(call.data)
        heads.append(offset)
        tails.append(tail)
        offset += len(tail)
    return encode(_AGGREGATE3, abi.WORD, len(calls), *heads) + b"".join(tails)


def _decode(data: bytes, count: int) -> list[bytes | None]:
    """(bool success, bytes returnData)[]. Raises ValueError."""
    start = abi.uint_at(data, 0)
    if abi.uint_at(data, start) != count:
        raise ValueError("the aggregate answers another number of calls")
    start += abi.WORD
    answers: list[bytes | None] = []
    for place in range(count):
        entry = start + abi.uint_at(data, start + place * abi.WORD)
        returned = abi.bytes_at(data, entry + abi.uint_at(data, entry + abi.WORD))
        answers.append(returned if abi.uint_at(data, entry) else None)
    return answers
