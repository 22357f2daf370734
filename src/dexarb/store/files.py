"""The few things every file of the store needs: whole-file replacement, syncing, clear errors."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from errno import EACCES, EDQUOT, EFBIG, ENOSPC, EPERM, EROFS
from pathlib import Path

from dexarb.errors import StoreError

_NO_SPACE = {ENOSPC, EDQUOT, EFBIG}
_NO_RIGHT = {EACCES, EPERM, EROFS}


def store_error(path: object, doing: str, error: OSError) -> StoreError:
    """The system's complaint in the project's words, with a remedy where one is known."""
    remedy = None
    if error.errno in _NO_SPACE:
        remedy = "Free space or raise the limit; writing goes on where it stopped"
    elif error.errno in _NO_RIGHT:
        remedy = "Give this user the right to write there, or choose another folder"
    return StoreError(path, f"{doing}: {error.strerror or error}", remedy)


@contextmanager
def disk_errors(path: object, doing: str) -> Iterator[None]:
    """OSError becomes StoreError."""
    try:
        yield
    except OSError as error:
        raise store_error(path, doing, error) from error


def write_all(fd: int, data: bytes | memoryview) -> None:
    """os.write until everything is written. Raises OSError, with any part of it written."""
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(fd, rest) :]


def replace_file(path: Path, data: bytes, *, durable: bool) -> None:
    """Write a temporary file beside `path` and rename it: readers see the old or the new whole.

    durable: also survive a power failure, at the price of two fsyncs. After a failure the old
    file stands and no temporary file is left. Raises StoreError.
    """
    temporary = path.with_name(f".{path.name}.tmp")
    try:
        # One that a crash has left is in the way, and through a link we would write elsewhere.
        temporary.unlink(missing_ok=True)
        fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            write_all(fd, data)
            if durable:
                os.fsync(fd)
        finally:
            os.close(fd)
        temporary.rename(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise store_error(path, "cannot be written", error) from error
    if durable:
        sync_folder(path.parent)


def sync_file(path: Path) -> None:
    """fsync a file that somebody else has written. Raises StoreError."""
    _fsync(path, os.O_RDONLY)


def sync_folder(path: Path) -> None:
    """fsync a folder, which makes creations, renames and removals in it lasting."""
    _fsync(path, os.O_RDONLY | os.O_DIRECTORY)


def _fsync(path: Path, flags: int) -> None:
    with disk_errors(path, "cannot be synced to disk"):
        fd = os.open(path, flags | os.O_CLOEXEC)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
