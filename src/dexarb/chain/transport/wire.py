"""JSON-RPC 2.0 on the wire: requests to bytes, bytes to answers and notifications."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any

import msgspec

ABSENT = msgspec.Raw(b"")
"""What an answer holds that carries no result at all; a result of null is b"null"."""

MAX_ANSWER_BYTES = 64 * 2**20
"""Of an answer, as it comes and decompressed: no block's receipts come near it."""
MAX_DEPTH = 64
"""Of brackets within brackets; blocks and their receipts need 6."""

UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding raises for texts that are not the JSON they should be, or nested without end."""

_ids = itertools.count(1)


class Request(msgspec.Struct):
    """One call. Ids are unique in the process, so transports may share a connection among users."""

    method: str
    params: Sequence[Any]
    id: int = msgspec.field(default_factory=lambda: next(_ids))
    jsonrpc: str = "2.0"


class ErrorBody(msgspec.Struct):
    code: int = 0
    message: str = ""
    data: Any = None


class Notification(msgspec.Struct):
    """The params of an eth_subscription notification."""

    subscription: str
    result: msgspec.Raw = ABSENT


class Message(msgspec.Struct):
    """Anything a node sends: an answer (id, result or error) or a notification (method, params)."""

    id: int | None = None
    result: msgspec.Raw = ABSENT
    error: ErrorBody | None = None
    method: str | None = None
    params: msgspec.Raw = ABSENT


class _Identified(msgspec.Struct):
    id: int


encoder = msgspec.json.Encoder()
_messages = msgspec.json.Decoder(Message | list[Message])
_ids_of = msgspec.json.Decoder(_Identified | list[_Identified])


def decode(payload: bytes) -> list[Message]:
    """The messages of an answer, single or batch. Raises UNREADABLE."""
    _check_depth(payload)
    found = _messages.decode(payload)
    return found if isinstance(found, list) else [found]


def is_batch(payload: bytes) -> bool:
    return payload.lstrip()[:1] == b"["


def ids_of(payload: bytes) -> tuple[int, ...]:
    """The ids in a request of our own making."""
    found = _ids_of.decode(payload)
    return tuple(entry.id for entry in found) if isinstance(found, list) else (found.id,)


_MAX_BRACKETS = 2_000_000
_NO_BRACKETS = bytes(set(range(256)) - set(b"{}[]"))


def _check_depth(payload: bytes) -> None:
    """Raises DecodeError. Brackets within texts count too: no answer has many of them there."""
    brackets = payload.translate(None, _NO_BRACKETS)
    if len(brackets) > _MAX_BRACKETS:
        raise msgspec.DecodeError(f"more than {_MAX_BRACKETS} brackets")
    depth = 0
    for bracket in brackets:
        depth += 1 if bracket in b"{[" else -1
        if depth > MAX_DEPTH:
            raise msgspec.DecodeError(f"nested more than {MAX_DEPTH} deep")
