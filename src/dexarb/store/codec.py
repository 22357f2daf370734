"""Nouns to JSON lines and back: the one definition of what an entry of the history looks like.

An entry is one line, an object with `kind` "block", "keyframe", "pools" or "break";
docs/history-format.md describes the fields. They are those of the nouns in dexarb.core, bytes as
0x-hex, integers as JSON integers, pools as `{"kind", "state"}` with what `Pool.state()` gives. The
checksum that ends a line on disk is not looked at here; see store/checksum.py.
"""

from __future__ import annotations

from binascii import unhexlify
from collections.abc import Iterable, Mapping
from typing import Annotated, Any

import msgspec

from dexarb.amm import POOL_TYPES
from dexarb.core.block import Block, BlockHash, BlockRef, BlockUpdate, Log, Transaction
from dexarb.core.market import Break, Entry, Keyframe, PoolsChanged
from dexarb.core.pool import Pool, PoolKey
from dexarb.core.profile import ChainProfile
from dexarb.core.token import Address, Token
from dexarb.core.traffic import Traffic
from dexarb.errors import PoolError, StoreError
from dexarb.store.bounds import MAX_UINT32, require_bounds, require_decimals, require_places

ADDED_LATER = ("gas_schedules", "tip_floors", "surcharges", "own")
"""Of a chain profile."""

_Uint32 = Annotated[int, msgspec.Meta(ge=0, le=MAX_UINT32)]
_Seq = Annotated[int, msgspec.Meta(ge=-(1 << 63), le=(1 << 63) - 1)]


class LinkHeader(msgspec.Struct, frozen=True):
    """What links an entry to the others, and the chain's time. continues: see `encode_keyframe`."""

    seq: int
    number: int
    hash: BlockHash
    parent_hash: BlockHash
    timestamp: int
    is_keyframe: bool
    continues: bool

    @property
    def ref(self) -> BlockRef:
        return BlockRef(self.number, self.hash)


class ChangeHeader(msgspec.Struct, frozen=True):
    """Of pools that change: the entry stands at a block and moves no branch."""

    seq: int
    block: BlockRef


EntryHeader = LinkHeader | ChangeHeader | Break


class _LogLine(msgspec.Struct):
    address: Address
    topics: tuple[str, ...]
    data: str
    transaction_index: _Uint32
    log_index: _Uint32


class _BlockLine(msgspec.Struct, tag_field="kind", tag="block"):
    seq: _Seq
    block: Block
    logs: list[_LogLine]
    transactions: tuple[Transaction, ...]
    has_receipts: bool
    witnesses: _Uint32 | None = None
    backfilled: bool = False
    producer: Address | None = None
    traffic: Traffic | None = None


class _PoolLine(msgspec.Struct):
    kind: str
    state: dict[str, Any]


class _KeyframeLine(msgspec.Struct, tag_field="kind", tag="keyframe"):
    seq: _Seq
    continues: bool
    block: Block
    profile: ChainProfile
    tokens: tuple[Token, ...]
    pools: list[_PoolLine]


class _RefLine(msgspec.Struct):
    number: _Uint32
    hash: BlockHash


class _PoolsLine(msgspec.Struct, tag_field="kind", tag="pools"):
    seq: _Seq
    block: _RefLine
    tokens: tuple[Token, ...]
    joined: list[_PoolLine]
    left: tuple[PoolKey, ...]


class _BreakLine(msgspec.Struct, tag_field="kind", tag="break"):
    seq: _Seq
    fork_point: _RefLine | None
    reason: str


class _Link(msgspec.Struct):
    number: _Uint32
    hash: BlockHash
    parent_hash: BlockHash
    timestamp: _Uint32


class _BlockHeader(msgspec.Struct, tag_field="kind", tag="block"):
    seq: _Seq
    block: _Link


class _KeyframeHeader(msgspec.Struct, tag_field="kind", tag="keyframe"):
    seq: _Seq
    continues: bool
    block: _Link


class _PoolsHeader(msgspec.Struct, tag_field="kind", tag="pools"):
    seq: _Seq
    block: _RefLine


_encoder = msgspec.json.Encoder()
_entry_decoder = msgspec.json.Decoder(_BlockLine | _KeyframeLine | _PoolsLine | _BreakLine)
_traffic_decoder = msgspec.json.Decoder(Traffic | None)
_header_decoder = msgspec.json.Decoder(_BlockHeader | _KeyframeHeader | _PoolsHeader | _BreakLine)


def to_hex(data: bytes) -> str:
    return "0x" + data.hex()


def from_hex(text: str) -> bytes:
    """Raises ValueError."""
    if text[:2] != "0x":
        raise ValueError(f"{text[:12]!r} does not start with 0x")
    return unhexlify(text[2:])


def encode_block(update: BlockUpdate) -> bytes:
    """The line of a block, without its newline. Raises ValueError for numbers out of bounds."""
    require_bounds(update.block, update.transactions)
    if update.traffic is not None:
        require_places(update.traffic)
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
        _BlockLine(
            update.seq,
            update.block,
            logs,
            tuple(update.transactions),
            update.has_receipts,
            update.witnesses,
            update.backfilled,
            update.producer,
            update.traffic,
        )
    )


def encode_keyframe(keyframe: Keyframe, *, continues: bool) -> bytes:
    """The line of a keyframe, without its newline. Raises ValueError for numbers out of bounds.

    continues: this is the market that the entries before it lead to, so that a reader who has
    followed them may pass it over. Otherwise every reader has to start from it anew.
    """
    require_bounds(keyframe.block)
    return _encoder.encode(
        _KeyframeLine(
            keyframe.seq,
            continues,
            keyframe.block,
            _profile_line(keyframe.profile),
            keyframe.tokens,
            _pool_lines(keyframe.pools),
        )
    )


