"""What a ledger says and does when others use it, disks fill up and processes are killed."""

from __future__ import annotations

import os
import random
import sqlite3
from pathlib import Path

import pytest

from dexarb.errors import Locked, StoreError
from dexarb.store.ledger_db import LedgerDb
from dexarb.store.ledger_reader import read_only
from tests.store import books
from tests.store.books import block, decision, open_ledger
from tests.store.disks import no_room
from tests.store.processes import run_until
from tests.support.worlds import arrivals

# -- other readers and writers --------------------------------------------------------------------


def test_a_second_writer_is_told_who_the_first_one_is(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "ledger.db"
    with open_ledger(path):
        with pytest.raises(Locked) as caught:
            open_ledger(path)
        assert caught.value.holder == os.getpid()
    open_ledger(path).close()


def test_a_reader_needs_no_lock_and_sees_whole_blocks(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with open_ledger(path) as ledger, read_only(path) as reader:
        with ledger.block(1, block(1)) as entry:
            entry.add_decisions([decision("a", block(1))])
            assert reader.decisions() == []
        assert len(reader.decisions()) == 1
        with reader.at_one_moment():
            assert reader.seq == 1
            with ledger.block(2, block(2)) as entry:
                entry.add_decisions([decision("b", block(2))])
            assert (reader.seq, len(reader.decisions())) == (1, 1)
        assert (reader.seq, len(reader.decisions())) == (2, 2)


def test_a_reader_cannot_write(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    open_ledger(path).close()
    with read_only(path) as reader, pytest.raises(sqlite3.OperationalError, match="readonly"):
        reader._connection.execute("DELETE FROM meta")


def test_a_ledger_that_is_open_elsewhere_says_so(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with open_ledger(path) as ledger:
        ledger._connection.execute("PRAGMA busy_timeout = 1")
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with (
            pytest.raises(StoreError, match=r"locked.*close that program"),
            ledger.block(1, block(1)),
        ):
            pytest.fail("the block was opened")
        other.execute("ROLLBACK")
        other.close()
        with ledger.block(1, block(1)):
            pass
        assert ledger.seq == 1


# -- what can be wrong with the file --------------------------------------------------------------


def test_the_ledger_of_another_chain_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    open_ledger(path).close()
    with pytest.raises(StoreError, match="of chain 137, not of chain 1"):
        LedgerDb.open(path, chain_id=1, history=tmp_path)
    open_ledger(path).close()


def test_a_moved_history_is_noted(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    open_ledger(path).close()
    with LedgerDb.open(path, chain_id=arrivals.CHAIN_ID, history=Path("moved")) as ledger:
        assert ledger.history == Path("moved")
    with read_only(path) as reader:
        assert reader.history == Path("moved")


def test_a_missing_ledger_says_what_to_start(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match=r"does not exist.*Start paper-trading"):
        read_only(tmp_path / "ledger.db")


def test_a_file_that_is_no_database_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    path.write_bytes(b"not a database at all" * 100)
    for opened in (open_ledger, read_only):
        with pytest.raises(StoreError, match=r"not a database.*starts a new one"):
            opened(path)
    assert path.read_bytes().startswith(b"not a database at all")


def test_a_damaged_ledger_says_so(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    with open_ledger(path) as ledger:
        for seq in range(1, 30):
            books.trade(ledger, seq)
    data = bytearray(path.read_bytes())
    for page in range(4096, len(data), 4096):
        data[page : page + 64] = b"\xff" * 64
    path.write_bytes(data)
    with pytest.raises(StoreError, match=r"malformed.*starts a new one"), read_only(path) as reader:
        reader.fills()


def test_another_programs_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE songs (name)")
    connection.close()
    for opened in (open_ledger, read_only):
        with pytest.raises(StoreError, match="not a ledger"):
            opened(path)


def test_an_unknown_schema_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    open_ledger(path).close()
    connection = sqlite3.connect(path)
    connection.execute("UPDATE meta SET value = '99' WHERE key = 'schema'")
    connection.commit()
    connection.close()
    for opened in (open_ledger, read_only):
        with pytest.raises(StoreError, match="has ledger schema 99, this program knows 2 to 4"):
            opened(path)


def test_a_full_disk_loses_nothing_and_the_same_block_can_be_tried_again(tmp_path: Path) -> None:
    path, wal = tmp_path / "ledger.db", tmp_path / "ledger.db-wal"
    refused = 0
    with open_ledger(path) as ledger:
        for seq in range(1, 61):
            if seq % 5 == 0:
                with no_room(wal.stat().st_size), pytest.raises(StoreError, match="Free space"):
                    books.trade(ledger, seq)
                assert ledger.seq == seq - 1
                refused += 1
            books.trade(ledger, seq)
        digest = ledger.digest()
    assert refused == 12
    with open_ledger(tmp_path / "whole.db") as whole:
        for seq in range(1, 61):
            books.trade(whole, seq)
        assert whole.digest() == digest


def test_kill_9_at_any_moment_gives_the_ledger_of_an_uninterrupted_run(tmp_path: Path) -> None:
    random_ = random.Random(9)
    killed, whole = tmp_path / "killed.db", tmp_path / "whole.db"
    for _ in range(5):
        said = run_until("ledger_process.py", killed, 250, lines=random_.randint(1, 40))
        with open_ledger(killed) as ledger:
            assert ledger.seq >= int(said[-1])
    run_until("ledger_process.py", killed, 250, lines=1000)
    with open_ledger(whole) as ledger:
        for seq in range(1, 251):
            books.trade(ledger, seq)
    with read_only(killed) as one, read_only(whole) as other:
        assert (one.seq, one.last_block) == (other.seq, other.last_block)
        assert one.digest() == other.digest()
        assert one.totals() == other.totals()
        assert one.epochs() == other.epochs()
        assert one.fills() == other.fills()
        assert len(one.fills()) > 200
        for row in one.totals():
            assert row.sent == (
                row.filled + row.reverted + row.lost + row.expired + row.reorged + row.open
            )
