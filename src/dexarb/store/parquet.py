"""Closed segments: a folder of zstd Parquet files with the columns of cryo's datasets.

blocks.parquet, logs.parquet and transactions.parquet carry cryo's column names and its default
types (binary hashes and addresses, unsigned integers), as far as the collector records them, and
beyond them seq, seen_at, canonical, gas_limit, has_receipts, witnesses, backfilled and traffic. The
last is JSON, as in the line: nested columns take several times as long to read.
The lines of all other entries stand beside them as they were: keyframe.json the segment's first,
changes.jsonl those of pools that changed, break.json its last one where that is a break.
Source of the columns: cryo, crates/freeze/src/datasets (blocks.rs, logs.rs, transactions.rs).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Generic, TypeVar, overload

import duckdb

from dexarb.core.block import Block, BlockHash, BlockUpdate, Log, Transaction
from dexarb.core.token import Address
from dexarb.errors import StoreError
from dexarb.store.codec import LinkHeader, decode_traffic, to_hex
from dexarb.store.segment import PARQUET_FILES

BLOCKS, LOGS, TRANSACTIONS = PARQUET_FILES
_ROWS_AT_A_TIME = 256
"""So many that what is made of them is still near when it is used: on a machine with other work,
2048 take a quarter longer."""

_LINES = """
CREATE TEMP TABLE lines AS
SELECT seq, block, logs, transactions, has_receipts, witnesses,
    coalesce(backfilled, false) AS backfilled, producer, traffic,
    NOT list_contains($dead, seq) AS canonical
FROM read_json($path, format = 'newline_delimited', maximum_object_size = $longest, columns = {
    kind: 'VARCHAR', seq: 'BIGINT', has_receipts: 'BOOLEAN', witnesses: 'UINTEGER',
    backfilled: 'BOOLEAN', producer: 'VARCHAR', traffic: 'JSON',
    block: 'STRUCT(number UINTEGER, hash VARCHAR, parent_hash VARCHAR, timestamp UINTEGER,
        base_fee_per_gas UBIGINT, gas_used UBIGINT, gas_limit UBIGINT, seen_at DOUBLE)',
    logs: 'STRUCT(address VARCHAR, topics VARCHAR[], data VARCHAR, transaction_index UINTEGER,
        log_index UINTEGER)[]',
    transactions: 'STRUCT("index" UINTEGER, hash VARCHAR, sender VARCHAR, "to" VARCHAR,
        effective_gas_price UBIGINT, gas_used UBIGINT, succeeded BOOLEAN, type UINTEGER,
        nonce UBIGINT, selector VARCHAR)[]'})
WHERE kind = 'block'
"""

# [3:] drops the 0x; a topic or target that is not there stays NULL.
_TABLES = {
    BLOCKS: """
SELECT block.number AS block_number, unhex(block.hash[3:]) AS block_hash,
    unhex(block.parent_hash[3:]) AS parent_hash, block.timestamp AS timestamp,
    block.gas_used AS gas_used, block.gas_limit AS gas_limit,
    block.base_fee_per_gas AS base_fee_per_gas, $chain_id::UBIGINT AS chain_id,
    seq, block.seen_at AS seen_at, canonical, has_receipts,
    witnesses, backfilled, unhex(producer[3:]) AS author, traffic::VARCHAR AS traffic
FROM lines ORDER BY seq""",
    LOGS: """
SELECT number AS block_number, log.transaction_index AS transaction_index,
    log.log_index AS log_index, unhex(hashes[log.transaction_index][3:]) AS transaction_hash,
    unhex(log.address[3:]) AS address,
    unhex(log.topics[1][3:]) AS topic0, unhex(log.topics[2][3:]) AS topic1,
    unhex(log.topics[3][3:]) AS topic2, unhex(log.topics[4][3:]) AS topic3,
    unhex(log.data[3:]) AS data, $chain_id::UBIGINT AS chain_id, seq, canonical