def _profile_line(profile: ChainProfile) -> Any:
    """As lines have it: what was added to profiles later is left out where it is empty, as programs
    before it wrote."""
    fields = msgspec.to_builtins(profile)
    return {key: value for key, value in fields.items() if value or key not in ADDED_LATER}


def encode_pools_changed(entry: PoolsChanged) -> bytes:
    """The line of pools that change, without its newline."""
    block = _RefLine(entry.block.number, entry.block.hash)
    joined = _pool_lines(entry.joined)
    return _encoder.encode(_PoolsLine(entry.seq, block, entry.tokens, joined, entry.left))


def encode_break(entry: Break) -> bytes:
    """The line of a break, without its newline."""
    ref = entry.fork_point
    point = None if ref is None else _RefLine(ref.number, ref.hash)
    return _encoder.encode(_BreakLine(entry.seq, point, entry.reason))


def decode(line: bytes | str, where: object) -> Entry:
    """The entry in a line. where: names the place in the StoreError raised for a damaged one."""
    try:
        entry = _entry_decoder.decode(line)
        if isinstance(entry, _BlockLine):
            return _block(entry)
        if isinstance(entry, _PoolsLine):
            return _pools_changed(entry)
        return _break(entry) if isinstance(entry, _BreakLine) else _keyframe(entry)
    except (msgspec.DecodeError, ValueError, PoolError) as error:
        raise StoreError(where, f"is not a history entry: {error}") from error


def decode_header(line: bytes | str, where: object) -> EntryHeader:
    """Only what links the entry to the others. Raises StoreError."""
    try:
        entry = _header_decoder.decode(line)
    except (msgspec.DecodeError, ValueError) as error:
        raise StoreError(where, f"is not a history entry: {error}") from error
    if isinstance(entry, _BreakLine):
        return _break(entry)
    if isinstance(entry, _PoolsHeader):
        return ChangeHeader(entry.seq, _ref(entry.block))
    link = entry.block
    is_keyframe = isinstance(entry, _KeyframeHeader)
    continues = entry.continues if isinstance(entry, _KeyframeHeader) else True
    return LinkHeader(
        entry.seq,
        link.number,
        link.hash,
        link.parent_hash,
        link.timestamp,
        is_keyframe,
        continues,
    )


def header_of(seq: int, block: Block, *, is_keyframe: bool, continues: bool = True) -> LinkHeader:
    """What `decode_header` finds in the line of such an entry."""
    return LinkHeader(
        seq, block.number, block.hash, block.parent_hash, block.timestamp, is_keyframe, continues
    )


def decode_pool(kind: str, state: Mapping[str, Any]) -> Pool:
    """Raises ValueError for an unknown kind and InvalidPoolState for an impossible state."""
    pool_type = POOL_TYPES.get(kind)
    if pool_type is None:
        raise ValueError(f"unknown pool kind {kind!r} (known: {', '.join(sorted(POOL_TYPES))})")
    return pool_type.from_state(state)


def decode_traffic(text: str | None, where: object) -> Traffic | None:
    """As it stands in a line and, alone, in a closed file. where: as for `decode`."""
    if text is None:
        return None
    try:
        traffic: Traffic | None = _traffic_decoder.decode(text)
        if traffic is not None:
            require_places(traffic)
        return traffic
    except (msgspec.DecodeError, ValueError) as error:
        raise StoreError(where, f"has traffic that is none: {error}") from error


def _block(line: _BlockLine) -> BlockUpdate:
    require_bounds(line.block, line.transactions)
    if line.traffic is not None:
        require_places(line.traffic)
    return BlockUpdate(
        line.seq,
        line.block,
        _logs(line.logs),
        line.transactions,
        line.has_receipts,
        line.witnesses,
        line.backfilled,
        line.producer,
        line.traffic,
    )


def _keyframe(line: _KeyframeLine) -> Keyframe:
    require_bounds(line.block)
    require_decimals(line.tokens)
    return Keyframe(line.seq, line.block, line.profile, line.tokens, _pools(line.pools))


def _pools_changed(line: _PoolsLine) -> PoolsChanged:
    require_decimals(line.tokens)
    joined = _pools(line.joined)
    return PoolsChanged(line.seq, _ref(line.block), line.tokens, joined, line.left)


def _pool_lines(pools: Iterable[Pool]) -> list[_PoolLine]:
    return [_PoolLine(pool.kind, dict(pool.state())) for pool in pools]


def _pools(lines: Iterable[_PoolLine]) -> tuple[Pool, ...]:
    return tuple(decode_pool(line.kind, line.state) for line in lines)


def _break(line: _BreakLine) -> Break:
    point = line.fork_point
    return Break(line.seq, None if point is None else _ref(point), line.reason)


def _ref(line: _RefLine) -> BlockRef:
    return BlockRef(line.number, line.hash)


def _logs(lines: Iterable[_LogLine]) -> tuple[Log, ...]:
    word = _words.__getitem__
    return tuple(
        [
            Log(
                line.address,
                tuple(map(word, line.topics)),
                from_hex(line.data),
                line.transaction_index,
                line.log_index,
            )
            for line in lines
        ]
    )


class _Words(dict[str, bytes]):
    """Topics by their text. The same few events, routers and traders come again and again, so that
    looking one up is the rule, and takes a third of the time of converting it."""

    def __missing__(self, text: str) -> bytes:
        if len(self) >= _MOST_WORDS:
            self.clear()
        made = self[text] = from_hex(text)
        return made


_MOST_WORDS = 1 << 14
_words = _Words()
