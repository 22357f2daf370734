"""Nouns to JSON lines and back: the one definition of what an entry of the history looks like.

An entry is one line, an object with `kind` "block" or "keyframe"; docs/history-format.md describes
the fields. They are those of the nouns in dexarb.core, bytes as 0x-hex, integers of any size as
JSON integers, pools as `{"kind", "state"}` with what `Pool.state()` gives.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from dexarb.amm import POOL_TYPES
from dexarb.core.block import Block, BlockUpdate, Log, Transaction
from dexarb.core.market import Keyframe
from dexarb.core.pool import Pool
from dexarb.core.profile import ChainProfile
from dexarb.core.token import Address, Token
from dexarb.errors import PoolError, StoreError

Entry = Keyframe | BlockUpdate


class Header(msgspec.Struct, frozen=True):
    """What links an entry to the others. continues: see `encode_keyframe`."""

    seq: int
    number: int
    hash: str
    parent_hash: str
    is_keyframe: bool
    continues: bool


class _LogLine(msgspec.Struct):
    address: Address
    topics: tuple[str, ...]
    data: str
    transaction_index: int
    log_index: int


class _BlockLine(msgspec.Struct, tag_field="kind", tag="block"):
    seq: int
    block: Block
    logs: list[_LogLine]
    transactions: tuple[Transaction, ...]
    has_receipts: bool


class _PoolLine(msgspec.Struct):
    kind: str
    state: dict[str, Any]


class _KeyframeLine(msgspec.Struct, tag_field="kind", tag="keyframe"):
    seq: int
    continues: bool
    block: Block
    profile: ChainProfile
    tokens: tuple[Token, ...]
    pools: list[_PoolLine]


class _Link(msgspec.Struct):
    number: int
    hash: str
    parent_hash: str


class _BlockHeader(msgspec.Struct, tag_field="kind", tag="block"):
    seq: int
    block: _Link


class _KeyframeHeader(msgspec.Struct, tag_field="kind", tag="keyframe"):
    seq: int
    continues: bool
    block: _Link


_encoder = msgspec.json.Encoder()
_entry_decoder = msgspec.json.Decoder(_BlockLine | _KeyframeLine)
_header_decoder = msgspec.json.Decoder(_BlockHeader | _KeyframeHeader)


def to_hex(data: bytes) -> str:
    return "0x" + data.hex()


def from_hex(text: str) -> bytes:
    """Raises ValueError."""
    if not text.startswith("0x"):
        raise ValueError(f"{text[:12]!r} does not start with 0x")
    return bytes.fromhex(text[2:])


def encode_block(update: BlockUpdate) -> bytes:
    """The line of a block, without its newline."""
    logs = [
        _LogLine(
            log.address,
            tuple([to_hex(topic) for topic in log.topics]),
            to_hex(log.data),
            log.transaction_index,
            log.log_index,
        )
        for log in update.logs
    ]
    return _encoder.encode(
        _BlockLine(update.seq, update.block, logs, update.transactions, update.has_receipts)
    )


def encode_keyframe(keyframe: Keyframe, *, continues: bool) -> bytes:
    """The line of a keyframe, without its newline.

    continues: this is the market that the entries before it lead to, so that a reader who has
    followed them may pass it over. Otherwise every reader has to start from it anew.
    """
    return _encoder.encode(
        _KeyframeLine(
            keyframe.seq,
            continues,
            keyframe.block,
            keyframe.profile,
            keyframe.tokens,
            [_PoolLine(pool.kind, dict(pool.state())) for pool in keyframe.pools],
        )
    )


def decode(line: bytes | str, where: object) -> Entry:
    """The entry in a line. where: names the place in the StoreError raised for a damaged one."""
    try:
        entry = _entry_decoder.decode(line)
        if isinstance(entry, _KeyframeLine):
            return Keyframe(
                entry.seq,
                entry.block,
                entry.profile,
                entry.tokens,
                tuple(decode_pool(pool.kind, pool.state) for pool in entry.pools),
            )
        return BlockUpdate(
            entry.seq,
            entry.block,
            tuple([_log(log) for log in entry.logs]),
            entry.transactions,
            entry.has_receipts,
        )
    except (msgspec.DecodeError, ValueError, PoolError) as error:
        raise StoreError(where, f"is not a history entry: {error}") from error


def decode_header(line: bytes | str, where: object) -> Header:
    """Only what links the entry to the others. Raises StoreError."""
    try:
        entry = _header_decoder.decode(line)
    except (msgspec.DecodeError, ValueError) as error:
        raise StoreError(where, f"is not a history entry: {error}") from error
    link = entry.block
    if isinstance(entry, _KeyframeHeader):
        return Header(entry.seq, link.number, link.hash, link.parent_hash, True, entry.continues)
    return Header(entry.seq, link.number, link.hash, link.parent_hash, False, True)


def decode_pool(kind: str, state: Mapping[str, Any]) -> Pool:
    """Raises ValueError for an unknown kind and InvalidPoolState for an impossible state."""
    pool_type = POOL_TYPES.get(kind)
    if pool_type is None:
        raise ValueError(f"unknown pool kind {kind!r} (known: {', '.join(sorted(POOL_TYPES))})")
    return pool_type.from_state(state)


def _log(line: _LogLine) -> Log:
    return Log(
        line.address,
        tuple([from_hex(topic) for topic in line.topics]),
        from_hex(line.data),
        line.transaction_index,
        line.log_index,
    )
