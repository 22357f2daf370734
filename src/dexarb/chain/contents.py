"""From a header and what a node answered to the contents of a block, or to a refusal.

Receipts are proven by the header's receiptsRoot. What cannot be proven, because a field is missing
or unknown, has to agree with the header as far as it goes: gas, counts, indexes, blooms. A bloom
proves absence only.

The root covers types, outcomes, cumulative gas, blooms and logs. Senders, targets, prices and
transaction hashes are those of the transactions, which are not fetched: they are believed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dexarb.chain import decode, proof
from dexarb.chain.decode import EventLog, Header, Receipt
from dexarb.chain.flows import traffic_of
from dexarb.core.block import Block, Log, Transaction
from dexarb.core.pool import Pool
from dexarb.core.token import Address
from dexarb.core.traffic import Traffic
from dexarb.errors import Refused

RECEIPTS, LOGS = "eth_getBlockReceipts", "eth_getLogs"
KNOWN_TYPES = frozenset(range(5))
"""Transaction types whose receipts are encoded alike on every chain, up to EIP-7702's."""
MAX_FALSE_ADMISSIONS = 0.1
"""Where more watched pools than this are expected in a bloom by chance it says nothing of one."""

_BLOOM_BITS = 2048


class Events(NamedTuple):
    """First topics of a contract's events: those that change it, those known to change nothing."""

    changing: frozenset[bytes]
    quiet: frozenset[bytes] = frozenset()

    def with_those_of(self, other: Events) -> Events:
        """Of a contract that holds pools of both kinds."""
        if other is self:
            return self
        changing = self.changing | other.changing
        return Events(changing, (self.quiet | other.quiet) - changing)


class Watched:
    """The contracts whose events count: pools, or where many pools are.

    topics: of all events that change a pool.
    """

    def __init__(self, pools: Mapping[Address, Events]) -> None:
        self.pools = dict(pools)
        self.topics = frozenset[bytes]().union(*(each.changing for each in pools.values()))
        self._blooms: dict[Address, int] = {}
        self._topic_blooms = {topic: proof.bloom([topic]) for topic in self.topics}

    @classmethod
    def of(cls, pools: Iterable[Pool]) -> Watched:
        kinds: dict[type[Pool], Events] = {}
        watched: dict[Address, Events] = {}
        for pool in pools:
            events = kinds.setdefault(type(pool), Events(pool.topics, pool.quiet_topics))
            watched[pool.address] = watched.get(pool.address, events).with_those_of(events)
        return cls(watched)

    def admitted(self, bloom: int) -> tuple[frozenset[Address], float]:
        """Pools that may have an event in a block with this bloom, and how many are expected to
        be among them by chance.

        A pool is admitted with its address and one of its topics. Each of the three bits of an
        address is set by chance as often as bits of the bloom are; what topics are admitted is
        known, so they count as they are.
        """
        if not self._blooms:
            self._blooms = {pool: proof.bloom([bytes.fromhex(pool[2:])]) for pool in self.pools}
        topics = {topic for topic, bits in self._topic_blooms.items() if bits & ~bloom == 0}
        possible = [pool for pool, known in self.pools.items() if known.changing & topics]
        by_chance = len(possible) * (bloom.bit_count() / _BLOOM_BITS) ** 3
        return frozenset(pool for pool in possible if self._blooms[pool] & ~bloom == 0), by_chance


@dataclass(frozen=True, slots=True)
class Contents:
    """What happened in a block to the watched pools.

    logs: of events that change them, in block order; log_index counts over the block.
    transactions: all of them in order, empty where only logs were to be had. is_proven: all of it
    belongs to the block's hash, and nothing is missing.

    unknown_events: (pool, first topic) of watched pools' events that nobody knows; a pool that has
    them may be none of its kind. admitted: watched pools of which the bloom says that there may be
    a log although none came. It is empty where the bloom is too full to say that.

    traffic: swaps of all pools, None where only logs were to be had.
    """

    logs: tuple[Log, ...]
    transactions: tuple[Transaction, ...]
    has_receipts: bool
    is_proven: bool
    unknown_events: frozenset[tuple[Address, bytes]] = frozenset()
    admitted: frozenset[Address] = frozenset()
    traffic: Traffic | None = None


def check_header(header: Header, method: str, *, proven_before: bool) -> None:
    """Whether a header can be used at all. Raises Refused.

    proven_before: headers of this chain have been proven by their hash, so one that does not match
    is false. Otherwise the chain may make its hashes in another way.
    """
    if header.hash_matches is False and proven_before:
        raise Refused(method, "the header does not belong to its hash")


# -- receipts ------------------------------------------------------------------------------------


