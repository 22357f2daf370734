"""JSON-RPC over a line on which both sides speak when they like: what WebSocket and IPC share.

Requests run side by side and are told apart by their ids; subscriptions arrive between answers.
"""

from __future__ import annotations

import asyncio
import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol, Self

import msgspec

from dexarb.chain.transport import wire
from dexarb.chain.transport.node_url import NodeUrl
from dexarb.errors import RpcError, TransportError

_MAX_UNTAKEN = 10_000
"""Notifications that wait for us on one subscription; more are a flood."""
_MAX_SUBSCRIPTIONS = 64


class LineLost(Exception):
    """The line is broken; its text says how, and may hold what the node said."""


class Line(Protocol):
    """An open connection. All but `aclose` and `abort` raise LineLost."""

    async def send(self, text: bytes) -> None: ...

    async def receive(self) -> bytes:
        """The next whole JSON text."""
        ...

    async def aclose(self) -> None: ...

    def abort(self) -> None: ...


class Subscription:
    """What a node pushes, in order: an async iterator over JSON texts.

    endpoint: where it is. on_push: is shown each text that is taken. Raises TransportError when
    the connection is lost; waiting may be cancelled and taken up again.
    """

    def __init__(self, endpoint: str, drop: Callable[[], None]) -> None:
        self._queue: asyncio.Queue[bytes | TransportError] = asyncio.Queue()
        self.endpoint = endpoint
        self.on_push: Callable[[bytes], None] = lambda _: None
        self.drop = drop
        """Gives up on the line: its connection is closed, the next use opens another."""

    def push(self, entry: bytes | TransportError) -> None:
        self._queue.put_nowait(entry)
        if self._queue.qsize() == _MAX_UNTAKEN:
            self.drop()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        entry = await self._queue.get()
        if isinstance(entry, TransportError):
            self._queue.put_nowait(entry)  # it stays lost for whoever asks next
            raise TransportError(entry.endpoint, entry.reason)
        self.on_push(entry)
        return entry


class PushedTransport(NodeUrl, ABC):
    """Base of the transports that keep one line open.

    The line is opened by the first use, and again by the next use after it was lost.
    """

    def __init__(self, url: str, timeout_s: float) -> None:
        super().__init__(url)
        self._timeout_s = timeout_s
        self._connection: _Connection | None = None
        self._opening = asyncio.Lock()

    @abstractmethod
    async def _open_line(self) -> Line:
        """Raises TransportError. The time it may take is bounded by the caller."""

    async def send(self, payload: bytes) -> bytes:
        return (await self._ask(payload))[0]

    async def subscribe(self, *params: Any) -> Subscription:
        """eth_subscribe. Raises RpcError and TransportError."""
        payload = wire.encoder.encode(wire.Request("eth_subscribe", params))
        answer, connection = await self._ask(payload)
        try:
            (message,) = wire.decode(answer)
            if message.error is not None:
                problem = self.scrub(message.error.message)
                raise RpcError("eth_subscribe", message.error.code, problem)
            name = msgspec.json.decode(message.result, type=str)
        except (*wire.UNREADABLE, ValueError):
            raise self._error("malformed answer to eth_subscribe") from None
        return connection.subscription(name)

    async def _ask(self, payload: bytes) -> tuple[bytes, _Connection]:
        connection: _Connection | None = None
        received_before = 0
        try:
            async with asyncio.timeout(self._timeout_s):
                connection = await self._open()
                received_before = connection.received
                return await connection.ask(payload), connection
        except TimeoutError:
            reason = f"no answer within {self._timeout_s:g} s"
            if connection is not None and connection.received == received_before:
                # Not a slow request but a dead line: the next use gets a new one.
                connection.fail(self._error(reason))
            is_open = connection is not None
            raise self._error(reason, timed_out=is_open, smaller_may_do=is_open) from None

    async def aclose(self) -> None:
        if self._connection is not None:
            await self._connection.aclose(self._error("closed"))
            self._connection = None

    async def _open(self) -> _Connection:
        async with self._opening:
            if self._connection is None or self._connection.lost:
                self._connection = _Connection(await self._open_line(), self._error)
            return self._connection


