"""Copying the books while they are written, and looking into a copy."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from dexarb.errors import StoreError
from dexarb.store.ledger_reader import read_only
from dexarb.store.ledger_schema import ledger_errors


def copy_ledger(ledger: Path, target: Path) -> int:
    """The books after some entry, which is returned, while they are written; one file.

    Raises StoreError, also where the copy is damaged.
    """
    read_only(ledger).close()  # one that this program knows
    with (
        ledger_errors(ledger),
        closing(_reading(ledger)) as source,
        closing(sqlite3.connect(target)) as copy,
    ):
        source.backup(copy)  # in one step: in smaller ones it begins anew after each block
        copy.execute("PRAGMA journal_mode = DELETE")
    return look_into_ledger(target)


def look_into_ledger(path: Path) -> int:
    """The entry that the books include. Raises StoreError where they are damaged, or unknown."""
    with ledger_errors(path), closing(_reading(path)) as plain:
        (found,) = plain.execute("PRAGMA quick_check (1)").fetchone()
    if found != "ok":
        raise StoreError(path, f"is damaged: {found}", "Use another copy")
    with read_only(path) as reader:
        return reader.seq


def _reading(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)
