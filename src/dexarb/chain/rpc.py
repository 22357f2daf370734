"""JSON-RPC calls over one or more nodes: batches, retries, the next endpoint on failure.

Three kinds of trouble are kept apart. A node that does not answer usably is left alone for a
while and the next one is asked. An answer that is an error but normal (a block not there yet, a
rate limit) is asked for again. A deterministic error (execution reverted, bad parameters) is the
answer: it is raised at once as RpcError.
"""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar, cast

import msgspec
import stamina

from dexarb.chain import wire
from dexarb.chain.transport import (
    DEFAULT_TIMEOUT_S,
    PushTransport,
    Subscription,
    Transport,
    connect,
)
from dexarb.errors import RpcError, TransportError, the_failure

T = TypeVar("T")

NOT_THERE_YET = -32001
"""EIP-1474's "resource not found"; also ours for a null where something was asked for."""

_REVERTED = 3
_DETERMINISTIC_CODES = frozenset({-32700, -32600, -32601, -32602, -32004})
_TRANSIENT_WORDS = (
    "header not found",
    "unknown block",
    "block not found",
    "rate limit",
    "rate-limit",
    "too many requests",
    "exceeded",
    "timeout",
    "timed out",
    "try again",
    "capacity",
    "overloaded",
)
_REVERT_WORDS = (
    "revert",
    "out of gas",
    "gas required exceeds",
    "invalid opcode",
    "bad instruction",
    "evm error",
    "vm execution error",
    "stack underflow",
    "stack limit reached",
    "invalid jump destination",
    "write protection",
    "return data out of bounds",
    "gas uint64 overflow",
)
_DETERMINISTIC_WORDS = (
    *_REVERT_WORDS,
    "not supported",
    "unsupported",
    "too large",
    "too big",
    "insufficient funds",
    "nonce too",
)
_WRITES = ("eth_send", "evm_", "anvil_", "hardhat_", "personal_", "debug_set")
_COOL_DOWN_S = (1.0, 60.0)
_IN_FLIGHT = 4


def is_revert(error: RpcError) -> bool:
    """Whether the contract itself failed. Nodes do not agree on codes, so words count too."""
    text = error.message.lower()
    return error.code == _REVERTED or any(word in text for word in _REVERT_WORDS)


def is_transient(error: RpcError) -> bool:
    """Whether asking again can help."""
    text = error.message.lower()
    if error.code == _REVERTED or any(word in text for word in _DETERMINISTIC_WORDS):
        return False
    return error.code not in _DETERMINISTIC_CODES or any(word in text for word in _TRANSIENT_WORDS)


def pause_s(failures: int, shortest: float, longest: float) -> float:
    """How long to wait after so many failures in a row: doubling, without end."""
    return min(longest, shortest * 2.0 ** min(failures - 1, 64))


class _Again(Exception):
    """A round over all endpoints left calls open."""


@dataclass(slots=True)
class _Slot:
    """One call and what has become of it."""

    request: wire.Request
    decoder: msgspec.json.Decoder[Any]
    value: Any = None
    error: RpcError | None = None
    open: bool = True

    def close(self, *, value: Any = None, error: RpcError | None = None) -> None:
        self.value, self.error = value, error
        self.open = error is not None and is_transient(error)


@dataclass(slots=True)
class _Endpoint:
    transport: Transport
    batch_size: int
    failures: int = 0
    rested_at: float = field(default=0.0)

    def failed(self, now: float) -> None:
        self.failures += 1
        self.rested_at = now + pause_s(self.failures, *_COOL_DOWN_S)

    def answered(self) -> None:
        self.failures, self.rested_at = 0, 0.0


