"""Headers, receipts and logs as nodes send them, and as the house knows them.

All numbers are bounded where they are read, so that nothing a node says can be too large for what
comes after. Receipts carry patterns, so whatever msgspec accepts converts without errors. Logs are
checked when they are converted, because nearly all of a block's logs are of no interest.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec

from dexarb.chain import proof
from dexarb.chain.seal import Seal, seal_of
from dexarb.core.block import Block, BlockHash, Log, Transaction
from dexarb.core.profile import ETHEREUM_HEADER
from dexarb.core.token import Address
from dexarb.errors import Refused

JsonObject = dict[str, Any]

Uint32 = Annotated[str, msgspec.Meta(pattern=r"^0x0*[0-9a-fA-F]{1,8}\Z")]
Uint64 = Annotated[str, msgspec.Meta(pattern=r"^0x0*[0-9a-fA-F]{1,16}\Z")]
"""Below 2^32, below 2^64. Nodes may send leading zeros."""
TransactionType = Annotated[str, msgspec.Meta(pattern=r"^0x0*[0-9a-fA-F]{1,2}\Z")]
HexHash = Annotated[str, msgspec.Meta(pattern=r"^0x[0-9a-fA-F]{64}\Z")]
HexAddress = Annotated[str, msgspec.Meta(pattern=r"^0x[0-9a-fA-F]{40}\Z")]
Data = Annotated[str, msgspec.Meta(pattern=r"^0x(?:[0-9a-fA-F]{2})*\Z")]

_LAST_FIRST_FIELD = "nonce"
"""Every header has the fields up to this one; those behind it came with forks."""
_BITS = {
    "number": 32, "timestamp": 32, "difficulty": 256, "gasLimit": 64, "gasUsed": 64,
    "baseFeePerGas": 64, "blobGasUsed": 64, "excessBlobGas": 64,
}  # fmt: skip
_SIZES = {"miner": 20, "logsBloom": 256, "nonce": 8, "extraData": None}
"""In bytes, where it is not 32; extraData may be of any size."""
_BESIDE_THE_HEADER = frozenset(
    {"hash", "size", "totalDifficulty", "transactions", "uncles", "withdrawals"}
)
"""What nodes send with a header that its hash is not made of."""


_QUANTITY = re.compile(r"0x[0-9a-fA-F]+\Z").match


@dataclass(frozen=True, slots=True)
class Header:
    """A header as a node sent it.

    logs_bloom, receipts_root and transaction_count are None where the node left them out
    (pushed headers have no transactions).

    miner: whom it names for the block, None where it names nobody. seal: where the chain's headers
    are sealed, and this one is.

    hash_matches: True if the hash is that of these fields; False if it is not although all fields
    were known; None where that cannot be told, since one is missing or unknown.
    """

    block: Block
    logs_bloom: int | None
    receipts_root: str | None
    transaction_count: int | None
    hash_matches: bool | None
    miner: Address | None = None
    seal: Seal | None = None

    def producer(self) -> Address | None:
        """Who made the block: who sealed it, else whom it names."""
        return self.miner if self.seal is None else self.seal.signer()


class EventLog(msgspec.Struct, frozen=True, rename="camel"):
    """block_number and transaction_hash are left out by minimal nodes."""

    address: str
    topics: list[str]
    data: str
    block_hash: str
    transaction_index: str
    log_index: str
    block_number: str | None = None
    transaction_hash: str | None = None


class Receipt(msgspec.Struct, frozen=True, rename="camel"):
    """effective_gas_price is left out by some nodes for transactions of the chain itself, what
    only a proof needs by minimal nodes. root: the state root that old receipts have instead of a
    status; some nodes send an empty one beside it. l1_fee and what follows: of rollups alone, and
    under no root.
    """

    block_hash: HexHash
    transaction_hash: HexHash
    transaction_index: Uint32
    from_: HexAddress = msgspec.field(name="from")
    gas_used: Uint64
    logs: list[EventLog]
    to: HexAddress | None = None
    effective_gas_price: Uint64 | None = None
    status: Uint32 | None = None
    block_number: Uint32 | None = None
    type: TransactionType | None = None
    cumulative_gas_used: Uint64 | None = None
    logs_bloom: str | None = None
    root: str | None = None
    l1_fee: str | None = None
    l1_gas_used: str | None = None
    gas_used_for_l1: str | None = None

    @property
    def pays_for_l1(self) -> bool:
        """Whether it paid for data on another chain besides its gas: what rollups of the OP Stack,
        Scroll and Arbitrum name in their receipts. A fee that is told decides, also one of 0."""
        told = (self.l1_gas_used, self.gas_used_for_l1) if self.l1_fee is None else (self.l1_fee,)
        return any(each is not None and each.lower().strip("0x") for each in told)

    @property
    def kind(self) -> int:
        """The transaction's type after EIP-2718, 0 for legacy ones."""
        return int(self.type or "0x0", 16)

    @property
    def is_the_chains_own(self) -> bool:
        """Whether it is one of the chain itself, such as Polygon's state-sync."""
        return (
            int(self.gas_used, 16) == 0
            and int(self.from_, 16) == 0
            and self.to is not None
            and int(self.to, 16) == 0
        )