FROM (
    SELECT seq, canonical, block.number AS number, unnest(logs) AS log,
        map(list_transform(transactions, lambda t: t."index"),
            list_transform(transactions, lambda t: t.hash)) AS hashes
    FROM lines)
ORDER BY seq, log_index""",
    TRANSACTIONS: """
SELECT number AS block_number, transaction."index" AS transaction_index,
    unhex(transaction.hash[3:]) AS transaction_hash,
    unhex(transaction.sender[3:]) AS from_address, unhex(transaction."to"[3:]) AS to_address,
    transaction.gas_used AS gas_used, transaction.effective_gas_price AS gas_price,
    transaction.succeeded AS success, transaction.type AS transaction_type,
    transaction.nonce AS nonce, unhex(transaction.selector[3:]) AS selector,
    $chain_id::UBIGINT AS chain_id, seq, canonical
FROM (
    SELECT seq, canonical, block.number AS number, unnest(transactions) AS transaction
    FROM lines)
ORDER BY seq, transaction_index""",
}

# {later}: columns that files of older schemas lack. Topics come in one piece: every value that
# becomes an object costs more than reading it.
_READ = {
    BLOCKS: """
SELECT seq, block_number, block_hash, parent_hash, timestamp, base_fee_per_gas, gas_used,
    gas_limit, seen_at, has_receipts, {later}
FROM read_parquet($path) WHERE seq BETWEEN $from_seq AND $to_seq ORDER BY seq""",
    LOGS: """
SELECT seq, address,
    coalesce(topic0, ''::BLOB) || coalesce(topic1, ''::BLOB)
        || coalesce(topic2, ''::BLOB) || coalesce(topic3, ''::BLOB),
    data, transaction_index, log_index
FROM read_parquet($path) WHERE seq BETWEEN $from_seq AND $to_seq ORDER BY seq, log_index""",
    TRANSACTIONS: """
SELECT seq, transaction_index, transaction_hash, from_address, to_address, gas_price, gas_used,
    success, {later}
