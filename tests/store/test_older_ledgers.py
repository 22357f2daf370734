"""Ledgers of an earlier dexarb (fixtures/README.md) open and go on as if nothing had been."""

from __future__ import annotations

import gzip
import sqlite3
from pathlib import Path

import pytest

from dexarb.core.block import Block
from dexarb.core.trade import Incident
from dexarb.errors import StoreError
from dexarb.store.ledger_db import LedgerDb
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
from dexarb.store.ledger_rows import RealityRow
from dexarb.store.ledger_schema import BEFORE_REALITIES, BEFORE_SEEN, LEDGER_SCHEMA
from tests.store.books import HISTORY, STRATEGIES, block, open_ledger, trade

FIXTURES = Path(__file__).parent / "fixtures"
DIGEST = "0385d863674d05704a69cc4255615adee3b31035e7edae00b7507455a55bac6c"
TRADED, LAST, LATER = 30, 31, 45


def copied(folder: Path, schema: int) -> Path:
    path = folder / f"schema_{schema}.sqlite"
    path.write_bytes(gzip.decompress((FIXTURES / f"ledger_{schema}.sqlite.gz").read_bytes()))
    return path


@pytest.fixture(params=[BEFORE_REALITIES, BEFORE_SEEN])
def old(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return copied(tmp_path, request.param)


@pytest.fixture
def oldest(tmp_path: Path) -> Path:
    return copied(tmp_path, BEFORE_REALITIES)


def trade_anew(path: Path, until: int) -> None:
    """What the fixtures' writers did, by the code of now."""
    with open_ledger(path) as ledger:
        for seq in range(1, TRADED + 1):
            trade(ledger, seq)
        with ledger.block(LAST, block(LAST)) as books:
            books.add_incidents([Incident(STRATEGIES[2].hash, block(LAST), "Traceback: no")])
        for seq in range(LAST + 1, until + 1):
            trade(ledger, seq)


def schema_of(path: Path) -> dict[str, str]:
    """The statements that made it, without their line breaks and what stands at brackets. Older
    ledgers keep the rule for states that they have: it allows the same."""
    connection = sqlite3.connect(path)
    made = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql NOT NULL").fetchall()
    connection.close()
    older, now = (
        "state IN ('open', 'settled', 'void')",
        ("state = 'open' OR state = 'settled' OR state = 'void'"),
    )
    plain = {name: " ".join(sql.split()).replace("( ", "(") for name, sql in made}
    return {name: sql.replace(older, now) for name, sql in plain.items()}


def rows_of(path: Path) -> list[object]:
    with read_only(path) as reader:
        return [
            reader.strategies(),
            reader.epochs(),
            reader.realities(),
            reader.decisions(),
            reader.fills(),
            reader.skips(),
            reader.evidence(),
            reader.incidents(),
            reader.totals(),
            reader.seq,
        ]


def test_opened_for_writing_it_has_the_tables_that_are_made_today(
    old: Path, tmp_path: Path
) -> None:
    trade_anew(tmp_path / "new.sqlite", LAST)
    before = rows_of(old)
    for _ in range(2):
        open_ledger(old).close()
    assert schema_of(old) == schema_of(tmp_path / "new.sqlite")
    assert rows_of(old) == before
    with read_only(old) as reader:
        assert (reader.schema, reader.digest()) == (LEDGER_SCHEMA, DIGEST)


def test_to_read_it_changes_nothing(old: Path) -> None:
    before = old.read_bytes()
    with read_only(old) as reader:
        assert f"schema_{reader.schema}.sqlite" == old.name
        assert reader.realities() == []
        assert {epoch.reality for epoch in reader.epochs()} == {None}
    assert old.read_bytes() == before


def test_while_another_program_holds_it_nothing_is_changed(old: Path) -> None:
    other = sqlite3.connect(old, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreError, match="locked"):
        open_ledger(old)
    other.execute("ROLLBACK")
    other.close()
    with read_only(old) as reader:
        assert reader.schema < LEDGER_SCHEMA
    open_ledger(old).close()
    with read_only(old) as reader:
        assert reader.schema == LEDGER_SCHEMA


def test_a_ledger_of_another_chain_stays_as_it_is(old: Path) -> None:
    with pytest.raises(StoreError, match="not of chain 7"):
        LedgerDb.open(old, chain_id=7, history=HISTORY)
    with read_only(old) as reader:
        assert reader.schema < LEDGER_SCHEMA


def test_a_reader_that_was_there_before_goes_on_reading(old: Path) -> None:
    before = rows_of(old)
    with read_only(old) as reader, read_only(old) as other:
        assert reader.strategies() == before[0]
        open_ledger(old).close()
        for _ in range(2):
            with reader.at_one_moment():
                assert (reader.strategies(), reader.digest()) == (before[0], DIGEST)
        assert other.totals()


def test_what_its_epochs_were_traded_in_stays_unknown_and_new_ones_tell(old: Path) -> None:
    with read_only(old) as reader:
        ended = [epoch for epoch in reader.epochs() if epoch.to_seq is not None]
    with open_ledger(old) as ledger:
        active = [row for row in ledger.strategies() if row.hash in ledger.active()]
        with ledger.block(LAST + 1, block(LAST + 1)) as books:
            books.set_strategies(active, RealityRow("aa", "{}"))
        epochs = ledger.epochs()
        assert [epoch for epoch in epochs if epoch.reality is None and epoch.to_seq == LAST]
        assert set(ended) <= set(epochs)
        assert {epoch.from_seq for epoch in ledger.active().values()} == {LAST + 1}
        assert {epoch.reality for epoch in ledger.active().values()} == {"aa"}


def test_it_reads_as_what_is_written_today(old: Path, tmp_path: Path) -> None:
    trade_anew(tmp_path / "new.sqlite", LAST)
    assert rows_of(old) == rows_of(tmp_path / "new.sqlite")
    with read_only(old) as reader:
        assert reader.digest() == DIGEST
        assert any(row.reorged_seq for row in reader.fills())
        assert all(isinstance(row.decision.block, Block) for row in reader.decisions())


def test_its_notes_are_read(oldest: Path) -> None:
    with read_only(oldest) as reader:
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
