"""Copying the books while they are written, and looking into a copy."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from dexarb.errors import StoreError
from dexarb.store.ledger_reader import LedgerReader, open_to_read, read_only
from dexarb.store.ledger_schema import ledger_errors


def copy_ledger(ledger: Path, target: Path) -> int:
    """The books after some entry, which is returned, while they are written; one file.

    Raises StoreError, also where the copy is damaged.
    """
    read_only(ledger).close()  # one that this program knows
    with (
        ledger_errors(ledger),
        closing(open_to_read(ledger)) as source,
        closing(sqlite3.connect(target)) as copy,
    ):
        source.backup(copy)  # in one step: in smaller ones it begins anew after each block
        copy.execute("PRAGMA journal_mode = DELETE")
    with whole_ledger(target) as books:
        return books.seq if books.last_block else 0


def whole_ledger(path: Path) -> LedgerReader:
    """As `read_only`. Raises StoreError also where the books are damaged."""
    with ledger_errors(path), closing(open_to_read(path)) as plain:
        (found,) = plain.execute("PRAGMA quick_check (1)").fetchone()
    if found != "ok":
        raise StoreError(path, f"is damaged: {found}", "Use another copy")
    return read_only(path)
