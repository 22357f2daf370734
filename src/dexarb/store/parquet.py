"""Closed segments: a folder of zstd Parquet files with the columns of cryo's datasets.

blocks.parquet, logs.parquet and transactions.parquet carry cryo's column names and its default
types (binary hashes and addresses, unsigned integers), as far as the collector records them, and
beyond them seq, seen_at, canonical, gas_limit, has_receipts, witnesses and backfilled.
The lines of all other entries stand beside them as they were: keyframe.json the segment's first,
changes.jsonl those of pools that changed, break.json its last one where that is a break.
Source of the columns: cryo, crates/freeze/src/datasets (blocks.rs, logs.rs, transactions.rs).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import duckdb

from dexarb.core.block import Block, BlockHash, BlockUpdate, Log, Transaction
from dexarb.core.token import Address
from dexarb.errors import StoreError
from dexarb.store.codec import LinkHeader, to_hex
from dexarb.store.segment import PARQUET_FILES

BLOCKS, LOGS, TRANSACTIONS = PARQUET_FILES
_ROWS_AT_A_TIME = 4096

_LINES = """
CREATE TEMP TABLE lines AS
SELECT seq, block, logs, transactions, has_receipts, witnesses,
    coalesce(backfilled, false) AS backfilled, NOT list_contains($dead, seq) AS canonical
FROM read_json($path, format = 'newline_delimited', maximum_object_size = $longest, columns = {
    kind: 'VARCHAR', seq: 'UBIGINT', has_receipts: 'BOOLEAN', witnesses: 'UINTEGER',
    backfilled: 'BOOLEAN',
    block: 'STRUCT(number UINTEGER, hash VARCHAR, parent_hash VARCHAR, timestamp UINTEGER,
        base_fee_per_gas UBIGINT, gas_used UBIGINT, gas_limit UBIGINT, seen_at DOUBLE)',
    logs: 'STRUCT(address VARCHAR, topics VARCHAR[], data VARCHAR, transaction_index UINTEGER,
        log_index UINTEGER)[]',
    transactions: 'STRUCT("index" UINTEGER, hash VARCHAR, sender VARCHAR, "to" VARCHAR,
        effective_gas_price UBIGINT, gas_used UBIGINT, succeeded BOOLEAN)[]'})
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
    witnesses, backfilled
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
    transaction.succeeded AS success, $chain_id::UBIGINT AS chain_id, seq, canonical
FROM (
    SELECT seq, canonical, block.number AS number, unnest(transactions) AS transaction
    FROM lines)
ORDER BY seq, transaction_index""",
}

# {proof}: columns that files of schema 1 lack.
_READ = {
    BLOCKS: """
SELECT seq, block_number, block_hash, parent_hash, timestamp, base_fee_per_gas, gas_used,
    gas_limit, seen_at, has_receipts, {proof}
FROM read_parquet($path) WHERE seq BETWEEN $from_seq AND $to_seq ORDER BY seq""",
    LOGS: """
SELECT seq, address, topic0, topic1, topic2, topic3, data, transaction_index, log_index
FROM read_parquet($path) WHERE seq BETWEEN $from_seq AND $to_seq ORDER BY seq, log_index""",
    TRANSACTIONS: """
SELECT seq, transaction_index, transaction_hash, from_address, to_address, gas_price, gas_used,
    success
