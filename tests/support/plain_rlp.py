"""RLP and the root of an ordered list, written to be read: another way than dexarb's own."""

from __future__ import annotations

from collections.abc import Sequence

from eth_hash.auto import keccak

Item = bytes | int | Sequence["Item"]

_DIGITS = "0123456789abcdef"


def rlp(item: Item) -> bytes:
    if isinstance(item, int):
        item = item.to_bytes((item.bit_length() + 7) // 8, "big")
    if isinstance(item, bytes) and len(item) == 1 and item[0] < 128:
        return item
    body, offset = (item, 128) if isinstance(item, bytes) else (b"".join(map(rlp, item)), 192)
    if len(body) < 56:
        return bytes([offset + len(body)]) + body
    size = f"{len(body):x}"
    size = "0" * (len(size) % 2) + size
    return bytes([offset + 55 + len(size) // 2]) + bytes.fromhex(size) + body


def list_root(values: Sequence[bytes]) -> bytes:
    """Of the trie of rlp(index) -> value, built over the keys' hexadecimal digits."""
    whole = {rlp(index).hex(): value for index, value in enumerate(values)}
    return keccak(rlp(_node(whole))) if whole else keccak(rlp(b""))


def _node(entries: dict[str, bytes]) -> list[Item]:
    first, *others = entries
    shared = 0
    while others and all(other[shared] == first[shared] for other in others):
        shared += 1
    if not others:
        return [_path(first, 2), entries[first]]
    if shared:
        rest = {key[shared:]: value for key, value in entries.items()}
        return [_path(first[:shared], 0), _link(rest)]
    below = [{k[1:]: v for k, v in entries.items() if k[0] == digit} for digit in _DIGITS]
    return [*(_link(each) if each else b"" for each in below), b""]


def _link(entries: dict[str, bytes]) -> Item:
    node = _node(entries)
    encoded = rlp(node)
    return node if len(encoded) < 32 else keccak(encoded)


def _path(digits: str, flag: int) -> bytes:
    return bytes.fromhex(f"{flag + 1}{digits}" if len(digits) % 2 else f"{flag}0{digits}")