def of_receipts(header: Header, receipts: Sequence[Receipt], watched: Watched) -> Contents:
    """What the receipts of a block say. Raises Refused where that cannot be true."""
    ordered = sorted(receipts, key=lambda receipt: int(receipt.transaction_index, 16))
    own = ordered[-1] if ordered and ordered[-1].is_the_chains_own else None
    try:
        _check_places(header, ordered, own)
        _check_gas(header.block, ordered, own)
        covered = _covered(header, ordered, own)
        if covered is None:
            _check_blooms(header, ordered, own)
        logs, unknown = _logs_of(ordered, watched)
        traffic = traffic_of(ordered)
    except ValueError as error:
        raise Refused(RECEIPTS, f"malformed: {error}") from None
    outside = bool(logs) and covered is not None and logs[-1].transaction_index >= covered
    return Contents(
        logs,
        tuple(map(decode.transaction, ordered)),
        has_receipts=True,
        is_proven=header.hash_matches is True and covered is not None and not outside,
        unknown_events=unknown,
        traffic=traffic,
    )


def _check_places(header: Header, ordered: Sequence[Receipt], own: Receipt | None) -> None:
    """Every receipt and log is in the block and in its place, and none is missing or too much."""
    block = header.block
    for place, receipt in enumerate(ordered):
        if receipt.block_hash.lower() != block.hash:
            raise Refused(RECEIPTS, "a receipt of another block")
        if receipt.block_number is not None and int(receipt.block_number, 16) != block.number:
            raise Refused(RECEIPTS, "a receipt with another block's number")
        if int(receipt.transaction_index, 16) != place:
            raise Refused(RECEIPTS, f"transaction indexes are not 0 to {len(ordered) - 1}")
        for event in receipt.logs:
            _check_place(event, receipt, block)
    if len({receipt.transaction_hash.lower() for receipt in ordered}) != len(ordered):
        raise Refused(RECEIPTS, "a transaction stands twice")
    count = header.transaction_count
    if count is None or count == len(ordered):
        return
    # The chain's own one is not always listed, nor always given; without gas, or it would be
    # missed in the sum.
    if count != len(ordered) + 1 and not (own is not None and count == len(ordered) - 1):
        raise Refused(RECEIPTS, f"{len(ordered)} receipts for {count} transactions")


def _check_place(event: EventLog, receipt: Receipt, block: Block) -> None:
    if not _same_text(event.block_hash, receipt.block_hash):
        raise Refused(RECEIPTS, "a log of another block")
    number, index, name = event.block_number, event.transaction_index, event.transaction_hash
    if number is not None and not _same_number(number, receipt.block_number or hex(block.number)):
        raise Refused(RECEIPTS, "a log with another block's number")
    if not _same_number(index, receipt.transaction_index):
        raise Refused(RECEIPTS, "a log with another transaction's index")
    if name is not None and not _same_text(name, receipt.transaction_hash):
        raise Refused(RECEIPTS, "a log of another transaction")


def _same_text(text: str, other: str) -> bool:
    return text == other or text.lower() == other.lower()


def _same_number(text: str, other: str) -> bool:
    return text == other or decode.number(text, 32, "a number") == int(other, 16)


def _check_gas(block: Block, ordered: Sequence[Receipt], own: Receipt | None) -> None:
    total = 0
    for receipt in ordered:
        total += int(receipt.gas_used, 16)
        if receipt is own:
            continue  # some nodes give it no cumulative gas and no price
        if int(receipt.cumulative_gas_used or hex(total), 16) != total:
            raise Refused(RECEIPTS, "cumulative gas that is not the sum of the gas used")
        # Types of single chains, and senders that pay nothing, have rules of their own.
        price = int(receipt.effective_gas_price or "0x0", 16)
        if 0 < price < block.base_fee_per_gas and receipt.kind in KNOWN_TYPES:
            raise Refused(RECEIPTS, "a gas price below the base fee")
    if total != block.gas_used:
        raise Refused(RECEIPTS, f"{total} gas used in receipts, {block.gas_used} in the block")


def _covered(header: Header, ordered: Sequence[Receipt], own: Receipt | None) -> int | None:
    """How many of the receipts the header's receiptsRoot covers: all, or all but the chain's own
    last one, which chains like Polygon once kept beside the root. None where that cannot be told.
    """
    if header.receipts_root is None:
        return None
    encoded = [decode.encoded_receipt(receipt) for receipt in ordered]
    whole = [each for each in encoded if each is not None]
    if len(whole) == len(ordered):
        for count in (len(whole), len(whole) - 1) if own is not None else (len(whole),):
            if "0x" + proof.list_root(whole[:count]).hex() == header.receipts_root:
                return count
    known = all(each.type is not None and each.kind in KNOWN_TYPES for each in ordered)
    if header.hash_matches and known and len(whole) == len(ordered):
        raise Refused(RECEIPTS, "receipts other than those of the block's receiptsRoot")
    return None