class Rpc:
    """A client of the nodes behind `transports`, the preferred one first.

    requests: round trips so far, failed ones included. calls: JSON-RPC calls in them; a batch of
    ten is one request and ten calls.

    Reads are retried up to `attempts` times, each time over all endpoints, with growing pauses.
    Methods that change something (eth_send*, evm_*, anvil_*) are sent once: after a timeout
    nobody knows whether they have happened.
    """

    def __init__(
        self,
        transports: Sequence[Transport],
        *,
        attempts: int = 7,
        batch_size: int = 100,
        backoff_s: float = 0.1,
        backoff_max_s: float = 5.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if not transports:
            raise ValueError("an Rpc needs at least one transport")
        self._endpoints = [_Endpoint(transport, batch_size) for transport in transports]
        self._parent: Rpc | None = None
        self._attempts = attempts
        self._batch_size = batch_size
        self._backoff_s = backoff_s
        self._backoff_max_s = backoff_max_s
        self._clock = clock
        self.requests = 0
        self.calls = 0

    @classmethod
    def connect(cls, *urls: str, timeout_s: float = DEFAULT_TIMEOUT_S, **options: Any) -> Self:
        """An Rpc over the nodes at these URLs. Raises ConfigError."""
        return cls([connect(url, timeout_s) for url in urls], **options)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def scoped(self, *, attempts: int) -> Rpc:
        """The same nodes with counters of its own; what it spends is counted here as well."""
        child = copy.copy(self)
        child._parent, child._attempts, child.requests, child.calls = self, attempts, 0, 0
        return child

    async def aclose(self) -> None:
        for endpoint in self._endpoints:
            await endpoint.transport.aclose()

    async def call(self, method: str, *params: Any) -> Any:
        """The result as plain JSON types. Raises RpcError and TransportError."""
        return await self.call_as(cast("type[Any]", Any), method, *params)

    async def call_as(self, type_: type[T], method: str, *params: Any) -> T:
        """The result as `type_` (anything msgspec can decode).

        A null where `type_` has no room for it counts as "not there yet" and is asked for again.
        """
        (slot,) = _slots(type_, [(method, params)])
        await self._settle([slot])
        if slot.error is not None:
            raise slot.error
        return cast(T, slot.value)

    async def batch(self, calls: Iterable[tuple[str, Sequence[Any]]]) -> list[Any | RpcError]:
        """The results of (method, params) pairs in their order; an RpcError where one failed.

        Raises TransportError if any part went without an answer.
        """
        return await self.batch_as(cast("type[Any]", Any), calls)

    async def batch_as(
        self, type_: type[T], calls: Iterable[tuple[str, Sequence[Any]]], *, together: bool = False
    ) -> list[T | RpcError]:
        """`batch` with results as `type_`.

        together: where one call of a round trip has to be asked again all are, so that the
        results speak of the same node at the same time.
        """
        slots = _slots(type_, calls)
        gate = asyncio.Semaphore(_IN_FLIGHT)

        async def settle(chunk: list[_Slot]) -> None:
            async with gate:
                await self._settle(chunk, together=together)

        try:
            async with asyncio.TaskGroup() as group:
                for start in range(0, len(slots), self._batch_size):
                    group.create_task(settle(slots[start : start + self._batch_size]))
        except BaseExceptionGroup as failed:
            raise the_failure(failed) from None
        return [slot.error if slot.error is not None else slot.value for slot in slots]

    async def pause(self, failures: int) -> None:
        """Wait as after so many failures in a row: for those who ask again by themselves."""
        await asyncio.sleep(pause_s(failures, self._backoff_s, self._backoff_max_s))

    @property
    def can_subscribe(self) -> bool:
        return any(isinstance(entry.transport, PushTransport) for entry in self._endpoints)

    async def subscribe(self, *params: Any) -> Subscription:
        """eth_subscribe at the first endpoint that can. Raises TransportError."""
        failure: TransportError | None = None
        for endpoint in self._by_preference():
            if isinstance(endpoint.transport, PushTransport):
                self._count(1)
                try:
                    return await endpoint.transport.subscribe(*params)
                except TransportError as error:
                    failure = error
        raise failure or TransportError(
            self._endpoints[0].transport.endpoint, "offers no subscriptions"
        )

    def _count(self, calls: int) -> None:
        self.requests += 1
        self.calls += calls
        if self._parent is not None:
            self._parent._count(calls)

    async def _settle(self, slots: list[_Slot], *, together: bool = False) -> None:
        """Ask until every slot has its answer, or until it is certain that it has none."""
        once = any(slot.request.method.startswith(_WRITES) for slot in slots)
        try:
            async for attempt in stamina.retry_context(
                on=_Again,
                attempts=1 if once else self._attempts,
                timeout=None,
                wait_initial=self._backoff_s,
                wait_max=self._backoff_max_s,
                wait_jitter=self._backoff_s,
            ):
                with attempt:
                    await self._round(slots, once=once, together=together)
        except _Again as last:
            if last.__cause__ is not None:
                raise last.__cause__ from None
            # Otherwise every open slot holds the node's own error, which is the answer now.

    async def _round(self, slots: list[_Slot], *, once: bool, together: bool) -> None:
        failure: TransportError | None = None
        for endpoint in self._by_preference():
            try:
                await self._ask(endpoint, [slot for slot in slots if slot.open])
                failure = None
            except TransportError as error:
                endpoint.failed(self._clock())
                failure = error
            if not any(slot.open for slot in slots):
                return
            if once:
                break
            for slot in slots:
                slot.open = slot.open or together
        raise _Again(str(failure or next(slot.error for slot in slots if slot.error))) from failure

    def _by_preference(self) -> list[_Endpoint]:
        """In the order given; those that failed lately last, soonest rested first."""
        now = self._clock()
        return sorted(self._endpoints, key=lambda entry: max(0.0, entry.rested_at - now))

    async def _ask(self, endpoint: _Endpoint, slots: list[_Slot]) -> None:
        start = 0
        while start < len(slots):
            chunk = slots[start : start + endpoint.batch_size]  # it may shrink on the way
            start += len(chunk)
            await self._exchange(endpoint, chunk)

    async def _exchange(self, endpoint: _Endpoint, slots: list[_Slot]) -> None:
        """One round trip. Raises TransportError if the answer cannot be used."""
        name = endpoint.transport.endpoint
        requests = [slot.request for slot in slots]
        single = len(requests) == 1
        self._count(len(requests))
        answer = await endpoint.transport.send(
            wire.encoder.encode(requests[0] if single else requests)
        )
        try:
            messages = wire.decode(answer)
        except wire.UNREADABLE as error:
            raise TransportError(name, f"malformed answer: {error}") from None
        if not single and not wire.is_batch(answer):
            await self._split(endpoint, slots, messages[0])
            return
        by_id = {message.id: message for message in messages}
        if single and messages and messages[0].id is None and messages[0].error is not None:
            by_id = {requests[0].id: messages[0]}
        for slot in slots:
            message = by_id.get(slot.request.id)
            if message is None:
                raise TransportError(name, "malformed answer: not to what was asked")
            self._take(endpoint, slot, message)
        endpoint.answered()

    async def _split(self, endpoint: _Endpoint, slots: list[_Slot], refusal: wire.Message) -> None:
        """A whole batch was refused. Unless the node is merely busy, ask with smaller ones."""
        if refusal.error is None:
            raise TransportError(endpoint.transport.endpoint, "malformed answer: not a batch")
        error = _rpc_error(endpoint, "batch", refusal.error)
        if is_transient(error):
            for slot in slots:
                slot.close(error=error)
            return
        endpoint.batch_size = max(1, len(slots) // 2)
        await self._ask(endpoint, slots)

    def _take(self, endpoint: _Endpoint, slot: _Slot, message: wire.Message) -> None:
        method = slot.request.method
        if message.error is not None:
            slot.close(error=_rpc_error(endpoint, method, message.error))
            return
        try:
            slot.close(value=slot.decoder.decode(message.result))
        except wire.UNREADABLE as error:
            if bytes(message.result) == b"null":
                slot.close(error=RpcError(method, NOT_THERE_YET, "the node does not have it"))
                return
            name = endpoint.transport.endpoint
            raise TransportError(name, f"malformed answer to {method}: {error}") from None


def _slots(type_: Any, calls: Iterable[tuple[str, Sequence[Any]]]) -> list[_Slot]:
    decoder = msgspec.json.Decoder(type_)
    return [_Slot(wire.Request(method, params), decoder) for method, params in calls]


def _rpc_error(endpoint: _Endpoint, method: str, body: wire.ErrorBody) -> RpcError:
    message = endpoint.transport.scrub(body.message)
    return RpcError(method, body.code, message, body.data)
