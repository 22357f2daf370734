"""Bounds of what a history may hold: beyond them are numbers that no chain has."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from dexarb.core.block import Block, Transaction
from dexarb.core.token import Token
from dexarb.core.traffic import Traffic

MAX_UINT32, MAX_UINT64 = (1 << 32) - 1, (1 << 64) - 1
MAX_DECIMALS = 255
MAX_DIGITS = 90
_SELECTOR = re.compile("0x(?:[0-9a-f]{2}){0,4}")


def require_bounds(block: Block, transactions: Sequence[Transaction] = ()) -> None:
    """Raises ValueError for numbers that no chain has, and that fail wherever they are used."""
    for name, value, most in (
        ("number", block.number, MAX_UINT32),
        ("timestamp", block.timestamp, MAX_UINT32),
        ("seen_at", block.seen_at or 0, MAX_UINT32),
        ("base_fee_per_gas", block.base_fee_per_gas, MAX_UINT64),
        ("gas_used", block.gas_used, MAX_UINT64),
        ("gas_limit", block.gas_limit, MAX_UINT64),
    ):
        if not 0 <= value <= most:
            raise ValueError(f"block with a {name} that is out of bounds")
    for each in transactions:
        if not (
            0 <= each.index <= MAX_UINT32
            and 0 <= each.gas_used <= MAX_UINT64
            and 0 <= each.effective_gas_price <= MAX_UINT64
        ):
            raise ValueError("transaction with an index, gas or gas price that is out of bounds")
        if not 0 <= (each.nonce or 0) <= MAX_UINT64:
            raise ValueError("transaction with a nonce that is out of bounds")
        if each.selector is not None and not _SELECTOR.fullmatch(each.selector):
            raise ValueError("transaction with a selector that is none")


def require_decimals(tokens: Iterable[Token]) -> None:
    """Raises ValueError."""
    for token in tokens:
        if not 0 <= token.decimals <= MAX_DECIMALS:
            raise ValueError("token with decimals that are out of bounds")


def require_places(traffic: Traffic) -> None:
    """Raises ValueError for flows through pools that are not named, or of amounts that are none."""
    if any(not 0 <= index <= MAX_UINT32 for index in traffic.transfers or ()):
        raise ValueError("transfer with an index that is out of bounds")
    named = len(traffic.swaps)
    for flow in traffic.flows:
        if not all(0 <= place < named for place in flow.pools):
            raise ValueError("flow through a pool that its block does not name")
        for change in (*flow.sender, *flow.target):
            if not _is_amount(change.digits):
                raise ValueError("flow of an amount that is out of bounds")


def _is_amount(digits: str) -> bool:
    """No token has more than 256 bits, and no receipt so many transfers of it as to double that."""
    plain = digits.removeprefix("-")
    return len(plain) <= MAX_DIGITS and plain.isdecimal() and plain.isascii()
