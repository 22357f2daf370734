"""Reads of many contracts, all at the end of one block.

Source of the contract and its address: Multicall3, https://www.multicall3.com.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any, Self

from dexarb.amm.abi import encode
from dexarb.chain import abi, decode
from dexarb.chain.decode import Data, JsonObject
from dexarb.chain.rpc import Rpc
from dexarb.chain.trouble import is_revert, is_transient
from dexarb.core.block import Block
from dexarb.core.pool import Call
from dexarb.core.token import Address
from dexarb.errors import BlockGone, RpcError, the_failure

MULTICALL3 = Address("0xca11bde05977b3631167028862be2a173976ca11")
"""Where Multicall3 lives on nearly every chain."""

MAX_CALLS = 500
MAX_CALLDATA = 64 * 1024
"""Bounds of one aggregate. 500 reads of cold slots stay below 20 million gas; nodes allow 50."""

_AGGREGATE3 = abi.selector("aggregate3((address,bool,bytes)[])")
_IN_FLIGHT = 4


class PinnedReader:
    """Reads contracts as they were at the end of `block`; made by `open`.

    The block is named by its hash (EIP-1898). To a node that cannot do that it is named by its
    number, and after each read the number must still have that hash.
    """

    def __init__(self, rpc: Rpc, block: Block, reference: object, multicall: Address | None):
        self.block = block
        self.multicall = multicall
        self._rpc = rpc
        self._reference = reference
        self._gate = asyncio.Semaphore(_IN_FLIGHT)

    @classmethod
    async def open(cls, rpc: Rpc, block: Block, multicall: Address | None = MULTICALL3) -> Self:
        """Finds out what the node can do. `multicall` is not used if no code is there.

        Raises BlockGone, RpcError and TransportError.
        """
        probe = multicall or MULTICALL3
        reference: object = {"blockHash": block.hash}
        try:
            code = await rpc.call_as(_data, "eth_getCode", probe, reference)
        except RpcError as error:
            if is_transient(error):
                await _check(rpc, block)
                raise
            reference = hex(block.number)
            code = await rpc.call_as(_data, "eth_getCode", probe, reference)
        return cls(rpc, block, reference, multicall if code != "0x" else None)

    async def read(self, calls: Sequence[Call]) -> list[bytes | None]:
        """The answers in the order of the calls; None where the contract reverted.

        An address without code answers with b"". Raises BlockGone if the block has left the
        chain meanwhile, RpcError and TransportError.
        """
        if not calls:
            return []
        try:
            if self.multicall is None:
                answers = await self._one_by_one(calls)
            else:
                answers = await self._aggregated(calls)
        except RpcError:
            await _check(self._rpc, self.block)
            raise
        if isinstance(self._reference, str):
            await _check(self._rpc, self.block)
        return answers

    async def _one_by_one(self, calls: Sequence[Call]) -> list[bytes | None]:
        answers = await self._rpc.batch_as(
            _data, [("eth_call", self._params(call.to, call.data)) for call in calls]
        )
        return [_answer(answer) for answer in answers]

    async def _aggregated(self, calls: Sequence[Call]) -> list[bytes | None]:
        chunks = list(_chunks(calls))
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._aggregate(chunk)) for chunk in chunks]
        except BaseExceptionGroup as failed:
            raise the_failure(failed) from None
        answers = [answer for task in tasks for answer in task.result()]
        # A call fails within an aggregate when it reverts, but also when the aggregate ran out
        # of gas on it or on its neighbours. Alone it says which.
        failed_at = [place for place, answer in enumerate(answers) if answer is None]
        alone = await self._one_by_one([calls[place] for place in failed_at])
        for place, answer in zip(failed_at, alone, strict=True):
            answers[place] = answer
        return answers

    async def _aggregate(self, calls: Sequence[Call]) -> list[bytes | None]:
        assert self.multicall is not None
        try:
            async with self._gate:
                answer = await self._rpc.call_as(
                    _data, "eth_call", *self._params(self.multicall, _encode(calls))
                )
            return _decode(bytes.fromhex(answer[2:]), len(calls))
        except (RpcError, ValueError) as error:
            if isinstance(error, RpcError) and is_transient(error):
                raise
            if len(calls) == 1:
                return await self._one_by_one(calls)
        half = len(calls) // 2
        return await self._aggregate(calls[:half]) + await self._aggregate(calls[half:])

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


def _chunks(calls: Sequence[Call]) -> Iterator[Sequence[Call]]:
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
