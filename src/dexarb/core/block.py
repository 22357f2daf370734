"""Blocks and what the collector receives with each of them."""

from __future__ import annotations

from dataclasses import dataclass

from dexarb.core.token import Address


@dataclass(frozen=True, slots=True)
class Block:
    """A block header.

    timestamp: UNIX seconds of the chain. seen_at: UNIX seconds at which the collector heard of
    the block live, None where it was backfilled or imported. Fees and gas in wei and gas units.
    """

    number: int
    hash: str
    parent_hash: str
    timestamp: int
    base_fee_per_gas: int
    gas_used: int
    gas_limit: int
    seen_at: float | None = None


@dataclass(frozen=True, slots=True)
class Log:
    """An event of a contract. transaction_index and log_index count within the block."""

    address: Address
    topics: tuple[bytes, ...]
    data: bytes
    transaction_index: int
    log_index: int


@dataclass(frozen=True, slots=True)
class Transaction:
    """A transaction with its receipt, failed ones included. Prices in wei per gas."""

    index: int
    hash: str
    sender: Address
    to: Address | None
    effective_gas_price: int
    gas_used: int
    succeeded: bool


@dataclass(frozen=True, slots=True)
class BlockUpdate:
    """One block as it arrived: entry `seq` of the history.

    logs: those of the collected pools, in log order. transactions: all of the block in order, or
    empty where the node gives no receipts (`has_receipts` is false then).
    """

    seq: int
    block: Block
    logs: tuple[Log, ...]
    transactions: tuple[Transaction, ...]
    has_receipts: bool = True
