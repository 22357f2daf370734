"""What transactions have that their receipts do not: the sender's nonce, and what was called.

Believed as senders and targets are: they stand under no root that is checked here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import msgspec
from msgspec import structs

from dexarb.chain.decode import HexHash, Uint64
from dexarb.core.block import Transaction

BLOCK = "eth_getBlockByHash"
_SELECTOR = 10
"""Characters of 0x and four bytes in hexadecimal."""


class Call(NamedTuple):
    """selector: 0x and up to four bytes; 0x alone where nothing was called but a transfer made."""

    nonce: int
    selector: str


class Sent(msgspec.Struct, frozen=True, rename="camel"):
    """As nodes give a transaction; all else is passed over. input: called `data` by some."""

    hash: HexHash
    nonce: Uint64
    input: str | None = None
    data: str | None = None


class WholeBlock(msgspec.Struct, frozen=True):
    transactions: list[Sent]


def calls_of(block: WholeBlock) -> Mapping[str, Call]:
    """By the transaction's hash, without those that tell no calldata, or none in hexadecimal."""
    found = {}
    for each in block.transactions:
        selector = (each.input or each.data or "").lower()[:_SELECTOR]
        if selector[:2] == "0x" and len(selector) % 2 == 0 and is_hex(selector[2:]):
            found[each.hash.lower()] = Call(int(each.nonce, 16), selector)
    return found


def is_hex(text: str) -> bool:
    return all(each in "0123456789abcdef" for each in text)


def with_calls(
    transactions: Sequence[Transaction], calls: Mapping[str, Call]
) -> tuple[Transaction, ...]:
    """What is not told stays unknown."""
    return tuple(
        structs.replace(each, nonce=call.nonce, selector=call.selector)
        if (call := calls.get(each.hash)) is not None
        else each
        for each in transactions
    )
