"""Blocks and what the collector receives with each of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, NewType

import msgspec

from dexarb.core.token import Address
from dexarb.core.traffic import Traffic

BlockHash = NewType("BlockHash", str)
"""0x and 64 lower-case hexadecimal digits. What a node sends is none before it is decoded."""


NO_ENTRY = -(1 << 63)
"""Stands before every entry of a history: the `seq` of none."""


class BlockRef(NamedTuple):
    """Which block: its number, and the hash that says which one of that number."""

    number: int
    hash: BlockHash


@dataclass(frozen=True, slots=True)
class Block:
    """A block header.

    timestamp: UNIX seconds of the chain. seen_at: UNIX seconds at which the collector heard of
    the block live, None where it was backfilled or imported. Fees and gas in wei and gas units.
    """

    number: int
    hash: BlockHash
    parent_hash: BlockHash
    timestamp: int
    base_fee_per_gas: int
    gas_used: int
    gas_limit: int
    seen_at: float | None = None


class Log(msgspec.Struct, frozen=True, gc=False):
    """An event of a contract. transaction_index and log_index count within the block.

    A struct, as transactions are: a history has tens of them a block, and hundreds of these. They
    are made in a tenth of the time of dataclasses. gc: nothing in them can be part of a cycle.
    """

    address: Address
    topics: tuple[bytes, ...]
    data: bytes
    transaction_index: int
    log_index: int


class Transaction(msgspec.Struct, frozen=True, gc=False, omit_defaults=True):
    """A transaction with its receipt, failed ones included. Prices in wei per gas.

    type: after EIP-2718, 0 for legacy ones; None where nobody kept it (histories before schema 4).
    nonce: the sender's. selector: the first four bytes of its calldata as 0x-hex, fewer where there
    are no more. Both are None where nobody kept them, as is the rule.
    """

    index: int
    hash: str
    sender: Address
    to: Address | None
    effective_gas_price: int
    gas_used: int
    succeeded: bool
    type: int | None = None
    nonce: int | None = None
    selector: str | None = None


@dataclass(frozen=True, slots=True)
class BlockUpdate:
    """One block as it arrived: entry `seq` of the history.

    logs: those of the collected pools, in log order. transactions: all of the block in order, or
    empty where the node gives no receipts (`has_receipts` is false then).

    witnesses: how many endpoints had named the block's hash when its contents were proven to
    belong to it; 0 where that cannot be proven (the block is `unproven`), None where nobody tried
    (histories of schema 1). One witness makes a block `consistent`, more make it `proven`. Who
    names a block names its ancestors, so later blocks of a branch witness for earlier ones.
    backfilled: it was fetched after its time; nobody here could have traded on it.
    producer: who made the block, by the seal of its header or by its name there; None where it has
    neither. traffic: the swaps of all pools; None without receipts. Both are None in histories
    before schema 4.
    """

    seq: int
    block: Block
    logs: tuple[Log, ...]
    transactions: Sequence[Transaction]
    has_receipts: bool = True
    witnesses: int | None = None
    backfilled: bool = False
    producer: Address | None = None
    traffic: Traffic | None = None
