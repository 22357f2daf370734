"""Trades for journals."""

from __future__ import annotations

from dexarb.core.sending import Intent, Signed, TransactionHash
from dexarb.core.token import Address
from dexarb.store.journal import SignedRaw
from tests.store import books

LANE = Address("0x" + "e1" * 20)


def trade(number: int) -> tuple[list[Intent], list[SignedRaw]]:
    """An intent and its transaction."""
    decision = books.decision(f"{number:016x}", books.block(number))
    signed = Signed(
        TransactionHash(f"0x{number:064x}"), LANE, number, decision.id, 10**30, 10**20, 400_000,
        number + 2, 1.0, 2.0,
    )  # fmt: skip
    return [Intent(decision, number, LANE)], [SignedRaw(signed, f"raw {number}".encode())]
