"""Block hashes and receipts roots, computed from what they stand for.

Source: the Yellow Paper, appendices B (RLP), C (hexadecimal prefix) and D (Merkle Patricia trie)
and section 4.3; typed receipts after EIP-2718. A list is put into the trie under rlp(index), so
its root can be built from the sorted keys, without a database. `encode_list` takes encoded items.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache, reduce
from operator import or_

from eth_hash.backends.pysha3 import keccak256 as keccak


def _head(size: int, short: int) -> bytes:
    """What stands before so many bytes; short is 0x80 for a string and 0xc0 for a list."""
    if size < 56:
        return bytes((short + size,))
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((short + 55 + len(length),)) + length


def encode_bytes(value: bytes) -> bytes:
    if len(value) == 1 and value[0] < 0x80:
        return value
    return _head(len(value), 0x80) + value


def encode_uint(value: int) -> bytes:
    return encode_bytes(value.to_bytes((value.bit_length() + 7) // 8, "big"))


def encode_list(items: Iterable[bytes]) -> bytes:
    payload = b"".join(items)
    return _head(len(payload), 0xC0) + payload


def block_hash(fields: Sequence[int | bytes | None]) -> bytes:
    """The hash of a header with these fields in the chain's order.

    None is a field that the block does not have: left out at the end, empty between others.
    """
    last = max((place for place, field in enumerate(fields) if field is not None), default=-1)
    there = [
        encode_uint(each) if isinstance(each, int) else encode_bytes(each or b"")
        for each in fields[: last + 1]
    ]
    return keccak(encode_list(there))


def encode_log(address: bytes, topics: Sequence[bytes], data: bytes) -> bytes:
    """address has 20 bytes and each topic 32."""
    named = b"".join([b"\xa0" + topic for topic in topics])
    payload = b"\x94" + address + _head(len(named), 0xC0) + named + encode_bytes(data)
    return _head(len(payload), 0xC0) + payload


def encode_receipt(
    kind: int, outcome: int | bytes, cumulative_gas: int, logs_bloom: bytes, logs: Iterable[bytes]
) -> bytes:
    """kind: the transaction's type, 0 for legacy. outcome: the status, or an old state root."""
    first = encode_uint(outcome) if isinstance(outcome, int) else encode_bytes(outcome)
    gas, bits = encode_uint(cumulative_gas), encode_bytes(logs_bloom)
    body = encode_list((first, gas, bits, encode_list(logs)))
    return bytes((kind,)) + body if kind else body


def list_root(values: Sequence[bytes]) -> bytes:
    """The trie's root over an ordered list, such as a block's receipts."""
    if not values:
        return keccak(b"\x80")
    # No key is the beginning of another one, so a branch never holds a value itself.
    leaves = sorted((_nibbles(encode_uint(index)), value) for index, value in enumerate(values))
    return keccak(_node(leaves, 0))


def _node(leaves: Sequence[tuple[bytes, bytes]], depth: int) -> bytes:
    """The encoded node over leaves that share their first `depth` nibbles."""
    first, last = leaves[0][0], leaves[-1][0]
    if len(leaves) == 1:
        return encode_list((_path(first[depth:], leaf=True), encode_bytes(leaves[0][1])))
    fork = depth
    while first[fork] == last[fork]:
        fork += 1
    if fork > depth:
        return encode_list((_path(first[depth:fork], leaf=False), _link(_node(leaves, fork))))
    below = [[leaf for leaf in leaves if leaf[0][depth] == nibble] for nibble in range(16)]
    links = [_link(_node(each, depth + 1)) if each else b"\x80" for each in below]
    return encode_list((*links, b"\x80"))


def _link(node: bytes) -> bytes:
    """How a node stands in the one above it: small ones whole, others by their hash."""
    return node if len(node) < 32 else b"\xa0" + keccak(node)


def _path(nibbles: bytes, *, leaf: bool) -> bytes:
    padded = (2 * leaf + 1, *nibbles) if len(nibbles) % 2 else (2 * leaf, 0, *nibbles)
    return encode_bytes(bytes(16 * a + b for a, b in zip(padded[::2], padded[1::2], strict=True)))


def _nibbles(key: bytes) -> bytes:
    """Half bytes, the high one first."""
    return bytes(nibble for byte in key for nibble in (byte >> 4, byte & 15))


@lru_cache(maxsize=8192)
def _bloom_bits(item: bytes) -> int:
    digest = keccak(item)
    first, second, third = (int.from_bytes(digest[at : at + 2], "big") for at in (0, 2, 4))
    return 1 << first % 2048 | 1 << second % 2048 | 1 << third % 2048


def bloom(items: Iterable[bytes]) -> int:
    """The bits that addresses and topics set in a bloom of 2,048: three each, some alike."""
    return reduce(or_, map(_bloom_bits, items), 0)
