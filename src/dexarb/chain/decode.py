"""Headers, receipts and logs as nodes send them, and as the house knows them.

Headers and receipts carry patterns, so whatever msgspec accepts converts without errors. Logs are
checked when they are converted, because nearly all of a block's logs are of no interest.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Annotated

import msgspec

from dexarb.core.block import Block, Log, Transaction
from dexarb.core.token import Address

Quantity = Annotated[str, msgspec.Meta(pattern=r"^0x[0-9a-fA-F]{1,64}\Z")]
Hash = Annotated[str, msgspec.Meta(pattern=r"^0x[0-9a-fA-F]{64}\Z")]
Account = Annotated[str, msgspec.Meta(pattern=r"^0x[0-9a-fA-F]{40}\Z")]
Data = Annotated[str, msgspec.Meta(pattern=r"^0x(?:[0-9a-fA-F]{2})*\Z")]


class Header(msgspec.Struct, frozen=True, rename="camel"):
    """base_fee_per_gas is absent on chains without EIP-1559 and counts as zero there."""

    number: Quantity
    hash: Hash
    parent_hash: Hash
    timestamp: Quantity
    gas_used: Quantity
    gas_limit: Quantity
    base_fee_per_gas: Quantity | None = None


class EventLog(msgspec.Struct, frozen=True, rename="camel"):
    address: str
    topics: list[str]
    data: str
    block_hash: str
    transaction_index: str
    log_index: str


class Receipt(msgspec.Struct, frozen=True, rename="camel"):
    """effective_gas_price is left out by some nodes for transactions of the chain itself."""

    block_hash: Hash
    transaction_hash: Hash
    transaction_index: Quantity
    from_: Account = msgspec.field(name="from")
    gas_used: Quantity
    logs: list[EventLog]
    to: Account | None = None
    effective_gas_price: Quantity | None = None
    status: Quantity | None = None


def block(header: Header, seen_at: float | None = None) -> Block:
    return Block(
        number=int(header.number, 16),
        hash=header.hash.lower(),
        parent_hash=header.parent_hash.lower(),
        timestamp=int(header.timestamp, 16),
        base_fee_per_gas=int(header.base_fee_per_gas or "0x0", 16),
        gas_used=int(header.gas_used, 16),
        gas_limit=int(header.gas_limit, 16),
        seen_at=seen_at,
    )


def transactions(receipts: Iterable[Receipt]) -> tuple[Transaction, ...]:
    """In block order."""
    found = [
        Transaction(
            index=int(receipt.transaction_index, 16),
            hash=receipt.transaction_hash.lower(),
            sender=Address(receipt.from_.lower()),
            to=None if receipt.to is None else Address(receipt.to.lower()),
            effective_gas_price=int(receipt.effective_gas_price or "0x0", 16),
            gas_used=int(receipt.gas_used, 16),
            succeeded=receipt.status is None or int(receipt.status, 16) != 0,
        )
        for receipt in receipts
    ]
    return tuple(sorted(found, key=lambda transaction: transaction.index))


def logs(
    events: Iterable[EventLog], addresses: Collection[Address], topics: Collection[bytes]
) -> tuple[Log, ...]:
    """The events of these contracts whose first topic is one of these, in log order.

    Raises ValueError where one of these contracts' events is malformed.
    """
    found = [_log(event) for event in events if event.address.lower() in addresses]
    wanted = (log for log in found if log.topics and log.topics[0] in topics)
    return tuple(sorted(wanted, key=lambda log: log.log_index))


def belong_to(events: Sequence[Receipt] | Sequence[EventLog], block_hash: str) -> bool:
    """Whether receipts or logs are those of the block they were asked for."""
    return all(event.block_hash.lower() == block_hash for event in events)


def _log(event: EventLog) -> Log:
    topics = tuple(_bytes(topic) for topic in event.topics)
    if any(len(topic) != 32 for topic in topics):
        raise ValueError("a topic is not 32 bytes long")
    return Log(
        address=Address(event.address.lower()),
        topics=topics,
        data=_bytes(event.data),
        transaction_index=int(event.transaction_index, 16),
        log_index=int(event.log_index, 16),
    )


def _bytes(text: str) -> bytes:
    if not text.startswith("0x"):
        raise ValueError("hexadecimal data begins with 0x")
    return bytes.fromhex(text[2:])
