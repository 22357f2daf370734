"""What the chain itself did with a spread that a strategy wanted. Never changes a fill."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dexarb.core.block import BlockHash
from dexarb.core.route import Cycle
from dexarb.core.token import Address

PERSISTS_AFTER_BLOCKS = 64


class Outcome(StrEnum):
    """taken: the cycle closed, and the first transaction that moved its pools was an arbitrage.
    vanished: it closed otherwise. persisted: it was open at every block's end for 64 blocks."""

    TAKEN = "taken"
    VANISHED = "vanished"
    PERSISTED = "persisted"


@dataclass(frozen=True, slots=True)
class Mover:
    """The first transaction after the decision's block that moved one of the cycle's pools.

    place: its index in the block. The rest is None where the node gave no receipts. paid: gas used
    times effective gas price, in wei.
    """

    block_number: int
    block_hash: BlockHash
    place: int
    transaction: str | None = None
    sender: Address | None = None
    to: Address | None = None
    paid: int | None = None


@dataclass(frozen=True, slots=True)
class Evidence:
    """About the episode of a cycle that was open at the end of a block.

    closed_after: blocks until it was closed at a block end, None where it persisted. mover: None
    where no transaction touched the pools. gain: of an arbitrage, in smallest units of gain_token;
    None as well where one transaction did more than that, so that its gain cannot be told.
    """

    cycle: Cycle
    block_number: int
    block_hash: BlockHash
    outcome: Outcome
    closed_after: int | None
    mover: Mover | None
    gain_token: Address | None = None
    gain: int | None = None
