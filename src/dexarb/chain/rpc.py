"""JSON-RPC calls over one or more nodes: batches, retries, the next endpoint on failure.

What a node's trouble means is told by `trouble`, whom to ask by `endpoints`. Here calls go from
endpoint to endpoint, and again after a pause, until each has its answer: an error that any node
would give at once, one that a node would repeat once every usable node has been asked.
"""

from __future__ import annotations

import asyncio
import copy
import time
from collections.abc import Awaitable, Callable, Iterable, Sequence
from functools import partial
from typing import Any, Self, TypeVar, cast

import stamina
import stamina.instrumentation

from dexarb.chain.endpoints.choice import MOMENT_S, EndpointReport, Endpoints, Notice
from dexarb.chain.endpoints.client import EndpointClient, Slot, slots
from dexarb.chain.endpoints.nodes import Nodes
from dexarb.chain.endpoints.trouble import pause_s
from dexarb.chain.endpoints.usage import Budget, Usage
from dexarb.chain.transport.connect import (
    DEFAULT_TIMEOUT_S,
    PushTransport,
    Transport,
    connect,
)
from dexarb.chain.transport.push import Subscription
from dexarb.core.block import BlockRef
from dexarb.errors import OutsideError, RpcError, TransportError, the_failure

# What is retried is told by those who wait for it; a line for every attempt would bury it.
stamina.instrumentation.set_on_retry_hooks([])

T = TypeVar("T")


_WRITES = ("eth_send", "evm_", "anvil_", "hardhat_", "personal_", "debug_set")
_IN_FLIGHT = 4
_ANYTHING: Any = Any


class _Again(Exception):
    """A round over all endpoints left calls open."""


