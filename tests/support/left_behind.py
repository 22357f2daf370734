"""Secrets in what programs leave behind: their files, their words, what they were called with."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from pathlib import Path

ALLOWED = {("signed", "raw")}
"""Columns that hold signed transactions, to be given out again."""


def spellings(secret: bytes) -> Iterator[bytes]:
    """As bytes, and as hexadecimal digits of either case."""
    yield secret
    yield secret.hex().encode()
    yield secret.hex().upper().encode()


def found_in(folder: Path, secrets: Mapping[str, bytes], apart: Iterable[Path]) -> list[str]:
    """Which secret stands in which file of a folder. apart: files that are there to hold them."""
    kept = set(apart)
    files = [each for each in folder.rglob("*") if each.is_file() and each not in kept]
    return [
        f"{name} in {each.relative_to(folder)}"
        for each in files
        for name in told_by(_content(each), secrets)
    ]


def told_by(content: bytes, secrets: Mapping[str, bytes]) -> list[str]:
    return [
        name
        for name, secret in secrets.items()
        if any(each in content for each in spellings(secret))
    ]


def _content(path: Path) -> bytes:
    """Of a database all that a reader of its rows sees, but for the columns allowed."""
    if path.suffix != ".sqlite":
        return path.read_bytes() if not path.name.endswith(("-wal", "-shm")) else b""
    with closing(sqlite3.connect(path)) as connection:
        tables = [name for (name,) in connection.execute(
            "SELECT name FROM sqlite_master WHERE type = 'table'"
        )]  # fmt: skip
        return b"\n".join(
            value if isinstance(value, bytes) else str(value).encode()
            for table in tables
            for column in _columns(connection, table)
            for (value,) in connection.execute(f"SELECT {column} FROM {table}")
        )


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    names = [name for _, name, *_ in connection.execute(f"PRAGMA table_info ({table})")]
    return [name for name in names if (table, name) not in ALLOWED]