def header(
    answer: Mapping[str, Any],
    method: str,
    fields: Sequence[str] = ETHEREUM_HEADER,
    *,
    is_sealed: bool = False,
) -> Header:
    """The header in a node's answer to a method.

    fields: what the chain's block hash is made of, in order. is_sealed: producers of this chain
    sign their headers. Raises Refused if it is malformed.
    """
    try:
        return _header(answer, fields, is_sealed=is_sealed)
    except ValueError as error:
        raise Refused(method, f"malformed header: {error}") from None


def _header(answer: Mapping[str, Any], fields: Sequence[str], *, is_sealed: bool) -> Header:
    ints = {
        name: number(answer[name], bits, name)
        for name, bits in _BITS.items()
        if answer.get(name) is not None
    }
    rest = {
        name: octets(answer[name], _SIZES.get(name, 32), name)
        for name in fields
        if name not in _BITS and answer.get(name) is not None
    }
    values: dict[str, int | bytes] = {**ints, **rest}
    own_hash = octets(answer.get("hash"), 32, "hash")
    try:
        block = Block(
            number=ints["number"],
            hash=BlockHash(_hex(own_hash)),
            parent_hash=BlockHash(_hex(rest["parentHash"])),
            timestamp=ints["timestamp"],
            base_fee_per_gas=ints.get("baseFeePerGas", 0),
            gas_used=ints["gasUsed"],
            gas_limit=ints["gasLimit"],
        )
    except KeyError as missing:
        raise ValueError(f"without {missing.args[0]}") from None
    logs_bloom, receipts_root = rest.get("logsBloom"), rest.get("receiptsRoot")
    transactions = answer.get("transactions")
    return Header(
        block,
        logs_bloom=None if logs_bloom is None else int.from_bytes(logs_bloom, "big"),
        receipts_root=None if receipts_root is None else _hex(receipts_root),
        transaction_count=len(transactions) if isinstance(transactions, list) else None,
        hash_matches=_hash_matches(answer, fields, values, own_hash),
        miner=Address(_hex(rest["miner"])) if any(rest.get("miner", b"")) else None,
        seal=seal_of(values, fields) if is_sealed else None,
    )


def _hash_matches(
    answer: Mapping[str, Any],
    fields: Sequence[str],
    values: Mapping[str, int | bytes],
    own_hash: bytes,
) -> bool | None:
    if proof.block_hash([values.get(name) for name in fields]) == own_hash:
        return True
    given = [name in values for name in fields]
    first = fields.index(_LAST_FIRST_FIELD) + 1 if _LAST_FIRST_FIELD in fields else len(fields)
    complete = all(given[:first]) and given == sorted(given, reverse=True)
    return False if complete and not strange_fields(answer, fields) else None


