"""The sender: gives signed transactions to nodes, in a thread of its own, and tells what they said.

Nothing that trades waits for it. It decides nothing either: what an answer means for the next
transaction is told by who asked.
"""

from __future__ import annotations

import asyncio
import queue
import re
import threading
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from concurrent.futures import Future, wait
from typing import Any, NamedTuple, Protocol

from dexarb.chain.rpc import Rpc
from dexarb.chain.transport.connect import connect
from dexarb.core.block import BlockHash, BlockRef
from dexarb.core.sending import Answer, Offer, Signed
from dexarb.core.text import in_a_line
from dexarb.core.token import Address
from dexarb.ends.executor_contract import NATIVE_COIN
from dexarb.ends.live.executor_account import balance_data
from dexarb.errors import OutsideError, Refused, RpcError

TIMEOUT_S = 5.0
MOST_SAID = 200
"""Characters of what a node said."""

_LONG = re.compile(r"[0-9a-fA-F]{65,}")
"""More than a hash or a word of the EVM."""
_WORDS: tuple[tuple[Answer, tuple[str, ...]], ...] = (
    (Answer.KNOWN, ("already known", "known transaction", "already imported", "alreadyknown")),
    (Answer.NONCE_TOO_LOW, ("nonce too low", "nonce is too low", "oldnonce")),
    (Answer.UNDERPRICED, ("underpriced", "fee too low", "price bump", "too low to replace")),
    (Answer.NO_FUNDS, ("insufficient funds", "insufficient balance", "enough funds")),
)
"""What nodes say: geth, bor, erigon, reth, nethermind, anvil and hardhat."""


def answer_of(error: RpcError) -> Answer:
    said = error.message.lower()
    return next(
        (answer for answer, words in _WORDS if any(word in said for word in words)),
        Answer.REFUSED,
    )


class SendingWay(Protocol):
    """As config.live.Way. url and headers hold keys."""

    @property
    def name(self) -> str: ...
    @property
    def url(self) -> str: ...
    @property
    def method(self) -> str: ...
    @property
    def headers(self) -> Mapping[str, str]: ...


class Account(NamedTuple):
    """What the chain says of one at its newest block. question: its number, as it was asked. nonce:
    transactions in blocks. pending: with those that wait at that node. balance in wei."""

    lane: Address
    question: int
    nonce: int
    pending: int
    balance: int


class Held(NamedTuple):
    """At the end of a block: holder and token, and how much in the smallest unit."""

    at: BlockHash
    amounts: Sequence[tuple[tuple[Address, Address], int]]