FROM read_parquet($path) WHERE seq BETWEEN $from_seq AND $to_seq
ORDER BY seq, transaction_index""",
}
_HEADERS = """
SELECT seq, block_number, block_hash, parent_hash, timestamp
FROM read_parquet($path) ORDER BY seq"""
_LATER = {
    BLOCKS: {"witnesses": "NULL", "backfilled": "false", "author": "NULL", "traffic": "NULL"},
    LOGS: {},
    TRANSACTIONS: {"transaction_type": "NULL", "nonce": "NULL", "selector": "NULL"},
}
"""What stands for them there."""
_COLUMNS = "SELECT name FROM parquet_schema($path)"

ParquetRow = tuple[Any, ...]
Made = TypeVar("Made")


def write_tables(
    lines: Path, folder: Path, *, chain_id: int, dead: Collection[int], longest_line: int
) -> None:
    """Convert a segment's JSON lines into PARQUET_FILES inside `folder`, which exists.

    dead: seqs of the blocks that did not end on the canonical branch. Raises StoreError.
    """
    # One thread: this runs beside the collector, which must not wait for a core.
    with duckdb.connect(config={"threads": 1}) as connection:
        try:
            connection.execute(
                _LINES,
                {"path": str(lines), "dead": list(dead), "longest": longest_line + 1},
            )
            for name, query in _TABLES.items():
                connection.execute(
                    f"COPY ({query}) TO $target (FORMAT parquet, COMPRESSION zstd)",
                    {"chain_id": chain_id, "target": str(folder / name)},
                )
        except duckdb.Error as error:
            raise StoreError(lines, f"cannot be compacted: {error}") from error


def read_blocks(folder: Path, from_seq: int, to_seq: int) -> Iterator[BlockUpdate]:
    """The blocks of a closed segment with from_seq <= seq <= to_seq, in order of seq.

    Their transactions are read when somebody looks at the first of them. Raises StoreError, then
    too.
    """
    addresses = _Addresses()
    transactions = _TransactionsFile(folder, to_seq, addresses)
    span = from_seq, to_seq
    with _reading(folder) as first, _reading(folder) as second:
        logs = _BySeq(_logs(rows, addresses) for rows in _rows(second, folder / LOGS, span))
        for rows in _rows(first, folder / BLOCKS, span):
            for (
                seq,
                number,
                own,
                parent,
                *rest,
                receipts,
                witnesses,
                backfilled,
                author,
                traffic,
            ) in rows:
                yield BlockUpdate(
                    seq,
                    Block(number, BlockHash(to_hex(own)), BlockHash(to_hex(parent)), *rest),
                    logs.take(seq),
                    LateTransactions(transactions, seq),
                    receipts,
                    witnesses,
                    backfilled,
                    addresses[author],
                    decode_traffic(traffic, folder),
                )


def read_headers(folder: Path) -> Iterator[LinkHeader]:
    """Headers of the blocks of a closed segment. Raises StoreError."""
    with _reading(folder) as cursor:
        cursor.execute(_HEADERS, {"path": str(folder / BLOCKS)})
        for rows in _fetched(cursor):
            for seq, number, own, parent, timestamp in rows:
                hashes = BlockHash(to_hex(own)), BlockHash(to_hex(parent))
                yield LinkHeader(seq, number, *hashes, timestamp, False, True)


@cache
def _database() -> duckdb.DuckDBPyConnection:
    """Without tables, for reading files. It takes as long to open as 150 blocks take to read."""
    return duckdb.connect(config={"threads": 1})


@contextmanager
def _reading(folder: Path) -> Iterator[duckdb.DuckDBPyConnection]:
    """A cursor that nobody else uses. Raises StoreError where DuckDB refuses what it is asked."""
    with _database().cursor() as cursor:
        try:
            yield cursor
        except duckdb.Error as error:
            raise StoreError(folder, f"cannot be read: {error}") from error


class _Addresses(dict[bytes | None, Any]):
    """Each address once, however often it occurs: its hash is computed once, too. None for None:
    a transaction that creates a contract is sent to nobody."""

    def __missing__(self, raw: bytes | None) -> Address | None:
        made = self[raw] = None if raw is None else Address(to_hex(raw))
        return made


class _Topics(dict[bytes, tuple[bytes, ...]]):
    """A log's topics by all of them in one piece. The same few events, routers and traders come
    again and again, so that looking them up is the rule."""

    def __missing__(self, joined: bytes) -> tuple[bytes, ...]:
        if len(self) >= _MOST_TOPICS:
            self.clear()
        made = tuple(joined[at : at + _WORD] for at in range(0, len(joined), _WORD))
        self[joined] = made
        return made


_WORD = 32
_MOST_TOPICS = 1 << 14
_topics = _Topics()


class _TransactionsFile:
    """Those of a closed segment's blocks up to to_seq; nothing is read before somebody asks."""

    def __init__(self, folder: Path, to_seq: int, addresses: _Addresses) -> None:
        self._folder, self._to_seq, self._addresses = folder, to_seq, addresses
        self._rows = _BySeq[ParquetRow](iter(()))
        self._passed: int | None = None
        """The last block that was asked for."""

    def of(self, seq: int) -> tuple[Transaction, ...]:
        """Cheap in ascending order. Raises StoreError."""
        if self._passed is None or seq <= self._passed:
            self._rows = _BySeq(self._chunks(seq))
        self._passed = seq
        rows = self._rows.take(seq)
        return _transactions(rows, self._addresses) if rows else ()

    def _chunks(self, seq: int) -> Iterator[tuple[Sequence[int], list[ParquetRow]]]:
        with _reading(self._folder) as cursor:
            for rows in _rows(cursor, self._folder / TRANSACTIONS, (seq, self._to_seq)):
                yield [row[0] for row in rows], rows


