"""cryo's rows as blocks, events and pools: what a history is made of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Any, NamedTuple

from dexarb.amm import POOL_TYPES
from dexarb.core.block import Block, BlockHash, BlockUpdate, Log, Transaction
from dexarb.core.pool import FoundPool, Pool
from dexarb.core.token import Address
from dexarb.errors import InputError, InvalidPoolState, PoolError
from dexarb.store.bounds import MAX_UINT32
from dexarb.store.codec import to_hex
from dexarb.store.cryo import BLOCKS, LOGS, TRANSACTIONS, CryoFile, covered, rows


class Factory(NamedTuple):
    """kind: of its pools. fee_pips: theirs, where its events do not tell it."""

    address: Address
    dex: str
    kind: str
    fee_pips: int


def kind_of(kind: str) -> type[Pool]:
    """The class of a kind that configuration names."""
    return POOL_TYPES[kind]


def empty(kind: str, found: FoundPool, dex: str) -> Pool | None:
    """The pool before its first event, None where that cannot be told."""
    try:
        return POOL_TYPES[kind].empty(found, dex=dex)
    except InvalidPoolState:
        return None


def created(
    files: Sequence[CryoFile], factories: Sequence[Factory]
) -> Iterator[tuple[int, Factory, Pool]]:
    """Each pool that the factories' logs tell of, still empty, and the number of its block.

    Raises InputError.
    """
    by_address = {factory.address: factory for factory in factories}
    topics = {POOL_TYPES[factory.kind].creation_topic for factory in factories}
    for number, log in _logs(files, by_address, topics - {b""}):
        factory = by_address[log.address]
        kind = POOL_TYPES[factory.kind]
        if log.topics[0] == kind.creation_topic:
            try:
                pool = kind.created(log, dex=factory.dex, fee_pips=factory.fee_pips)
            except PoolError as error:
                raise InputError(f"block {number}: {error}") from error
            yield number, factory, pool


def span(files: Sequence[CryoFile]) -> tuple[int, int, list[str]]:
    """First and last block of which there are both header and logs, and what is to be said of it.

    Raises InputError for a hole in between.
    """
    notes: list[str] = []
    logs: list[tuple[int, int]] | None = None
    for dataset in (BLOCKS, LOGS):
        own = [file for file in files if file.dataset is dataset]
        if not own:
            why = "logs carry no time and no base fee" if dataset is BLOCKS else "there is no swap"
            raise InputError(
                f"none of the files is of cryo's dataset {dataset.name}, and without it {why}."
                f" Freeze it: cryo {dataset.name} --blocks FIRST:LAST"
            )
        runs = covered(own)
        _require_no_hole(dataset.name, runs or ())
        logs = runs
    if logs is None:
        notes.append(
            "the names of the log files do not tell which blocks they cover: taken to be all"
        )
    numbers = [row[0] for row in rows(files, BLOCKS)]
    if not numbers:
        raise InputError("the files of cryo's dataset blocks hold no block")
    _require_no_hole(BLOCKS.name, [(number, number) for number in numbers])
    first, last = numbers[0], numbers[-1]
    if logs is None:
        return first, last, notes
    begin, end = max(first, logs[0][0]), min(last, logs[0][1])
    if begin > end:
        raise InputError(
            f"the logs are of blocks {logs[0][0]} to {logs[0][1]}, the blocks are {first} to"
            f" {last}: freeze both of the same range"
        )
    if (begin, end) != (first, last):
        notes.append(f"of blocks {first} to {last} only {begin} to {end} have logs")
    return begin, end, notes


def _require_no_hole(dataset: str, runs: Iterable[tuple[int, int]]) -> None:
    for (_, end), (begin, _) in pairwise(runs):
        if begin > end + 1:
            raise InputError(
                f"{dataset} of blocks {end + 1} to {begin - 1} are missing. Freeze them:"
                f" cryo {dataset} --blocks {end + 1}:{begin}"
            )


def hash_of(files: Sequence[CryoFile], number: int) -> BlockHash:
    """Of a block that `span` covers."""
    (row,) = rows(files, BLOCKS, first=number, last=number)
    return BlockHash(to_hex(row[1]))


def updates(
    files: Sequence[CryoFile],
    emitters: Iterable[Address],
    topics: Iterable[bytes],
    *,
    first: int,
    last: int,
    gas_limit: int | None,
) -> Iterator[BlockUpdate]:
    """The blocks from first to last, with the events of these contracts that have these topics.

    gas_limit: of every block; None where it is not known. Raises InputError.
    """
    logs = _Ahead(_logs(files, emitters, topics, first, last))
    transactions = _Ahead(_transactions(files, first, last))
    has_sent = covered([file for file in files if file.dataset is TRANSACTIONS])
    parent: BlockHash | None = None
    for number, own, timestamp, gas_used, base_fee, before, author in rows(
        files, BLOCKS, first=first, last=last
    ):
        told = None if before is None else BlockHash(to_hex(before))
        if parent is not None and told is not None and parent != told:
            raise InputError(
                f"block {number} follows {told}, but block {number - 1} is {parent}: the files are"
                " of two branches. Freeze the older of them again"
            )
        block = Block(
            number,
            BlockHash(to_hex(own)),
            parent or told or BlockHash("0x" + "0" * 64),
            timestamp,
            base_fee or 0,
            gas_used,
            # Not known: no room is better than any amount of it.
            gas_used if gas_limit is None else gas_limit,
        )
        sent = tuple(transactions.of(number))
        total = sum(each.gas_used for each in sent)
        if sent and total != gas_used:
            raise InputError(
                f"block {number}: its transactions used {total} gas, the block {gas_used}: some"
                f" are missing. Freeze them again: cryo transactions --blocks {number}:{number + 1}"
            )
        is_known = bool(sent) or (
            not gas_used and (has_sent is None or any(a <= number <= b for a, b in has_sent))
        )
        producer = Address(to_hex(author)) if any(author or b"") else None
        yield BlockUpdate(
            0, block, tuple(logs.of(number)), sent, has_receipts=is_known, producer=producer
        )
        parent = block.hash


def _logs(
    files: Sequence[CryoFile],
    emitters: Iterable[Address],
    topics: Iterable[bytes],
    first: int = 0,
    last: int = MAX_UINT32,
) -> Iterator[tuple[int, Log]]:
    """With their blocks' numbers."""
    among = {
        "address": [bytes.fromhex(emitter[2:]) for emitter in sorted(emitters)],
        "topic0": sorted(topics),
    }
    if not all(among.values()):
        return
    addresses: dict[bytes, Address] = {}
    for number, transaction, place, emitter, *found, data in rows(
        files, LOGS, among=among, first=first, last=last
    ):
        address = addresses.setdefault(emitter, Address(to_hex(emitter)))
        known = tuple(topic for topic in found if topic is not None)
        yield number, Log(address, known, data, transaction, place)


def _transactions(
    files: Sequence[CryoFile], first: int, last: int
) -> Iterator[tuple[int, Transaction]]:
    for number, index, own, sender, to, price, gas_used, succeeded, kind in rows(
        files, TRANSACTIONS, first=first, last=last
    ):
        target = None if to is None else Address(to_hex(to))
        sent_by = Address(to_hex(sender))
        yield (
            number,
            Transaction(index, to_hex(own), sent_by, target, price, gas_used, succeeded, kind),
        )


class _Ahead:
    """Mutable: what is numbered by block, asked for in ascending order."""

    def __init__(self, numbered: Iterator[tuple[int, Any]]) -> None:
        self._rows = numbered
        self._next = next(numbered, None)

    def of(self, number: int) -> list[Any]:
        found = []
        while self._next is not None and self._next[0] <= number:
            if self._next[0] == number:
                found.append(self._next[1])
            self._next = next(self._rows, None)
        return found
