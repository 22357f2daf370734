"""A ledger of an earlier dexarb (fixtures/README.md) opens and goes on as if nothing had been."""

from __future__ import annotations

import gzip
import sqlite3
from pathlib import Path

import pytest

from dexarb.core.block import Block
from dexarb.core.trade import Incident
from dexarb.store.ledger_notes import (
    FIRST_SEQ,
    METRICS,
    RELOAD,
    SKIPS_SEQ,
    STATE_AGES,
    TRADER,
    Hasty,
    Metrics,
    ReloadOutcome,
)
from dexarb.store.ledger_reader import read_only
from tests.store.books import STRATEGIES, block, open_ledger, trade

FIXTURE = Path(__file__).parent / "fixtures" / "ledger_2.sqlite.gz"
DIGEST = "0385d863674d05704a69cc4255615adee3b31035e7edae00b7507455a55bac6c"
TRADED, LAST, LATER = 30, 31, 45


@pytest.fixture
def old(tmp_path: Path) -> Path:
    path = tmp_path / "old.sqlite"
    path.write_bytes(gzip.decompress(FIXTURE.read_bytes()))
    return path


def trade_anew(path: Path, until: int) -> None:
    """What the fixture's writer did, by the code of now."""
    with open_ledger(path) as ledger:
        for seq in range(1, TRADED + 1):
            trade(ledger, seq)
        with ledger.block(LAST, block(LAST)) as books:
            books.add_incidents([Incident(STRATEGIES[2].hash, block(LAST), "Traceback: no")])
        for seq in range(LAST + 1, until + 1):
            trade(ledger, seq)


def schema_of(path: Path) -> dict[str, str]:
    """The statements that made it, without their line breaks."""
    connection = sqlite3.connect(path)
    made = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql NOT NULL").fetchall()
    connection.close()
    return {name: " ".join(sql.split()) for name, sql in made}


def rows_of(path: Path) -> list[object]:
    with read_only(path) as reader:
        return [
            reader.strategies(),
            reader.epochs(),
            reader.decisions(),
            reader.fills(),
            reader.skips(),
            reader.evidence(),
            reader.incidents(),
            reader.standings(),
            reader.seq,
        ]


def test_it_has_the_tables_that_are_made_today(old: Path, tmp_path: Path) -> None:
    trade_anew(tmp_path / "new.sqlite", LAST)
    assert schema_of(old) == schema_of(tmp_path / "new.sqlite")


def test_it_reads_as_what_is_written_today(old: Path, tmp_path: Path) -> None:
    trade_anew(tmp_path / "new.sqlite", LAST)
    assert rows_of(old) == rows_of(tmp_path / "new.sqlite")
    with read_only(old) as reader:
        assert reader.digest() == DIGEST
        assert any(row.reorged_seq for row in reader.fills())
        assert all(isinstance(row.decision.block, Block) for row in reader.decisions())


def test_its_notes_are_read(old: Path) -> None:
    with read_only(old) as reader:
        assert (reader.note(FIRST_SEQ), reader.note(SKIPS_SEQ)) == (1, 30)
        assert reader.note(STATE_AGES) == ((1, 10.0), (20, 2.5))
        assert reader.note(TRADER) == "/etc/paper.toml"
        assert reader.note(METRICS) == Metrics({"p50": 1.5, "p99": None}, Hasty(0, ()))
        assert reader.note(RELOAD) == ReloadOutcome(
            number=3,
            asked_by="SIGHUP",
            config="/etc/paper.toml",
            at=1.7e9,
            clock=5.0,
            took_ms=1.5,
            warnings=("w",),
            changes=("c",),
            counts={"new": 1},
            from_entry=20,
        )


def test_trading_goes_on_in_it(old: Path, tmp_path: Path) -> None:
    with open_ledger(old) as ledger:
        for seq in range(LAST + 1, LATER + 1):
            trade(ledger, seq)
    trade_anew(tmp_path / "new.sqlite", LATER)
    assert rows_of(old) == rows_of(tmp_path / "new.sqlite")
    with read_only(old) as one, read_only(tmp_path / "new.sqlite") as other:
        assert one.digest() == other.digest() != DIGEST