class LateTransactions(Sequence[Transaction]):
    """Of a block, made when somebody looks at them: most readers of a history never do, and they
    are most of its bytes. Equal to the tuple of them. Looking raises StoreError where the segment
    has gone since."""

    __slots__ = ("_file", "_made", "_seq")

    def __init__(self, file: _TransactionsFile, seq: int) -> None:
        self._file: _TransactionsFile | None = file
        self._seq = seq
        self._made: tuple[Transaction, ...] = ()

    def _all(self) -> tuple[Transaction, ...]:
        if self._file is not None:
            self._made = self._file.of(self._seq)
            self._file = None
        return self._made

    def __len__(self) -> int:
        return len(self._all())

    def __iter__(self) -> Iterator[Transaction]:
        return iter(self._all())

    @overload
    def __getitem__(self, place: int) -> Transaction: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[Transaction, ...]: ...
    def __getitem__(self, place: int | slice) -> Transaction | tuple[Transaction, ...]:
        return self._all()[place]

    def __eq__(self, other: object) -> bool:
        if isinstance(other, LateTransactions):
            return self._all() == other._all()
        return self._all() == other

    def __hash__(self) -> int:
        return hash(self._all())

    def __repr__(self) -> str:
        return repr(self._all())


class _BySeq(Generic[Made]):
    """What was made of rows, by the rows' seq, asked for in ascending order of seq.

    chunks: seqs, ascending, and what was made of the rows with these seqs.
    """

    def __init__(self, chunks: Iterator[tuple[Sequence[int], Sequence[Made]]]) -> None:
        self._chunks = chunks
        self._seqs: Sequence[int] = ()
        self._made: Sequence[Made] = ()
        self._at = 0
        self._next_chunk()

    def take(self, seq: int) -> tuple[Made, ...]:
        """What belongs to a seq that has not been passed yet."""
        found: list[Made] = []
        while self._seqs:
            first = bisect_left(self._seqs, seq, self._at)
            self._at = bisect_right(self._seqs, seq, first)
            found += self._made[first : self._at]
            if self._at < len(self._seqs):
                break
            self._next_chunk()
        return tuple(found)

    def _next_chunk(self) -> None:
        self._seqs, self._made = next(self._chunks, ((), ()))
        self._at = 0


def _rows(
    cursor: duckdb.DuckDBPyConnection, path: Path, span: tuple[int, int]
) -> Iterator[list[ParquetRow]]:
    query = _READ[path.name]
    if later := _LATER[path.name]:
        columns = {name for (name,) in cursor.execute(_COLUMNS, {"path": str(path)}).fetchall()}
        query = query.format(
            later=", ".join(name if name in columns else none for name, none in later.items())
        )
    cursor.execute(query, {"path": str(path), "from_seq": span[0], "to_seq": span[1]})
    yield from _fetched(cursor)


def _fetched(cursor: duckdb.DuckDBPyConnection) -> Iterator[list[ParquetRow]]:
    while rows := cursor.fetchmany(_ROWS_AT_A_TIME):
        yield rows


# Column by column: a loop over the rows of logs takes nearly twice as long.


def _logs(rows: list[ParquetRow], addresses: _Addresses) -> tuple[Sequence[int], Sequence[Log]]:
    seqs, emitters, topics, *rest = _columns(rows)
    emitted, known = map(addresses.__getitem__, emitters), map(_topics.__getitem__, topics)
    return seqs, list(map(Log, emitted, known, *rest))


def _transactions(rows: Iterable[ParquetRow], addresses: _Addresses) -> tuple[Transaction, ...]:
    _, indices, hashes, senders, targets, *rest, selectors = _columns(rows)
    texts, address = map("0x".__add__, map(bytes.hex, hashes)), addresses.__getitem__
    called = [None if each is None else to_hex(each) for each in selectors]
    ends = map(address, senders), map(address, targets)
    return tuple(map(Transaction, indices, texts, *ends, *rest, called))


def _columns(rows: Iterable[ParquetRow]) -> Iterator[tuple[Any, ...]]:
    """Of any number of rows but none."""
    return zip(*rows, strict=True)
