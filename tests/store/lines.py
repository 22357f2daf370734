"""Lines of a history, edited as no writer would: their crcs are made to fit again."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dexarb.store import checksum

Lines = list[dict[str, Any]]


def rewrite(path: Path, edit: Callable[[Lines], object]) -> None:
    """Edit all lines of an open segment."""
    lines = [json.loads(line) for line in path.read_bytes().splitlines()]
    edit(lines)
    crc = 0
    sealed = []
    for entry in lines:
        entry.pop("crc", None)
        line, crc = checksum.seal(json.dumps(entry, separators=(",", ":")).encode(), crc)
        sealed.append(line + b"\n")
    path.write_bytes(b"".join(sealed))
