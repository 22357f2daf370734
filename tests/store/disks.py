"""Disks without room, or that cannot be synced."""

from __future__ import annotations

import resource
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from dexarb.store.journal import Journal


@contextmanager
def no_room(limit: int) -> Iterator[None]:
    """No file of this process may grow beyond so many bytes: writes fail as on a full disk."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)


@contextmanager
def no_commit(journal: Journal) -> Iterator[None]:
    """Everything can be read and written, and nothing stays, as where a disk cannot be synced."""

    def judge(action: int, what: str | None, *_: object) -> int:
        is_commit = action == sqlite3.SQLITE_TRANSACTION and what == "COMMIT"
        return sqlite3.SQLITE_DENY if is_commit else sqlite3.SQLITE_OK

    journal._connection.set_authorizer(judge)
    try:
        yield
    finally:
        with suppress(sqlite3.ProgrammingError):  # it has been closed meanwhile
            journal._connection.set_authorizer(None)