def _check_blooms(header: Header, ordered: Sequence[Receipt], own: Receipt | None) -> None:
    """What remains to be checked of receipts that cannot be proven."""
    union = before_last = 0
    for receipt in ordered:
        before_last = union
        bits = bloom_of(receipt.logs)
        union |= bits
        if receipt.logs_bloom is not None and _bits(receipt.logs_bloom) != bits:
            raise Refused(RECEIPTS, "a receipt's logs are not those of its logsBloom")
        if len({event.log_index for event in receipt.logs}) != len(receipt.logs):
            raise Refused(RECEIPTS, "a log stands twice")
    allowed = {None, union} if own is None else {None, union, before_last}
    if header.logs_bloom not in allowed:
        raise Refused(RECEIPTS, "logs other than those of the block's logsBloom")


def _bits(logs_bloom: str) -> int:
    return int.from_bytes(decode.octets(logs_bloom, 256, "logsBloom"), "big")


def bloom_of(events: Iterable[EventLog]) -> int:
    """Distinct items once: most of a block's logs are transfers of a few tokens."""
    items = {text for event in events for text in (event.address, *event.topics)}
    return proof.bloom(decode.octets(text, None, "an address or topic") for text in items)


def _logs_of(
    ordered: Sequence[Receipt], watched: Watched
) -> tuple[tuple[Log, ...], frozenset[tuple[Address, bytes]]]:
    """Logs in the order of transactions and of their places in the receipt: a node's own logIndex
    may start again in every transaction."""
    logs: list[Log] = []
    unknown: set[tuple[Address, bytes]] = set()
    events = [event for receipt in ordered for event in receipt.logs]
    for place, event in enumerate(events):
        known = watched.pools.get(Address(event.address.lower()))
        if known is None:
            continue
        log = decode.log(event, place)
        topic = log.topics[0] if log.topics else b""
        if topic in known.changing:
            logs.append(log)
        elif topic not in known.quiet:
            unknown.add((log.address, topic))
    return tuple(logs), frozenset(unknown)


# -- logs alone ----------------------------------------------------------------------------------


def of_logs(header: Header, events: Sequence[EventLog], watched: Watched) -> Contents:
    """What eth_getLogs says of a block. Raises Refused where that cannot be true.

    It is proven only where the bloom admits none of the watched pools.
    """
    try:
        places = {_place(event): event for event in events}
        if len(places) != len(events):
            raise Refused(LOGS, "a log stands twice")
        ordered = [places[place] for place in sorted(places)]
        for event in ordered:
            _check_log(header, event)
        logs = _logs_in(ordered, watched)
    except ValueError as error:
        raise Refused(LOGS, f"malformed: {error}") from None
    if header.logs_bloom is None:
        return Contents(logs, (), has_receipts=False, is_proven=False)
    admitted, by_chance = watched.admitted(header.logs_bloom)
    missing = admitted - {log.address for log in logs}
    return Contents(
        logs,
        (),
        has_receipts=False,
        is_proven=header.hash_matches is True and not admitted,
        admitted=missing if by_chance < MAX_FALSE_ADMISSIONS else frozenset(),
    )


def _place(event: EventLog) -> tuple[int, int]:
    return (
        decode.number(event.transaction_index, 32, "transactionIndex"),
        decode.number(event.log_index, 32, "logIndex"),
    )


def _check_log(header: Header, event: EventLog) -> None:
    block, count = header.block, header.transaction_count
    if event.block_hash.lower() != block.hash:
        raise Refused(LOGS, "a log of another block")
    number = event.block_number
    if number is not None and not _same_number(number, hex(block.number)):
        raise Refused(LOGS, "a log with another block's number")
    # One more than listed: the chain's own one.
    if count is not None and int(event.transaction_index, 16) > count:
        raise Refused(LOGS, "a log of a transaction that the block does not have")
    if header.logs_bloom is not None and bloom_of([event]) & ~header.logs_bloom:
        raise Refused(LOGS, "a log that the block's logsBloom rules out")


def _logs_in(ordered: Iterable[EventLog], watched: Watched) -> tuple[Log, ...]:
    """Those that change watched pools. Where a node's logIndex starts again in a transaction it is
    raised, so that it grows over the block as it should."""
    logs: list[Log] = []
    least = 0
    for event in ordered:
        log = decode.log(event, max(least, decode.number(event.log_index, 32, "logIndex")))
        least = log.log_index + 1
        known = watched.pools.get(log.address)
        if known is not None and log.topics and log.topics[0] in known.changing:
            logs.append(log)
    return tuple(logs)