def strange_fields(answer: Mapping[str, Any], fields: Sequence[str]) -> list[str]:
    """Names in a header's JSON that are none of these fields and not known to stand beside them."""
    known = _BESIDE_THE_HEADER.union(fields)
    return sorted(name for name, value in answer.items() if value is not None and name not in known)


def number(text: object, bits: int, name: str) -> int:
    """A quantity below 2^bits. Raises ValueError."""
    if not isinstance(text, str) or not _QUANTITY(text):
        raise ValueError(f"{name} is no quantity")
    digits = text[2:].lstrip("0")
    if len(digits) * 4 > bits:
        raise ValueError(f"{name} is not below 2^{bits}")
    return int(digits or "0", 16)


def octets(text: object, size: int | None, name: str) -> bytes:
    """Hexadecimal data of so many bytes, of any number for None. Raises ValueError."""
    if isinstance(text, str) and text[:2] == "0x":
        found = bytes.fromhex(text[2:])
        # Too few bytes for the text: there were blanks in it.
        if 2 * len(found) + 2 == len(text) and (size is None or size == len(found)):
            return found
    raise ValueError(f"{name} is not {size or 'any number of'} bytes in hexadecimal")


def transaction(receipt: Receipt) -> Transaction:
    return Transaction(
        index=int(receipt.transaction_index, 16),
        hash=receipt.transaction_hash.lower(),
        sender=Address(receipt.from_.lower()),
        to=None if receipt.to is None else Address(receipt.to.lower()),
        effective_gas_price=int(receipt.effective_gas_price or "0x0", 16),
        gas_used=int(receipt.gas_used, 16),
        succeeded=receipt.status is None or int(receipt.status, 16) != 0,
        type=receipt.kind,
    )


def transactions(receipts: Iterable[Receipt]) -> tuple[Transaction, ...]:
    """In block order."""
    return tuple(sorted(map(transaction, receipts), key=lambda transaction: transaction.index))


def logs(
    events: Iterable[EventLog], addresses: Collection[Address], topics: Collection[bytes]
) -> tuple[Log, ...]:
    """The events of these contracts whose first topic is one of these, in log order.

    Raises ValueError where one of these contracts' events is malformed.
    """
    found = [
        log(event, number(event.log_index, 32, "logIndex"))
        for event in events
        if event.address.lower() in addresses
    ]
    wanted = (log for log in found if log.topics and log.topics[0] in topics)
    return tuple(sorted(wanted, key=lambda log: log.log_index))


def log(event: EventLog, log_index: int) -> Log:
    """Raises ValueError."""
    return Log(
        address=Address(event.address.lower()),
        topics=tuple([octets(topic, 32, "a topic") for topic in event.topics]),
        data=octets(event.data, None, "the data"),
        transaction_index=number(event.transaction_index, 32, "transactionIndex"),
        log_index=log_index,
    )


def encoded_log(event: EventLog) -> bytes:
    """As a receipts root knows it. Raises ValueError."""
    return proof.encode_log(
        octets(event.address, 20, "an address"),
        [octets(topic, 32, "a topic") for topic in event.topics],
        octets(event.data, None, "the data"),
    )


def encoded_receipt(receipt: Receipt) -> bytes | None:
    """As a receipts root knows it, None where it lacks a field. Raises ValueError."""
    if receipt.cumulative_gas_used is None or receipt.logs_bloom is None:
        return None
    outcome: int | bytes
    if receipt.status is not None:
        outcome = int(receipt.status, 16)
    elif receipt.root is not None:
        outcome = octets(receipt.root, 32, "root")
    else:
        return None
    return proof.encode_receipt(
        receipt.kind,
        outcome,
        int(receipt.cumulative_gas_used, 16),
        octets(receipt.logs_bloom, 256, "logsBloom"),
        [encoded_log(event) for event in receipt.logs],
    )


def _hex(value: bytes) -> str:
    return "0x" + value.hex()
