"""Lines of a history, edited as no writer would: their crcs are made to fit again."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from dexarb.store import checksum

Lines = list[dict[str, Any]]


def rewrite(path: Path, edit: Callable[[Lines], object]) -> None:
    """Edit all lines of an open segment."""
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    edit(lines)
    for entry in lines:
        entry.pop("crc", None)
    write(path, (json.dumps(entry, separators=(",", ":")).encode() for entry in lines))


def write(path: Path, lines: Iterable[bytes]) -> None:
    """All lines of an open segment, which carry no crc yet."""
    crc = 0
    sealed = []
    for entry in lines:
        line, crc = checksum.seal(entry, crc)
        sealed.append(line + b"\n")
    path.write_bytes(b"".join(sealed))
