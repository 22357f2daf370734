"""Noticing that a file has been written, by looking at it now and then."""

from __future__ import annotations

import time
from pathlib import Path

LOOK_EVERY_S = 0.25

Stamp = tuple[int, int, int]
"""Inode, modification time in nanoseconds, size: an editor changes at least one of them."""


class FileWatch:
    """Mutable. Tells once of each new state of a file, when two looks have found the same.

    So a file that is still being written is left alone, and so is one that is gone for the moment
    in which an editor replaces it.
    """

    def __init__(self, path: Path, *, look_every_s: float = LOOK_EVERY_S) -> None:
        self._path = path
        self._look_every_s = look_every_s
        self._known = self._last = self._stamp()
        self._looked_at = time.monotonic()

    def has_changed(self) -> bool:
        """Cheap enough for an idle loop: between two looks it only reads the clock."""
        now = time.monotonic()
        if now - self._looked_at < self._look_every_s:
            return False
        self._looked_at = now
        last, self._last = self._last, self._stamp()
        if self._last is None or self._last == self._known or self._last != last:
            return False
        self._known = self._last
        return True

    def read(self) -> None:
        """The file is about to be read: what has been written until now needs no telling."""
        self._known = self._last = self._stamp()

    def _stamp(self) -> Stamp | None:
        """None while there is no such file."""
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size
