"""One writer at a time: flock on a file that names the holder."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from typing import Self

from dexarb.errors import Locked
from dexarb.store.files import disk_errors


class WriterLock:
    """Held from construction to `release`. The kernel frees it when the process ends, however.

    The lock file stays on disk: removing it would let a third process lock another file of the
    same name. Raises Locked, with the holder's process id, or StoreError.
    """

    def __init__(self, path: Path, guarded: Path) -> None:
        """path: the lock file. guarded: what it protects, named in the error."""
        with disk_errors(path, "cannot be locked"):
            fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = _holder(fd)
                os.close(fd)
                raise Locked(guarded, holder) from None
            except OSError:
                os.close(fd)
                raise
            self._fd: int | None = fd
            # The id serves only the message of a second writer, so a full disk must not stop us.
            with suppress(OSError):
                os.ftruncate(fd, 0)
                os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let the next writer in. A second call does nothing."""
        if self._fd is None:
            return
        fd, self._fd = self._fd, None
        with suppress(OSError):
            os.ftruncate(fd, 0)
        os.close(fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.release()


def lock_holder(path: Path) -> int | None:
    """The process that holds the lock file now; None where nobody does. Raises StoreError.

    Where the file names a process that does not hold it, as after kill -9, the lock is ours for an
    instant while this finds out.
    """
    with disk_errors(path, "cannot be read"):
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            named = _holder(fd)
            if named is not None:
                fcntl.flock(fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
                named = None
        except BlockingIOError:
            pass
        finally:
            os.close(fd)
        return named


def _holder(fd: int) -> int | None:
    """The process id in the lock file, unless it is the rest of a holder that was killed."""
    text = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
    if not text.isdigit():
        return None
    try:
        os.kill(int(text), 0)
    except (ProcessLookupError, OverflowError):
        return None
    except OSError:
        return int(text)  # it lives and belongs to another user
    return int(text)
