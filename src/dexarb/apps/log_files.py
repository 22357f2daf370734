"""Log files of a bounded size: a run's own parts, and what earlier runs have left."""

from __future__ import annotations

import re
import time
from logging.handlers import RotatingFileHandler
from pathlib import Path

PARTS = 8
"""Files that a run's log is spread over; the oldest goes when the newest is full."""


def open_log(folder: Path, name: str, max_bytes: int) -> RotatingFileHandler:
    """FOLDER/NAME_TIME.log, which becomes NAME_TIME.log.1 and so on: together at most so many
    bytes. Of earlier runs as much is kept, the newest. Raises OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    _forget(folder, name, max_bytes)
    started = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
    return RotatingFileHandler(
        folder / f"{name}_{started}.log",
        maxBytes=max(1, max_bytes // PARTS),
        backupCount=PARTS - 1,
        encoding="utf-8",
    )


def _forget(folder: Path, name: str, max_bytes: int) -> None:
    """Remove the oldest logs of this program, until no more than so many bytes are left."""
    ours = re.compile(rf"{re.escape(name)}_\d{{8}}T\d{{6}}Z\.log(\.\d+)?")
    found = [path for path in folder.iterdir() if ours.fullmatch(path.name)]
    sizes = {path: path.stat() for path in found}
    total = 0
    for path in sorted(found, key=lambda each: sizes[each].st_mtime, reverse=True):
        total += sizes[path].st_size
        if total > max_bytes:
            path.unlink(missing_ok=True)
