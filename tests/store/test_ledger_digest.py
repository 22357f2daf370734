"""The digest is of the trades, all of them, and of nothing else."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import pytest

from dexarb.store.ledger_reader import read_only
from tests.store import books
from tests.store.books import STRATEGIES, block, decision, fill, open_ledger


def run(
    path: Path, *, ordinal: int = 0, seqs_from: int = 1, seen_at: float = 1, net: int = 7
) -> str:
    """The digest of a small run."""
    first, second = (replace(block(number), seen_at=seen_at) for number in (1, 2))
    made = decision("a", first)
    with open_ledger(path) as ledger:
        with ledger.block(seqs_from, first) as entry:
            entry.set_strategies([replace(STRATEGIES[0], ordinal=ordinal)])
            entry.add_decisions([made])
        with ledger.block(seqs_from + 3, second) as entry:
            entry.add_fills([fill(made, second, net=net)])
            entry.add_evidence([books.evidence(second)])
        return ledger.digest()


def test_the_digest_is_of_the_trades_and_not_of_the_run(tmp_path: Path) -> None:
    digest = run(tmp_path / "a")
    assert run(tmp_path / "b", ordinal=5, seqs_from=40, seen_at=9) == digest
    assert run(tmp_path / "c", net=8) != digest
    with read_only(tmp_path / "a") as reader:
        assert reader.digest() == digest


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE fills SET amount_out = '1'",
        "UPDATE fills SET reorged_seq = 9",
        "UPDATE decisions SET max_base_fee = '1'",
        "UPDATE decisions SET state = 'void'",
        "UPDATE strategies SET config = '[]'",
        "UPDATE evidence SET gain = '1'",
        "UPDATE blocks SET hash = hash || '0'",
        "INSERT INTO skips VALUES ('a', 1, 'pair', 1, NULL, NULL, NULL)",
    ],
)
def test_the_digest_changes_with_every_fact(tmp_path: Path, statement: str) -> None:
    path = tmp_path / "ledger.db"
    digest = run(path)
    connection = sqlite3.connect(path)
    connection.execute(statement)
    connection.commit()
    connection.close()
    with read_only(path) as reader:
        assert reader.digest() != digest
