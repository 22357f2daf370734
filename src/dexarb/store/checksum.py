"""Checksums: a chained CRC-32 in every line, SHA-256 over closed segments.

A line of a history is a JSON object whose last field is `"crc"`: the CRC-32 of all that stands
before that field, begun with the crc of the line before it (0 for a segment's first line). So a
line that is changed, lost, doubled or in a wrong place does not fit, whatever it says. Lines of
schema 1 carry none; their whole text goes into the chain, so that the first line behind them speaks
for them too. CRC-32 finds damage; it is no protection against somebody who wants to deceive.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path
from zlib import crc32

from dexarb.errors import StoreError
from dexarb.store.files import disk_errors

_START, _END = b',"crc":"', b'"}'
_LENGTH = len(_START) + 8 + len(_END)
_CHUNK = 1 << 20
REMEDY = "Restore the file from a copy, or start a new history in another folder"


def seal(line: bytes, before: int) -> tuple[bytes, int]:
    """A JSON object with its crc as last field, and the crc. before: the crc of the line before."""
    body = line[:-1]
    crc = crc32(body, before)
    return b"%b%b%08x%b" % (body, _START, crc, _END), crc


def is_sealed(line: bytes) -> bool:
    """Whether the line ends in a crc, a right one or not."""
    tail = line[-_LENGTH:]
    return tail.startswith(_START) and tail.endswith(_END)


def crc_of(line: bytes) -> int:
    """What a sealed line says its crc is."""
    return int(line[-len(_END) - 8 : -len(_END)], 16)


def follow(line: bytes, before: int) -> int | None:
    """The crc of a line behind one with the crc `before`; None if it carries another one.

    A line that carries none goes into the chain as a whole.
    """
    if not is_sealed(line):
        return crc32(line, before)
    crc = crc32(memoryview(line)[:-_LENGTH], before)
    # Compared as text: a flipped bit can turn a letter into its capital, which is the same number.
    return crc if line[-_LENGTH:] == b"%b%08x%b" % (_START, crc, _END) else None


class Chain:
    """Mutable: the crc of the lines of one segment, taken one by one.

    crc_from: the first entry whose line has to carry a crc.
    """

    def __init__(self, first_seq: int, crc_from: int, where: object) -> None:
        self.next_seq = first_seq
        self.crc = 0
        self._crc_from = crc_from
        self._where = where

    def take(self, line: bytes) -> None:
        """The next line. Raises StoreError, naming the entry, if it is damaged."""
        crc = follow(line, self.crc)
        if crc is None or (self.next_seq >= self._crc_from and not is_sealed(line)):
            raise StoreError(
                self._where, f"entry {self.next_seq} is damaged: its crc does not fit", REMEDY
            )
        self.crc = crc
        self.next_seq += 1

    def has_lost_its_newline(self, rest: bytes) -> bool:
        """Whether what stands behind the last newline is damage rather than a line on its way:
        a whole line, and behind it something else than a newline."""
        line = rest[:-1]
        return is_sealed(line) and follow(line, self.crc) is not None


def digest(folder: Path, names: Iterable[str]) -> str:
    """SHA-256, in hex, over names, sizes and contents of these files, as far as they are there.

    Raises StoreError.
    """
    total = hashlib.sha256()
    with disk_errors(folder, "cannot be read"):
        for path in (folder / name for name in sorted(names)):
            if not path.exists():
                continue
            with path.open("rb") as file:
                total.update(f"{path.name}\0{path.stat().st_size}\0".encode())
                while chunk := file.read(_CHUNK):
                    total.update(chunk)
    return total.hexdigest()