class _Connection:
    """One open line: the questions that wait on it and the subscriptions it feeds."""

    def __init__(self, line: Line, error: Callable[..., TransportError]) -> None:
        self._line = line
        self._error = error
        self._waiting: dict[int, asyncio.Future[bytes]] = {}
        self._subscriptions: dict[str, Subscription] = {}
        self._loss: TransportError | None = None
        self.received = 0
        self._reader = asyncio.create_task(self._read())

    @property
    def lost(self) -> bool:
        return self._loss is not None

    def subscription(self, name: str) -> Subscription:
        """Made by whoever comes first: its first notification may overtake us."""
        if name not in self._subscriptions:
            loss = self._error("the subscription was given up")
            self._subscriptions[name] = Subscription(loss.endpoint, partial(self.fail, loss))
            if self._loss is not None:
                self._subscriptions[name].push(self._loss)
        return self._subscriptions[name]

    async def ask(self, payload: bytes) -> bytes:
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        ids = wire.ids_of(payload)
        self._waiting.update(dict.fromkeys(ids, answer))
        try:
            await self._line.send(payload)
            return await answer
        except LineLost as error:
            loss = self._error(str(error), smaller_may_do=True)
            self.fail(loss)
            raise loss from None
        finally:
            for number in ids:
                self._waiting.pop(number, None)
            if answer.done() and not answer.cancelled():
                answer.exception()  # sending may have failed first: asyncio would complain

    def fail(self, loss: TransportError) -> None:
        """Everyone who waits learns that the connection is gone."""
        if self._loss is not None:
            return
        self._loss = loss
        for answer in set(self._waiting.values()):
            if not answer.done():
                # Some nodes simply hang up on a batch that is too large.
                lost = TransportError(loss.endpoint, loss.reason, smaller_may_do=True)
                answer.set_exception(lost)
        for subscription in self._subscriptions.values():
            subscription.push(loss)
        self._reader.cancel()
        self._line.abort()

    async def aclose(self, reason: TransportError) -> None:
        await self._line.aclose()
        self.fail(reason)
        await asyncio.wait([self._reader])

    async def _read(self) -> None:
        try:
            while True:
                self._deliver(await self._line.receive())
        except LineLost as error:
            self.fail(self._error(f"connection lost: {error}"))

    def _deliver(self, text: bytes) -> None:
        """Answers go to whoever asked; what nobody asked for is dropped."""
        self.received += 1
        try:
            messages = wire.decode(text)
        except wire.UNREADABLE:
            self._answer_the_only_one(text)
            return
        first = next((message for message in messages if message.id in self._waiting), None)
        if first is not None and first.id is not None:
            _answer(self._waiting[first.id], text)
        elif messages and messages[0].method == "eth_subscription":
            self._notify(messages[0])
        elif messages and messages[0].error is not None and messages[0].id is None:
            self._answer_the_only_one(text)  # a refusal of the whole request carries no id

    def _answer_the_only_one(self, text: bytes) -> None:
        """What carries no id can only be attributed where a single question is open."""
        waiting = set(self._waiting.values())
        if len(waiting) == 1:
            _answer(waiting.pop(), text)

    def _notify(self, message: wire.Message) -> None:
        with contextlib.suppress(*wire.UNREADABLE):
            notice = msgspec.json.decode(message.params, type=wire.Notification)
            known = notice.subscription in self._subscriptions
            if known or len(self._subscriptions) < _MAX_SUBSCRIPTIONS:
                self.subscription(notice.subscription).push(bytes(notice.result))


def _answer(waiting: asyncio.Future[bytes], text: bytes) -> None:
    if not waiting.done():
        waiting.set_result(text)