class Sender:
    """Mutable; runs from `start` to `stop`. `offers`, `accounts`, `holdings` and `named` are queues
    of what came back.

    clock: seconds since 1970, for people.
    """

    def __init__(
        self,
        ways: Sequence[SendingWay],
        read_urls: Sequence[str],
        *,
        timeout_s: float = TIMEOUT_S,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """read_urls: endpoints that say what accounts have used and hold."""
        self._ways = tuple(ways)
        self._read_urls = tuple(read_urls)
        self._timeout_s = timeout_s
        self._clock = clock
        self.offers: queue.SimpleQueue[Offer] = queue.SimpleQueue()
        self.accounts: queue.SimpleQueue[Account | OutsideError] = queue.SimpleQueue()
        self.holdings: queue.SimpleQueue[Held | OutsideError] = queue.SimpleQueue()
        self.named: queue.SimpleQueue[tuple[BlockRef, Mapping[str, str]]] = queue.SimpleQueue()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="sender", daemon=True)
        self._rpcs: dict[str, Rpc] = {}
        self._reader: Rpc | None = None
        self._under_way: set[Future[None]] = set()

    def start(self) -> None:
        """Nothing is sent yet. Raises ConfigError for a URL that is none."""
        for way in self._ways:
            transport = connect(way.url, self._timeout_s, headers=way.headers)
            # What is sent late is paid for and fills nothing.
            self._rpcs[way.name] = Rpc([transport], attempts=1, max_wait_s=0.0)
        if self._read_urls:
            self._reader = Rpc.connect(
                *self._read_urls,
                timeout_s=self._timeout_s,
                attempts=2,
                max_wait_s=self._timeout_s,
            )
        self._thread.start()

    def stop(self) -> None:
        """What is on its way to a node is waited for."""
        if self._thread.is_alive():
            wait(self._under_way)
            asyncio.run_coroutine_threadsafe(self._close(), self._loop).result()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()

    def send(self, signed: Signed, raw: bytes) -> None:
        """By all ways at once; each answer comes as an Offer."""
        for way in self._ways:
            self._begin(self._offer(way, signed, raw))

    def ask(self, lane: Address, question: int) -> None:
        """The answer comes in `accounts`."""
        self._begin(self._ask(lane, question))

    def read(self, at: BlockHash, holdings: Sequence[tuple[Address, Address]]) -> None:
        """What holders have of tokens, NATIVE_COIN among them, at the end of that very block. The
        answer comes in `holdings`."""
        self._begin(self._read(at, holdings))

    def compare(self, block: BlockRef) -> None:
        """Which block has its number at each endpoint. The answer comes in `named`: the hash by
        endpoint, of those that have one."""
        self._begin(self._compare(block))

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        begun = asyncio.run_coroutine_threadsafe(work, self._loop)
        self._under_way.add(begun)
        begun.add_done_callback(self._under_way.discard)

    async def _offer(self, way: SendingWay, signed: Signed, raw: bytes) -> None:
        answer, said = Answer.TAKEN, ""
        try:
            await self._rpcs[way.name].call(way.method, "0x" + raw.hex())
        except RpcError as error:
            # A node may repeat what it was given, and that is live ammunition.
            answer, said = answer_of(error), _LONG.sub("...", error.message)
        except OutsideError as error:
            answer, said = Answer.UNKNOWN, str(error)
        self.offers.put(
            Offer(signed.hash, way.name, self._clock(), answer, in_a_line(said, MOST_SAID))
        )

    async def _ask(self, lane: Address, question: int) -> None:
        assert self._reader is not None
        calls = [
            ("eth_getTransactionCount", (lane, "latest")),
            ("eth_getTransactionCount", (lane, "pending")),
            ("eth_getBalance", (lane, "latest")),
        ]
        try:
            nonce, pending, balance = _numbers(
                await self._reader.batch_as(str, calls, together=True)
            )
        except OutsideError as error:
            self.accounts.put(error)
        else:
            self.accounts.put(Account(lane, question, nonce, pending, balance))

    async def _read(self, at: BlockHash, holdings: Sequence[tuple[Address, Address]]) -> None:
        assert self._reader is not None
        block = {"blockHash": at}
        calls: list[tuple[str, tuple[object, ...]]] = [
            ("eth_getBalance", (holder, block))
            if token == NATIVE_COIN
            else ("eth_call", ({"to": token, "data": "0x" + balance_data(holder).hex()}, block))
            for holder, token in holdings
        ]
        try:
            amounts = _numbers(await self._reader.batch_as(str, calls))
        except OutsideError as error:
            self.holdings.put(error)
        else:
            self.holdings.put(Held(at, [*zip(holdings, amounts, strict=True)]))

    async def _compare(self, block: BlockRef) -> None:
        assert self._reader is not None
        found = await self._reader.each("eth_getBlockByNumber", hex(block.number), False)
        hashes = {endpoint: _hash_in(answer) for endpoint, answer in found}
        named = {endpoint: each for endpoint, each in hashes.items() if each is not None}
        self.named.put((block, named))

    async def _close(self) -> None:
        for rpc in (*self._rpcs.values(), *([self._reader] if self._reader else [])):
            await rpc.aclose()


def _numbers(found: Sequence[str | RpcError]) -> list[int]:
    """Raises RpcError, also where one is no number."""
    numbers = []
    for each in found:
        if isinstance(each, RpcError):
            raise each
        try:
            numbers.append(int(each, 16))
        except ValueError:
            raise Refused("an account's state", "it is no number") from None
    return numbers


def _hash_in(header: object) -> str | None:
    """Of whatever a node has answered."""
    found = header.get("hash") if isinstance(header, dict) else None
    return found.lower() if isinstance(found, str) else None
