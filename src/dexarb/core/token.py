"""Tokens and addresses."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import combinations
from typing import NewType

from dexarb.errors import InvalidAddress

Address = NewType("Address", str)
"""A 20-byte address: 0x and 40 lower-case hexadecimal digits. The key of pools and tokens."""

_ADDRESS = re.compile(r"0x[0-9a-fA-F]{40}")


def to_address(text: str) -> Address:
    """Normalise an address. Raises InvalidAddress.

    The EIP-55 checksum is not enforced: configuration files are copied from many sources.
    """
    if not _ADDRESS.fullmatch(text):
        raise InvalidAddress(text)
    return Address(text.lower())


def address_from_word(word: bytes) -> Address:
    """The address in the low 20 bytes of a 32-byte ABI word."""
    return Address("0x" + word[-20:].hex())


Pair = tuple[Address, Address]
"""Two tokens in ascending order of address."""


def pair_of(one: Address, other: Address) -> Pair:
    return (one, other) if one < other else (other, one)


def pairs_of(tokens: Iterable[Address]) -> list[Pair]:
    """All that a pool of these tokens trades."""
    return [pair_of(one, other) for one, other in combinations(tokens, 2)]


def short(address: str) -> str:
    """`0x12345678..abcdef`"""
    return f"{address[:10]}..{address[-6:]}"


@dataclass(frozen=True, slots=True)
class Token:
    """An ERC-20 token as its contract describes itself.

    Symbols are for people, never keys; anyone can write anything into one. decimals: 0 to 77.
    """

    chain_id: int
    address: Address
    symbol: str
    decimals: int