FROM read_parquet($path) WHERE seq BETWEEN $from_seq AND $to_seq
ORDER BY seq, transaction_index""",
}
_HEADERS = """
SELECT seq, block_number, block_hash, parent_hash FROM read_parquet($path) ORDER BY seq"""
_PROOF, _NO_PROOF = "witnesses, backfilled", "NULL, false"
_COLUMNS = "SELECT name FROM parquet_schema($path)"

ParquetRow = tuple[Any, ...]


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

    Raises StoreError.
    """
    with duckdb.connect(config={"threads": 1}) as connection:
        try:
            blocks, logs, transactions = (
                _rows(connection, folder / name, from_seq, to_seq) for name in PARQUET_FILES
            )
            log_groups, transaction_groups = _BySeq(logs), _BySeq(transactions)
            addresses = _Addresses()
            for rows in blocks:
                for seq, number, own, parent, *rest, receipts, witnesses, backfilled in rows:
                    yield BlockUpdate(
                        seq,
                        Block(number, BlockHash(to_hex(own)), BlockHash(to_hex(parent)), *rest),
                        tuple([_log(row, addresses) for row in log_groups.take(seq)]),
                        tuple(
                            [_transaction(row, addresses) for row in transaction_groups.take(seq)]
                        ),
                        receipts,
                        witnesses,
                        backfilled,
                    )
        except duckdb.Error as error:
            raise StoreError(folder, f"cannot be read: {error}") from error


def read_headers(folder: Path) -> Iterator[LinkHeader]:
    """Headers of the blocks of a closed segment. Raises StoreError."""
    with duckdb.connect(config={"threads": 1}) as connection:
        try:
            cursor = connection.execute(_HEADERS, {"path": str(folder / BLOCKS)})
            for rows in _fetched(cursor):
                for seq, number, own, parent in rows:
                    hashes = BlockHash(to_hex(own)), BlockHash(to_hex(parent))
                    yield LinkHeader(seq, number, *hashes, False, True)
        except duckdb.Error as error:
            raise StoreError(folder, f"cannot be read: {error}") from error


class _Addresses(dict[bytes, Address]):
    """Each address once, however often it occurs: its hash is computed once, too."""

    def __missing__(self, raw: bytes) -> Address:
        made = self[raw] = Address(to_hex(raw))
        return made


class _BySeq:
    """Groups of rows that share a seq, asked for in ascending order of seq."""

    def __init__(self, chunks: Iterator[list[ParquetRow]]) -> None:
        self._chunks = chunks
        self._rows = next(chunks, [])
        self._at = 0

    def take(self, seq: int) -> list[ParquetRow]:
        """The rows of a seq that has not been passed yet."""
        found: list[ParquetRow] = []
        while self._rows:
            rows, first = self._rows, self._at
            last = first
            while last < len(rows) and rows[last][0] == seq:
                last += 1
            found += rows[first:last]
            self._at = last
            if last < len(rows):
                break
            self._rows, self._at = next(self._chunks, []), 0
        return found


def _rows(
    connection: duckdb.DuckDBPyConnection, path: Path, from_seq: int, to_seq: int
) -> Iterator[list[ParquetRow]]:
    cursor = connection.cursor()
    query = _READ[path.name]
    if path.name == BLOCKS:
        columns = {name for (name,) in cursor.execute(_COLUMNS, {"path": str(path)}).fetchall()}
        query = query.format(proof=_PROOF if "witnesses" in columns else _NO_PROOF)
    cursor.execute(query, {"path": str(path), "from_seq": from_seq, "to_seq": to_seq})
    yield from _fetched(cursor)


def _fetched(cursor: duckdb.DuckDBPyConnection) -> Iterator[list[ParquetRow]]:
    while rows := cursor.fetchmany(_ROWS_AT_A_TIME):
        yield rows


def _log(row: ParquetRow, addresses: _Addresses) -> Log:
    _, address, topic0, topic1, topic2, topic3, data, transaction_index, log_index = row
    topics = (topic0, topic1, topic2, topic3)
    if topic3 is None:
        topics = tuple([topic for topic in topics if topic is not None])
    return Log(addresses[address], topics, data, transaction_index, log_index)


def _transaction(row: ParquetRow, addresses: _Addresses) -> Transaction:
    _, index, own, sender, to, gas_price, gas_used, succeeded = row
    return Transaction(
        index,
        to_hex(own),
        addresses[sender],
        None if to is None else addresses[to],
        gas_price,
        gas_used,
        succeeded,
    )
