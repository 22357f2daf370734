"""Drives a bare anvil: blocks with events of small contracts, and reorganisations."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar

from dexarb.chain import decode
from dexarb.chain.contents import Events, Watched
from dexarb.chain.decode import EventLog, JsonObject
from dexarb.chain.rpc import Rpc
from dexarb.core.block import Block, Log
from dexarb.core.token import Address
from dexarb.errors import RpcError

T = TypeVar("T")

WATCHED = Address("0x" + "a1" * 20)
UNWATCHED = Address("0x" + "b2" * 20)
TOPIC = bytes.fromhex("c3" * 32)
OTHER_TOPIC = bytes.fromhex("d4" * 32)
WATCHING = Watched({WATCHED: Events(frozenset({TOPIC}), frozenset({OTHER_TOPIC}))})

LOGGER = "0x366000600037600035366000a100"
"""Emits its call data as a LOG1 whose topic is the first word."""


def run(work: Coroutine[Any, Any, T], within_s: float = 60.0) -> T:
    """Run a test's coroutine to its end; one that hangs fails."""
    return asyncio.run(asyncio.wait_for(work, within_s))


async def until(condition: Callable[[], Awaitable[bool]] | Callable[[], bool]) -> None:
    """Wait for a condition; the time is bounded by `run`."""
    while True:
        holds = condition()
        if isinstance(holds, bool):
            if holds:
                return
        elif await holds:
            return
        await asyncio.sleep(0.005)


class Driver:
    """Mines on a fresh node, through a connection of its own."""

    def __init__(self, rpc: Rpc) -> None:
        self.rpc = rpc
        self.sender = ""
        self._count = 0

    async def setup(self) -> None:
        self.sender = (await self.rpc.call("eth_accounts"))[0]
        for contract in (WATCHED, UNWATCHED):
            await self.rpc.call("anvil_setCode", contract, LOGGER)

    async def emit(self, contract: Address = WATCHED, topic: bytes = TOPIC) -> None:
        """Send a transaction that emits one event, different from all before."""
        await self.rpc.call(*self._emission(contract, topic))

    async def mine(self, blocks: int = 1, events: int = 1) -> None:
        """Blocks with as many watched events each."""
        for _ in range(blocks):
            calls = [self._emission(WATCHED, TOPIC) for _ in range(events)]
            for answer in await self.rpc.batch([(name, [data]) for name, data in calls]):
                _sound(answer)
            await self.rpc.call("evm_mine")

    def _emission(self, contract: Address, topic: bytes) -> tuple[str, dict[str, str]]:
        self._count += 1
        data = topic + self._count.to_bytes(32, "big")
        transaction = {"from": self.sender, "to": contract, "data": "0x" + data.hex()}
        return "eth_sendTransaction", transaction | {"gas": hex(100_000), "gasPrice": hex(10**10)}

    async def reorg(self, depth: int) -> None:
        """Replace the newest blocks by as many empty ones."""
        await self.rpc.call("anvil_reorg", depth, [])

    async def block(self, number: int | str = "latest") -> Block:
        name = number if isinstance(number, str) else hex(number)
        method = "eth_getBlockByNumber"
        return decode.header(await self.rpc.call_as(JsonObject, method, name, False), method).block

    async def chain(self, first: int = 0) -> list[Block]:
        """The canonical chain, from a block on."""
        last = (await self.block()).number
        calls = [("eth_getBlockByNumber", [hex(n), False]) for n in range(first, last + 1)]
        headers = await self.rpc.batch_as(JsonObject, calls)
        return [decode.header(_sound(header), "a test").block for header in headers]

    async def logs(self, blocks: Sequence[Block]) -> list[tuple[Log, ...]]:
        """The watched events of canonical blocks, by another method than the feed's."""
        spans = [{"fromBlock": hex(b.number), "toBlock": hex(b.number)} for b in blocks]
        calls = [("eth_getLogs", [span]) for span in spans]
        answers = await self.rpc.batch_as(list[EventLog], calls)
        return [decode.logs(_sound(events), {WATCHED}, {TOPIC}) for events in answers]


def _sound(answer: T | RpcError) -> T:
    if isinstance(answer, RpcError):
        raise answer
    return answer
