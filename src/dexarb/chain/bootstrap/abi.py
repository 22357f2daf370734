"""The dynamic part of Solidity's ABI, for tokens and aggregates; pools have dexarb.amm.abi."""

from __future__ import annotations

from eth_hash.auto import keccak

WORD = 32


def selector(signature: str) -> bytes:
    """The first four bytes of a call: selector("decimals()")."""
    return keccak(signature.encode())[:4]


def padded(data: bytes) -> bytes:
    """Filled up with zeros to whole words, as the ABI stores bytes."""
    return data + bytes(-len(data) % WORD)


def uint_at(data: bytes, offset: int) -> int:
    """The word at a byte offset. Raises ValueError where the data ends before it."""
    piece = data[offset : offset + WORD]
    if offset < 0 or len(piece) != WORD:
        raise ValueError(f"ABI data of {len(data)} bytes has no word at {offset}")
    return int.from_bytes(piece, "big")


def bytes_at(data: bytes, offset: int) -> bytes:
    """Dynamic bytes whose length stands at a byte offset. Raises ValueError."""
    length = uint_at(data, offset)
    start = offset + WORD
    if start + length > len(data):
        raise ValueError(f"ABI data of {len(data)} bytes is too short for {length} at {start}")
    return data[start : start + length]


def decode_text(data: bytes) -> str:
    """A string, or the bytes32 that tokens of the first generation return.

    Only printable characters survive: anyone can write terminal codes into a symbol. Raises
    ValueError for what is no UTF-8 and where the data ends before the text.
    """
    raw = data if len(data) == WORD else bytes_at(data, uint_at(data, 0))
    text = raw.rstrip(b"\0").decode("utf-8")
    return "".join(character for character in text if character.isprintable()).strip()
