"""Calls to one endpoint: batches of the size it takes, answers matched to what was asked, and
what they say of the endpoint's health."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from dexarb.chain.endpoints.choice import Endpoints
from dexarb.chain.endpoints.health import Endpoint
from dexarb.chain.endpoints.trouble import (
    FINAL_AT_A_NODE,
    NOT_THERE_YET,
    Trouble,
    is_transient,
    refuses_batch,
    trouble,
    trouble_of_silence,
)
from dexarb.chain.transport import wire
from dexarb.chain.transport.connect import PushTransport, Transport
from dexarb.chain.transport.push import Subscription
from dexarb.errors import Refused, RpcError, TransportError

Check = Callable[[Any], None]
"""Raises Refused for an answer that cannot be true."""

_QUICK = ("eth_chainId", "eth_blockNumber", "eth_getBlockByNumber", "eth_getBlockByHash")
"""What every node has at hand, so that their times can be compared."""


_NUMBER_LENGTH = 18
"""0x and 64 bits."""


class _SentHead(msgspec.Struct):
    number: str
    hash: str


@dataclass(slots=True)
class Slot:
    """One call and what has become of it. endpoint: whose value it is. final: errors by endpoint
    that it would repeat."""

    request: wire.Request
    decoder: msgspec.json.Decoder[Any]
    check: Check | None = None
    value: Any = None
    endpoint: str = ""
    error: RpcError | None = None
    open: bool = True
    final: dict[int, RpcError] = field(default_factory=dict)

    @property
    def may_be_elsewhere(self) -> bool:
        """Whether what it was refused for is a lack of the nodes that were asked."""
        lacks = (Trouble.NO_METHOD, Trouble.PRUNED)
        return bool(self.final) and all(trouble(each) in lacks for each in self.final.values())

    def reopen(self) -> None:
        self.value, self.error, self.open = None, None, True

    def close_if_final(self) -> None:
        """What a node would repeat is the answer once nobody else said anything else."""
        passing = self.error is not None and is_transient(self.error)
        if self.open and self.final and not passing:
            self.error, self.open = next(iter(self.final.values())), False


def slots(
    type_: Any, calls: Iterable[tuple[str, Sequence[Any]]], check: Callable[[int, Any], None] | None
) -> list[Slot]:
    decoder = msgspec.json.Decoder(type_)
    return [
        Slot(wire.Request(method, params), decoder, _at(index, check))
        for index, (method, params) in enumerate(calls)
    ]


def _at(index: int, check: Callable[[int, Any], None] | None) -> Check | None:
    return None if check is None else lambda value: check(index, value)


class EndpointClient:
    """One endpoint: how it is reached, and its health.

    spend: called before every round trip with the methods in it.
    """

    def __init__(
        self,
        transport: Transport,
        health: Endpoint,
        endpoints: Endpoints,
        clock: Callable[[], float],
    ) -> None:
        self.transport = transport
        self.health = health
        self.judging = asyncio.Lock()
        self._endpoints = endpoints
        self._clock = clock

    async def ask(
        self, asked: Sequence[Slot], spend: Callable[[list[str]], None], *, once: bool = False
    ) -> None:
        """Close every slot that this endpoint has an answer for; the others hold its error.

        A batch is asked in smaller ones wherever that may help, down to single calls. once: but
        not if it may have been carried out. Raises TransportError if no answer can be used.
        """
        start = 0
        while start < len(asked):
            now = self._clock()
            if self.health.barred_for_s(now) and (why := self.health.state(now)):
                raise TransportError(self.health.name, why.reason)
            chunk = asked[start : start + self.health.batch.size]  # it may shrink on the way
            start += len(chunk)
            await self.ask(await self._exchange(chunk, spend, once), spend, once=once)

    async def subscribe(
        self, params: Sequence[Any], spend: Callable[[list[str]], None]
    ) -> Subscription:
        """Raises RpcError and TransportError."""
        assert isinstance(self.transport, PushTransport)
        spend(["eth_subscribe"])
        sent_at = self._clock()
        try:
            subscription = await self.transport.subscribe(*params)
        except TransportError as error:
            self._silent(error, 1, sent_at)
            raise
        except RpcError as error:
            if trouble(error) is Trouble.NO_METHOD:
                self._endpoints.lacks(self.health, "eth_subscribe", self._clock())
            raise
        self._endpoints.answered(self.health, sent_at, self._clock())
        self._endpoints.has(self.health, "eth_subscribe")
        subscription.endpoint = self.health.name
        return subscription

    async def _exchange(
        self, asked: Sequence[Slot], spend: Callable[[list[str]], None], once: bool
    ) -> Sequence[Slot]:
        """One round trip. Returns what is to be asked again in a smaller batch."""
        requests = [slot.request for slot in asked]
        single = len(requests) == 1
        spend([request.method for request in requests])
        sent_at = self._clock()
        try:
            payload = wire.encoder.encode(requests[0] if single else requests)
            answer = await self._answer(payload)
            messages = self._decode(answer)
        except TransportError as error:
            self._silent(error, len(asked), sent_at)
            waits = error.timed_out or error.retry_after_s is not None
            if single or once or waits or not error.smaller_may_do:
                raise
            return asked
        if single and requests[0].method in _QUICK:
            self._endpoints.measured(self.health, self._clock() - sent_at, self._clock())
        refusal = _refusal_of_all(messages, requests, is_batch=wire.is_batch(answer))
        if refusal is not None and not single:
            return self._refused(asked, self._rpc_error("batch", refusal), sent_at)
        if single and messages and messages[0].id is None and messages[0].error is not None:
            messages[0].id = requests[0].id
        return self._take_all(asked, messages, sent_at, once)

    async def _answer(self, payload: bytes) -> bytes:
        try:
            return await self.transport.send(payload)
        except TransportError as error:
            if error.endpoint == self.health.name:
                raise
            # Of two keys at one host the name says which.
            raise TransportError(
                self.health.name,
                error.reason,
                status=error.status,
                retry_after_s=error.retry_after_s,
                timed_out=error.timed_out,
                smaller_may_do=error.smaller_may_do,
            ) from None

    def _decode(self, answer: bytes) -> list[wire.Message]:
        try:
            return wire.decode(answer)
        except wire.UNREADABLE as error:
            raise self._malformed(f"malformed answer: {error}") from None

    def _malformed(self, reason: str) -> TransportError:
        return TransportError(self.health.name, self.transport.scrub(reason), smaller_may_do=True)

    def _silent(self, error: TransportError, calls: int, sent_at: float) -> None:
        """No usable answer. A batch's failure counts against the endpoint only where a smaller
        one would not be quick to try."""
        now, kind = self._clock(), trouble_of_silence(error)
        shrinks = calls > 1 and (error.smaller_may_do or kind is Trouble.BUSY)
        if shrinks:
            self.health.batch.refused(calls)
        if error.retry_after_s is not None:
            self._endpoints.barred(self.health, error.retry_after_s, error.reason, now)
        elif shrinks and not error.timed_out and kind is not Trouble.BUSY:
            return
        elif kind is Trouble.QUOTA:
            self._endpoints.used_up(self.health, error.reason, sent_at, now)
        else:
            self._endpoints.failed(self.health, error.reason, sent_at, now)

    def _refused(self, asked: Sequence[Slot], error: RpcError, sent_at: float) -> Sequence[Slot]:
        """A whole batch was refused in one breath. Unless the node is merely busy, ask with
        smaller ones."""
        self.health.batch.refused(len(asked))
        if trouble(error) not in (Trouble.BUSY, Trouble.QUOTA) or refuses_batch(error):
            return asked
        for slot in asked:
            self._note(slot, error, sent_at)
        return ()

    def _take_all(
        self, asked: Sequence[Slot], messages: list[wire.Message], sent_at: float, once: bool
    ) -> Sequence[Slot]:
        by_id = {message.id: message for message in messages}
        single = len(asked) == 1
        again = []
        for slot in asked:
            try:
                self._take(slot, by_id.get(slot.request.id), sent_at)
            except TransportError as error:
                if single or once:
                    self._endpoints.failed(self.health, error.reason, sent_at, self._clock())
                    raise
                again.append(slot)
                continue
            if not single and slot.error is not None and _is_for_its_size(slot.error):
                again.append(slot)
        if again:
            self.health.batch.refused(len(asked))
            for slot in again:
                slot.final.pop(self.health.index, None)
        else:
            self.health.batch.took(len(asked))
        return again

    def _take(self, slot: Slot, message: wire.Message | None, sent_at: float) -> None:
        """Raises TransportError for what is no answer."""
        method = slot.request.method
        if message is None:
            raise self._malformed("malformed answer: not to what was asked")
        if message.error is not None:
            self._note(slot, self._rpc_error(method, message.error), sent_at)
            return
        try:
            value = slot.decoder.decode(message.result)
        except wire.UNREADABLE as error:
            if bytes(message.result) != b"null":
                raise self._malformed(f"malformed answer to {method}: {error}") from None
            self._note(slot, RpcError(method, NOT_THERE_YET, "the node does not have it"), sent_at)
            return
        now = self._clock()
        self._endpoints.answered(self.health, sent_at, now)
        self._endpoints.has(self.health, method)
        self._believe(slot, value, sent_at)
        if slot.error is None:  # a head that cannot be true tells of nothing
            self._note_position(slot.request, message.result)

    def _believe(self, slot: Slot, value: Any, sent_at: float) -> None:
        try:
            if slot.check is not None:
                slot.check(value)
                self.health.believed()
        except Refused as refused:
            slot.value, slot.error, slot.open = None, refused, True
            reason = f"{refused.method}: {refused.reason}"
            self._endpoints.disbelieved(self.health, reason, sent_at, self._clock())
        else:
            slot.value, slot.error, slot.open = value, None, False
            slot.endpoint = self.health.name

    def _note_position(self, request: wire.Request, result: msgspec.Raw) -> None:
        """Answers about the newest block tell where the endpoint is, whoever asked."""
        if request.method == "eth_blockNumber":
            self._note_head(_decoded(result, str), "")
        elif request.method == "eth_getBlockByNumber" and "latest" in request.params[:1]:
            self.note_head(result)

    def note_head(self, header: msgspec.Raw | bytes) -> None:
        """A header of the newest block, as it was sent; anything else is passed over."""
        head = _decoded(header, _SentHead)
        if head is not None:
            self._note_head(head.number, head.hash)

    def _note_head(self, number: str | None, block_hash: str) -> None:
        if number is not None and len(number) <= _NUMBER_LENGTH:
            with contextlib.suppress(ValueError):
                self._endpoints.note_head(self.health, int(number, 16), block_hash, self._clock())

    def _note(self, slot: Slot, error: RpcError, sent_at: float) -> None:
        """An error as the answer to one call."""
        kind, now = trouble(error), self._clock()
        slot.value, slot.error, slot.open = None, error, True
        if kind is Trouble.QUOTA:
            self._endpoints.used_up(self.health, error.message, sent_at, now)
            return
        if kind is Trouble.BUSY:
            self._endpoints.failed(self.health, error.message, sent_at, now)
            return
        self._endpoints.answered(self.health, sent_at, now)
        if kind is Trouble.NO_METHOD:
            self._endpoints.lacks(self.health, error.method, now)
        if kind in FINAL_AT_A_NODE:
            slot.final[self.health.index] = error
        elif not is_transient(error):
            slot.open = False

    def _rpc_error(self, method: str, body: wire.ErrorBody) -> RpcError:
        return RpcError(method, body.code, self.transport.scrub(body.message), body.data)


def _refusal_of_all(
    messages: list[wire.Message], requests: list[wire.Request], *, is_batch: bool
) -> wire.ErrorBody | None:
    """The error that stands for the whole request: one for all, or each call's the same."""
    if not messages:
        return None
    first = messages[0].error
    if len(messages) == 1 and first is not None and (not is_batch or messages[0].id is None):
        return first
    if len(messages) < len(requests) or first is None:
        return None
    errors = {(each.error.code, each.error.message) for each in messages if each.error is not None}
    same = len(errors) == 1 and all(each.error is not None for each in messages)
    return first if same and refuses_batch(RpcError("batch", first.code, first.message)) else None


def _is_for_its_size(error: RpcError) -> bool:
    return trouble(error) is Trouble.TOO_LARGE


def _decoded(result: msgspec.Raw | bytes, type_: Any) -> Any:
    try:
        return msgspec.json.decode(result, type=type_)
    except wire.UNREADABLE:
        return None
