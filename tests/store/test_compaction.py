"""Closing a segment changes the files and no entry."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from dexarb.core.block import BlockUpdate
from dexarb.core.market import MAX_REORG_DEPTH, Entry
from dexarb.errors import StoreError
from dexarb.store.compaction import close_segments
from dexarb.store.history_reader import HistoryReader
from dexarb.store.parquet import TRANSACTIONS, read_blocks
from dexarb.store.segment import list_segments
from tests.store.disks import no_room
from tests.store.test_history_writer import open_writer, record
from tests.support.worlds import arrivals

BLOCKS = 100


def recorded(folder: Path) -> list[Entry]:
    record(folder, arrivals.first_updates(BLOCKS), segment_blocks=20)
    return list(HistoryReader(folder).entries(every_keyframe=True))


def rows_of(query: str) -> list[Any]:
    with duckdb.connect() as connection:
        return connection.execute(query).fetchall()


def head(folder: Path) -> int:
    return HistoryReader(folder).recent_chain(1)[0][0]


def test_entries_are_the_same_before_and_after(tmp_path: Path) -> None:
    before = recorded(tmp_path)
    chain = HistoryReader(tmp_path).recent_chain(1000)
    closed = close_segments(tmp_path, head(tmp_path), depth=10)
    assert len(closed) == 3
    assert [s.closed for s in list_segments(tmp_path)] == [True] * 3 + [False] * 3
    reader = HistoryReader(tmp_path)
    assert list(reader.entries(every_keyframe=True)) == before
    assert reader.recent_chain(1000) == chain
    assert reader.keyframe(43) == before[42]
    for first, last in ((1, 5), (20, 24), (21, 22), (22, 22), (30, 97)):
        assert list(reader.entries(first, last, every_keyframe=True)) == before[first - 1 : last]


def test_transactions_are_the_same_in_whichever_order_one_looks(tmp_path: Path) -> None:
    before = {e.seq: e for e in recorded(tmp_path) if isinstance(e, BlockUpdate)}
    close_segments(tmp_path, 10**9)
    blocks = [e for e in HistoryReader(tmp_path).entries() if isinstance(e, BlockUpdate)]
    # Backwards, with gaps, and again.
    for each in (*blocks[50::-7], *blocks[::3], *blocks):
        there = before[each.seq].transactions
        assert (each.transactions, list(each.transactions)) == (there, list(there))
        assert (len(each.transactions), each.transactions[:2]) == (len(there), there[:2])
    assert any(len(each.transactions) > 1 for each in blocks)


def test_nothing_of_transactions_is_read_before_one_looks(tmp_path: Path) -> None:
    recorded(tmp_path)
    folders = close_segments(tmp_path, 10**9)
    reader = HistoryReader(tmp_path)
    blocks = [e for e in reader.entries() if isinstance(e, BlockUpdate)]
    for folder in folders:
        (folder / TRANSACTIONS).unlink()
    assert sum(len(each.logs) for each in blocks)
    with pytest.raises(StoreError, match="cannot be read"):
        len(blocks[0].transactions)


def test_the_writer_goes_on_beside_and_after_it(tmp_path: Path) -> None:
    before = recorded(tmp_path)
    with open_writer(tmp_path, segment_blocks=20) as writer:
        close_segments(tmp_path, head(tmp_path), depth=10)
        market = arrivals.market_after(arrivals.first_updates(BLOCKS))
        writer.append_keyframe(market.keyframe())
    with open_writer(tmp_path, segment_blocks=20) as writer:
        assert writer.last_seq == len(before) + 1
        assert list(HistoryReader(tmp_path).entries(1, len(before), every_keyframe=True)) == before


def test_only_what_is_deep_enough_is_closed(tmp_path: Path) -> None:
    recorded(tmp_path)
    deepest = max(
        entry.block.number
        for entry in HistoryReader(tmp_path).entries(1, 21)
        if isinstance(entry, BlockUpdate)
    )
    assert close_segments(tmp_path, deepest + MAX_REORG_DEPTH) == []
    assert close_segments(tmp_path, deepest + MAX_REORG_DEPTH + 1) == [tmp_path / "000000000001"]
    # The segment that is being written stays, however deep it is.
    close_segments(tmp_path, 10**9)
    assert [s.closed for s in list_segments(tmp_path)] == [True] * 5 + [False]
    assert close_segments(tmp_path, 10**9) == []


def test_canonical_marks_the_blocks_that_the_branch_kept(tmp_path: Path) -> None:
    before = recorded(tmp_path)
    branch = {block_hash for _, block_hash in HistoryReader(tmp_path).recent_chain(1000)}
    close_segments(tmp_path, 10**9)
    rows = rows_of(
        f"""SELECT seq, canonical, block_hash, (SELECT bool_and(l.canonical = b.canonical)
            FROM '{tmp_path}/*/logs.parquet' l WHERE l.seq = b.seq)
        FROM '{tmp_path}/*/blocks.parquet' b ORDER BY seq"""
    )
    assert len(rows) == BLOCKS
    by_seq = {entry.seq: entry for entry in before}
    for seq, canonical, block_hash, logs_agree in rows:
        entry = by_seq[seq]
        assert isinstance(entry, BlockUpdate)
        assert entry.block.hash == "0x" + block_hash.hex()
        assert canonical == (entry.block.hash in branch)
        assert logs_agree is not False
    assert {canonical for _, canonical, _, _ in rows} == {True, False}


def test_the_files_have_the_documented_columns(tmp_path: Path) -> None:
    recorded(tmp_path)
    (closed, *_) = close_segments(tmp_path, 10**9)
    columns = {
        path.name: {name: kind for name, kind, *_ in rows_of(f"DESCRIBE SELECT * FROM '{path}'")}
        for path in sorted(closed.glob("*.parquet"))
    }
    binary, small, large = "BLOB", "UINTEGER", "UBIGINT"
    assert columns == {
        "blocks.parquet": {
            "block_number": small,
            "block_hash": binary,
            "parent_hash": binary,
            "timestamp": small,
            "gas_used": large,
            "gas_limit": large,
            "base_fee_per_gas": large,
            "chain_id": large,
            "seq": "BIGINT",
            "seen_at": "DOUBLE",
            "canonical": "BOOLEAN",
            "has_receipts": "BOOLEAN",
            "witnesses": small,
            "backfilled": "BOOLEAN",
            "author": binary,
            "traffic": "VARCHAR",
        },
        "logs.parquet": {
            "block_number": small,
            "transaction_index": small,
            "log_index": small,
            "transaction_hash": binary,
            "address": binary,
            "topic0": binary,
            "topic1": binary,
            "topic2": binary,
            "topic3": binary,
            "data": binary,
            "chain_id": large,
            "seq": "BIGINT",
            "canonical": "BOOLEAN",
        },
        "transactions.parquet": {
            "block_number": small,
            "transaction_index": small,
            "transaction_hash": binary,
            "from_address": binary,
            "to_address": binary,
            "gas_used": large,
            "gas_price": large,
            "success": "BOOLEAN",
            "transaction_type": small,
            "nonce": large,
            "selector": binary,
            "chain_id": large,
            "seq": "BIGINT",
            "canonical": "BOOLEAN",
        },
    }
    codecs = rows_of(f"SELECT DISTINCT compression FROM parquet_metadata('{closed}/*.parquet')")
    assert codecs == [("ZSTD",)]


def test_a_log_carries_the_hash_of_its_transaction(tmp_path: Path) -> None:
    recorded(tmp_path)
    close_segments(tmp_path, 10**9)
    joined = rows_of(
        f"""SELECT count(*), count(l.transaction_hash), bool_and(l.transaction_hash =
                t.transaction_hash), count(t.seq)
        FROM '{tmp_path}/*/logs.parquet' l LEFT JOIN '{tmp_path}/*/transactions.parquet' t
        ON l.seq = t.seq AND l.transaction_index = t.transaction_index"""
    )
    ((logs, hashes, equal, transactions),) = joined
    assert equal is True
    # Blocks without receipts have neither.
    assert 0 < hashes == transactions < logs


def test_what_a_killed_compaction_left_is_dropped(tmp_path: Path) -> None:
    before = recorded(tmp_path)
    lines = (tmp_path / "000000000001.jsonl").read_bytes()
    close_segments(tmp_path, 10**9)
    # Killed before the lines were removed, and again while writing the next segment.
    (tmp_path / "000000000001.jsonl").write_bytes(lines)
    (tmp_path / "000000000120.tmp").mkdir()
    (tmp_path / "000000000120.tmp" / "blocks.parquet").write_bytes(b"PAR1")
    assert list(HistoryReader(tmp_path).entries(every_keyframe=True)) == before
    open_writer(tmp_path).close()
    assert not (tmp_path / "000000000001.jsonl").exists()
    assert not (tmp_path / "000000000120.tmp").exists()
    assert list(HistoryReader(tmp_path).entries(every_keyframe=True)) == before


def test_lines_stay_if_they_do_not_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = recorded(tmp_path)

    def without_the_last(folder: Path, from_seq: int, to_seq: int) -> Iterator[BlockUpdate]:
        yield from list(read_blocks(folder, from_seq, to_seq))[:-1]

    monkeypatch.setattr("dexarb.store.parquet.read_blocks", without_the_last)
    with pytest.raises(StoreError, match="does not read back as it was"):
        close_segments(tmp_path, 10**9)
    assert [s.closed for s in list_segments(tmp_path)] == [False] * 6
    assert not list(tmp_path.glob("*.tmp"))
    assert list(HistoryReader(tmp_path).entries(every_keyframe=True)) == before


@pytest.mark.parametrize("room", [100, 4000])
def test_a_full_disk_leaves_the_lines(tmp_path: Path, room: int) -> None:
    before = recorded(tmp_path)
    # Too little for the keyframe, and enough for it but not for the logs.
    with no_room(room), pytest.raises(StoreError, match=r"cannot be (written|compacted)"):
        close_segments(tmp_path, 10**9)
    assert not list(tmp_path.glob("*.tmp"))
    assert list(HistoryReader(tmp_path).entries(every_keyframe=True)) == before
    assert len(close_segments(tmp_path, 10**9)) == 5


def test_a_damaged_folder_is_reported(tmp_path: Path) -> None:
    recorded(tmp_path)
    (closed, *_) = close_segments(tmp_path, 10**9)
    (closed / "logs.parquet").write_bytes(b"nothing")
    with pytest.raises(StoreError, match="its digest differs"):
        list(HistoryReader(tmp_path).entries())
