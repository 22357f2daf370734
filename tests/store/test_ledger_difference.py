"""Two ledgers part at the earliest block, and it is said in what."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from dexarb.store.ledger_difference import Difference, first_difference
from dexarb.store.ledger_reader import read_only
from tests.support.scenes import BOLD, IS_TAKEN, OPENS, STRATEGIES, scene
from tests.support.traded import record_and_trade

FILLED = "UPDATE fills SET {0} WHERE n = (SELECT min(n) FROM fills)"


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record_and_trade(tmp_path_factory.mktemp("traded"), *scene(), *STRATEGIES).ledger


def parted(ledger: Path, folder: Path, *changes: str) -> Difference | None:
    """The ledger against itself after these changes."""
    other = folder / "other.sqlite"
    with closing(sqlite3.connect(ledger)) as source, closing(sqlite3.connect(other)) as copy:
        source.backup(copy)
        for change in changes:
            copy.execute(change)
        copy.commit()
    with read_only(ledger) as one, read_only(other) as changed:
        assert (one.digest() == changed.digest()) is not bool(changes)
        return first_difference(one, changed)


def test_nothing_differs(ledger: Path, tmp_path: Path) -> None:
    assert parted(ledger, tmp_path) is None


def test_an_amount_is_told_with_its_block_and_strategy(ledger: Path, tmp_path: Path) -> None:
    later = "UPDATE skips SET times = times + 1"
    found = parted(ledger, tmp_path, FILLED.format("gas_used = 7"), later)
    assert found is not None
    assert (found.table, found.block, found.strategy) == ("fills", OPENS + 1, BOLD)
    assert (found.column, found.other) == ("gas_used", 7)
    assert found.one > 100_000


def test_a_row_that_only_one_has_is_told(ledger: Path, tmp_path: Path) -> None:
    """A decision comes before what became of it."""
    found = parted(ledger, tmp_path, "DELETE FROM fills", "DELETE FROM decisions")
    assert found is not None
    assert (found.table, found.block, found.strategy) == ("decisions", OPENS, BOLD)
    assert (found.column, found.one, found.other) == (None, True, False)


def test_an_earlier_block_comes_first(ledger: Path, tmp_path: Path) -> None:
    last = "UPDATE decisions SET gas_units = 1 WHERE n = (SELECT max(n) FROM decisions)"
    found = parted(ledger, tmp_path, last, FILLED.format("place = 99"))
    assert found is not None
    assert (found.table, found.block) == ("fills", OPENS + 1)


def test_evidence_belongs_to_no_strategy(ledger: Path, tmp_path: Path) -> None:
    found = parted(ledger, tmp_path, "UPDATE evidence SET outcome = 'vanished'")
    assert found is not None
    assert (found.table, found.strategy, found.column) == ("evidence", None, "outcome")
    assert found.block is not None
    assert found.block <= IS_TAKEN


def test_counters_have_no_block(ledger: Path, tmp_path: Path) -> None:
    counted = "UPDATE skips SET times = 77 WHERE reason = 'pair'"
    found = parted(ledger, tmp_path, counted, "UPDATE seen SET episodes = 9")
    assert found is not None
    assert (found.table, found.block, found.column, found.other) == ("skips", None, "times", 77)
    assert found.key[-1] == "pair"
    seen = parted(ledger, tmp_path, "UPDATE seen SET episodes = 9")
    assert seen is not None
    assert (seen.table, seen.column, seen.other) == ("strategies", "seen", 9)
