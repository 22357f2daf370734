"""The folder of a backup: what lies in it, and the list that says so.

::

    backup.json                what there is, with sizes and digests; written last
    config/…                   the TOML files
    pool_state.json            the collector's state
    ledger.sqlite              the books, as one file without a log of its own
    history/<chain id>/…       as docs/history-format.md describes it
    history/trials.jsonl       what was ever tried
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import msgspec

from dexarb.errors import StoreError
from dexarb.store import checksum
from dexarb.store.files import disk_errors, replace_file, write_all

BACKUP_SCHEMA = 1
LIST = "backup.json"
Kind = Literal["paper", "settings", "state", "ledger", "history", "trials"]
_CHUNK = 1 << 20
_REMEDY = "Use another backup"


class Item(msgspec.Struct, frozen=True):
    """One thing that belongs somewhere: a file, or the folder of a history.

    paper: the paper trader's file; settings: the other TOML files. place: below the backup. home:
    where it belongs, see `dexarb.config.run_files`.
    """

    kind: Kind
    place: str
    home: str


class Content(msgspec.Struct, frozen=True):
    """One file: its place below the backup, its size in bytes, its SHA-256 in hex."""

    place: str
    size: int
    sha256: str


class Backup(msgspec.Struct, frozen=True):
    """made_at: UNIX seconds. entry: the last of the history that the books include, None without
    books."""

    schema: int
    made_at: int
    chain_id: int
    entry: int | None
    items: list[Item]
    contents: list[Content]

    def files_of(self, item: Item) -> Iterator[Content]:
        """The item's own file, or all below it."""
        for each in self.contents:
            if each.place == item.place or each.place.startswith(f"{item.place}/"):
                yield each


def list_contents(folder: Path) -> list[Content]:
    """Every file below a folder. Raises StoreError."""
    found = []
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            size, digest = _measure(path)
            found.append(Content(str(path.relative_to(folder)), size, digest))
    return found


def write_list(folder: Path, backup: Backup) -> None:
    """Raises StoreError."""
    line, _ = checksum.seal(msgspec.json.encode(backup), 0)
    replace_file(folder / LIST, line + b"\n", durable=True)


def read_list(folder: Path) -> Backup:
    """Raises StoreError for what is no backup, a damaged one, or one of another format."""
    path = folder / LIST
    with disk_errors(path, "cannot be read"):
        if not path.exists():
            raise StoreError(folder, f"is no backup: there is no {LIST} in it")
        line = path.read_bytes().removesuffix(b"\n")
    if not checksum.is_sealed(line) or checksum.follow(line, 0) is None:
        raise StoreError(path, "is damaged: its crc does not fit", _REMEDY)
    version = msgspec.json.decode(line, type=dict[str, object]).get("schema")
    if version != BACKUP_SCHEMA:
        raise StoreError(
            path,
            f"has schema {version!r}, this program knows {BACKUP_SCHEMA}",
            "Use the version of dexarb that wrote it",
        )
    backup = msgspec.json.decode(line, type=Backup)
    for place in [item.place for item in backup.items] + [each.place for each in backup.contents]:
        if Path(place).is_absolute() or ".." in Path(place).parts:
            raise StoreError(path, f"names a file outside the backup: {place}", _REMEDY)
    return backup


def copy_checked(source: Path, target: Path, content: Content) -> None:
    """A file of a backup to a new place, which is its user's alone.

    Raises StoreError where it is not what the list says of it, or cannot be written.
    """
    with disk_errors(source, "cannot be read"):
        read = source.open("rb")
    digest = hashlib.sha256()
    with read, disk_errors(target, "cannot be written"):
        fd = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            while chunk := read.read(_CHUNK):
                digest.update(chunk)
                write_all(fd, chunk)
            os.fsync(fd)
        finally:
            os.close(fd)
    if digest.hexdigest() != content.sha256:
        raise StoreError(source, "is damaged: its digest is another one than when it was made")


def _measure(path: Path) -> tuple[int, str]:
    digest = hashlib.sha256()
    size = 0
    with disk_errors(path, "cannot be read"), path.open("rb") as file:
        while chunk := file.read(_CHUNK):
            size += len(chunk)
            digest.update(chunk)
    return size, digest.hexdigest()