class Rpc:
    """A client of the nodes behind `transports`, the preferred one first.

    requests: round trips so far, failed ones included. calls: JSON-RPC calls in them; a batch of
    ten is one request and ten calls. usage counts them by endpoint, day and month.

    Reads are retried up to `attempts` times, each time over all endpoints, with growing pauses.
    Methods that change something (eth_send*, evm_*, anvil_*) are sent once: after a timeout
    nobody knows whether they have happened.

    max_wait_s: how long a call waits where all endpoints are to be left alone (they said so, or
    their budget is used up); then it fails, unasked.

    budgets: one for each transport, or none. notice: told when an endpoint is left and when it
    is back; else the log is.
    """

    def __init__(
        self,
        transports: Sequence[Transport],
        *,
        attempts: int = 7,
        batch_size: int = 100,
        backoff_s: float = 0.1,
        backoff_max_s: float = 5.0,
        max_wait_s: float = 600.0,
        usage: Usage | None = None,
        budgets: Sequence[Budget] = (),
        notice: Notice | None = None,
        clock: Callable[[], float] = time.monotonic,
        utc: Callable[[], float] = time.time,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        if not transports:
            raise ValueError("an Rpc needs at least one transport")
        endpoints = Endpoints(
            [transport.endpoint for transport in transports],
            batch_size=batch_size,
            usage=usage,
            budgets=budgets,
            notice=notice,
        )
        clients = [
            EndpointClient(transport, health, endpoints, clock)
            for transport, health in zip(transports, endpoints.all, strict=True)
        ]
        self._nodes = Nodes(clients, endpoints, clock, utc, sleep, max_wait_s)
        self._among = frozenset(range(len(clients)))
        self._parent: Rpc | None = None
        self._attempts = attempts
        self._batch_size = batch_size
        self._backoff_s = backoff_s
        self._backoff_max_s = backoff_max_s
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

    async def aclose(self) -> None:
        for client in self._nodes.clients:
            await client.transport.aclose()

    # -- views of the same nodes --------------------------------------------------------------

    def scoped(self, *, attempts: int) -> Rpc:
        """The same nodes with counters of its own; what it spends is counted here as well."""
        child = copy.copy(self)
        child._parent, child._attempts, child.requests, child.calls = self, attempts, 0, 0
        return child

    def only(self, name: str) -> Rpc:
        """This endpoint alone, with the same health and usage. Raises KeyError."""
        return self._view(frozenset({self._named(name).health.index}))

    def avoiding(self, *names: str) -> Rpc:
        """All endpoints but these; if none is left, its calls are TransportErrors."""
        return self._view(self._among - {self._named(name).health.index for name in names})

    def _view(self, among: frozenset[int]) -> Rpc:
        child = self.scoped(attempts=self._attempts)
        child._among = among
        return child

    def _named(self, name: str) -> EndpointClient:
        return {client.health.name: client for client in self._nodes.clients}[name]

    # -- health -------------------------------------------------------------------------------

    def expect(self, chain_id: int, known: Callable[[], Sequence[BlockRef]]) -> None:
        """From now on each endpoint is asked for its chain id, and for its hash of a block that
        we know, before it is used first and again after it was away.

        known: blocks of ours, the oldest first; the first that the endpoint has decides. A few
        are enough, say 64 and 8 below our newest, and that one.
        """
        self._nodes.chain_id, self._nodes.known = chain_id, known

    @property
    def names(self) -> tuple[str, ...]:
        """How the endpoints are named, in the order of preference."""
        return tuple(client.health.name for client in self._visible())

    @property
    def foreign(self) -> frozenset[str]:
        """Endpoints that have told that they are on another chain than ours."""
        found = [each.health for each in self._visible() if each.health.standing.is_foreign]
        return frozenset(health.name for health in found)

    @property
    def preferred(self) -> str:
        """The endpoint that is asked first now; the first of all if none can be asked."""
        return next((each.health.name for each in self._nodes.order(self._among)), self.names[0])

    @property
    def endpoints(self) -> list[EndpointReport]:
        """For the state file and the log."""
        return self._nodes.endpoints.report(self._nodes.clock(), self._nodes.utc())

    @property
    def usage(self) -> Usage:
        return self._nodes.endpoints.usage

    def _visible(self) -> list[EndpointClient]:
        return [each for each in self._nodes.clients if each.health.index in self._among]

    # -- calls --------------------------------------------------------------------------------

    async def call(self, method: str, *params: Any) -> Any:
        """The result as plain JSON types. Raises RpcError and TransportError."""
        return await self.call_as(_ANYTHING, method, *params)

    async def call_as(
        self, type_: type[T], method: str, *params: Any, check: Callable[[T], None] | None = None
    ) -> T:
        """The result as `type_` (anything msgspec can decode).

        A null where `type_` has no room for it counts as "not there yet" and is asked for again.
        check: raises Refused for an answer that cannot be true; it counts as not given, is asked
        for elsewhere, then later, and if it stays so the Refused is raised.
        """
        return (await self.answer_as(type_, method, *params, check=check))[0]

    async def answer_as(
        self, type_: type[T], method: str, *params: Any, check: Callable[[T], None] | None = None
    ) -> tuple[T, str]:
        """`call_as`, and the name of the endpoint that answered."""
        asked = slots(type_, [(method, params)], check and (lambda _, value: check(value)))
        await self._settle(asked)
        if asked[0].error is not None:
            raise asked[0].error
        return cast(T, asked[0].value), asked[0].endpoint

    async def batch(self, calls: Iterable[tuple[str, Sequence[Any]]]) -> list[Any | RpcError]:
        """The results of (method, params) pairs in their order; an RpcError where one failed.

        Raises TransportError if any part went without an answer.
        """
        return await self.batch_as(_ANYTHING, calls)

    async def batch_as(
        self,
        type_: type[T],
        calls: Iterable[tuple[str, Sequence[Any]]],
        *,
        together: bool = False,
        check: Callable[[int, T], None] | None = None,
    ) -> list[T | RpcError]:
        """`batch` with results as `type_`.

        together: where one call of a round trip has to be asked again all are, so that the
        results speak of the same node at the same time. check: as in `call_as`, with the place
        of the call before the value.
        """
        asked = slots(type_, calls, check)
        gate = asyncio.Semaphore(_IN_FLIGHT)

        async def settle(chunk: list[Slot]) -> None:
            async with gate:
                await self._settle(chunk, together=together)

        try:
            async with asyncio.TaskGroup() as group:
                for start in range(0, len(asked), self._batch_size):
                    group.create_task(settle(asked[start : start + self._batch_size]))
        except BaseExceptionGroup as failed:
            raise the_failure(failed) from None
        return [slot.error if slot.error is not None else slot.value for slot in asked]

    async def each(
        self, method: str, *params: Any, type_: type[T] = _ANYTHING
    ) -> list[tuple[str, T | OutsideError]]:
        """Ask every usable endpoint that does not rest, side by side, each by itself and once."""
        now = self._nodes.clock()
        clients = [
            each for each in self._nodes.order(self._among) if not each.health.rests_for_s(now)
        ]

        async def ask(client: EndpointClient) -> tuple[str, T | OutsideError] | None:
            (slot,) = slots(type_, [(method, params)], None)
            try:
                if not await self._nodes.is_ours(client, self._spender(client)):
                    return None
                await client.ask([slot], self._spender(client))
            except OutsideError as error:
                return client.health.name, error
            return client.health.name, slot.error or cast(T, slot.value)

        found = await asyncio.gather(*(ask(client) for client in clients))
        return [answer for answer in found if answer is not None]

    # -- subscriptions ------------------------------------------------------------------------

    async def pause(self, failures: int) -> None:
        """Wait as after so many failures in a row: for those who ask again by themselves."""
        await asyncio.sleep(pause_s(failures, self._backoff_s, self._backoff_max_s))

    @property
    def can_subscribe(self) -> bool:
        return any(isinstance(client.transport, PushTransport) for client in self._visible())

    async def subscribe(self, *params: Any) -> Subscription:
        """eth_subscribe at the first endpoint that can. Raises RpcError and TransportError."""
        name = next(iter(self.names), "no endpoint")
        failure: OutsideError = TransportError(name, "offers no subscriptions")
        for client in self._nodes.order(self._among, ["eth_subscribe"]):
            if not isinstance(client.transport, PushTransport):
                continue
            try:
                if await self._nodes.is_ours(client, self._spender(client)):
                    subscription = await client.subscribe(params, self._spender(client))
                    subscription.on_push = partial(self._pushed, client)
                    return subscription
            except OutsideError as error:
                failure = error
        raise failure

    def _pushed(self, client: EndpointClient, head: bytes) -> None:
        self.usage.count_push(client.health.name, self._nodes.utc())
        client.note_head(head)

    # -- from endpoint to endpoint ------------------------------------------------------------

    def _spender(self, client: EndpointClient) -> Callable[[list[str]], None]:
        return lambda methods: self._spend(client, methods)

    def _spend(self, client: EndpointClient, methods: list[str]) -> None:
        self._nodes.endpoints.usage.count(client.health.name, methods, self._nodes.utc())
        self._count(len(methods))

    def _count(self, calls: int) -> None:
        self.requests += 1
        self.calls += calls
        if self._parent is not None:
            self._parent._count(calls)

    async def _settle(self, asked: list[Slot], *, together: bool = False) -> None:
        """Ask until every slot has its answer, or until it is certain that it has none."""
        once = any(slot.request.method.startswith(_WRITES) for slot in asked)
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
                    await self._round(asked, once=once, together=together)
        except _Again as last:
            if last.__cause__ is not None:
                raise last.__cause__ from None
            # Otherwise every open slot holds the node's own error, which is the answer now.

    async def _round(self, asked: list[Slot], *, once: bool, together: bool) -> None:
        """Over all usable endpoints, once. Raises _Again for what is left open."""
        failure: TransportError | None = None
        nodes = self._nodes
        missed = nodes.endpoints.barred_briefly(nodes.clock(), among=self._among)
        for slot in asked:
            slot.error = None if slot.open else slot.error
        for client in await nodes.usable(self._among, {slot.request.method for slot in asked}):
            wanted = asked if together else [slot for slot in asked if slot.open]
            if together and any(client.health.index in slot.final for slot in asked):
                continue
            wanted = [slot for slot in wanted if client.health.index not in slot.final]
            try:
                if not wanted or not await self._nodes.is_ours(client, self._spender(client)):
                    continue
                if together:
                    for slot in wanted:
                        slot.reopen()
                await client.ask(wanted, self._spender(client), once=once)
            except TransportError as error:
                failure = error
                if client.health.fails_for_s(nodes.clock()) < MOMENT_S:
                    missed = error
            if once or not any(slot.open for slot in asked):
                break
        for slot in asked:
            if once or missed is None or not slot.may_be_elsewhere:
                slot.close_if_final()
        left = [slot for slot in asked if slot.open]
        if left:
            silent = any(slot.error is None for slot in left)
            waits = missed is not None and any(slot.may_be_elsewhere for slot in left)
            raise _Again from (
                (missed or failure or self._nodes.nobody(self._among)) if silent or waits else None
            )
