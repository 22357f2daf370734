"""The history's folder: its manifest, its segments and their lines.

A segment is named by the seq of its first entry, which is always a keyframe. Seqs have no holes,
so the segment after an entry can only have one name, and an entry's line only one number.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import msgspec

from dexarb.errors import StoreError
from dexarb.store import checksum
from dexarb.store.files import disk_errors, replace_file

SCHEMA_VERSION = 4
SEALED_VERSIONS = (2, 3, 4)
"""Those whose manifest ends in a crc of its own."""
MANIFEST = "manifest.json"
EARLIER, EARLIER_LOCK = "earlier.json", "earlier.lock"
LINES_SUFFIX = ".jsonl"
KEYFRAME_FILE, CHANGES_FILE, BREAK_FILE = "keyframe.json", "changes.jsonl", "break.json"
PARQUET_FILES = ("blocks.parquet", "logs.parquet", "transactions.parquet")
SEGMENT_FILES = (*PARQUET_FILES, KEYFRAME_FILE, CHANGES_FILE, BREAK_FILE)
"""Of a closed segment; the last two only where there are such entries."""
TEMPORARY_SUFFIX = ".tmp"
KEYFRAME_PREFIX = b'{"kind":"keyframe"'
CHANGES_PREFIX, BREAK_PREFIX = b'{"kind":"pools"', b'{"kind":"break"'
_CHUNK = 1 << 18


class Manifest(msgspec.Struct, frozen=True):
    """What a history is of. schema: version of the format, see docs/history-format.md.

    crc_from: the first entry whose line carries a crc, None in schema 1, which knows none. digests:
    of the closed segments' files, by segment name.
    """

    schema: int
    chain_id: int
    chain: str
    crc_from: int | None = None
    digests: dict[str, str] = {}


@dataclass(frozen=True, slots=True, order=True)
class HistorySegment:
    """closed: a folder of Parquet files; otherwise a file of JSON lines."""

    first_seq: int
    path: Path
    closed: bool


def segment_name(first_seq: int) -> str:
    """Twelve characters, of which a minus is the first before entry 0."""
    return f"{first_seq:012d}"


def read_manifest(folder: Path) -> Manifest | None:
    """None where there is no history yet. Raises StoreError for one that cannot be read."""
    path = folder / MANIFEST
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StoreError(path, f"cannot be read: {error.strerror}") from error
    line = data.removesuffix(b"\n")
    if checksum.is_sealed(line) and (line == data or checksum.follow(line, 0) is None):
        raise StoreError(path, "is damaged: its crc does not fit", checksum.REMEDY)
    try:
        version = msgspec.json.decode(data, type=dict[str, object]).get("schema")
        if version == 1 or (version in SEALED_VERSIONS and checksum.is_sealed(line)):
            return msgspec.json.decode(data, type=Manifest)
    except (msgspec.DecodeError, ValueError) as error:
        raise StoreError(path, f"is not a history manifest: {error}") from error
    if version in SEALED_VERSIONS:
        raise StoreError(path, "is damaged: it carries no crc", checksum.REMEDY)
    raise StoreError(
        path,
        f"has schema {version!r}, this program knows 1 to {SCHEMA_VERSION}",
        "Use the version of dexarb that wrote it, or start a new history in another folder",
    )


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Raises StoreError, and the old one stands."""
    line, _ = checksum.seal(msgspec.json.encode(manifest), 0)
    replace_file(folder / MANIFEST, line + b"\n", durable=True)


def read_earlier_digests(folder: Path) -> dict[str, str]:
    """Of the segments before the first entry, by their names. Raises StoreError."""
    path = folder / EARLIER
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise StoreError(path, f"cannot be read: {error.strerror}") from error
    line = data.removesuffix(b"\n")
    if line == data or not checksum.is_sealed(line) or checksum.follow(line, 0) is None:
        raise StoreError(path, "is damaged: its crc does not fit", checksum.REMEDY)
    return msgspec.json.decode(line, type=_Earlier).digests


def write_earlier_digests(folder: Path, digests: dict[str, str]) -> None:
    """Raises StoreError, and the old ones stand."""
    line, _ = checksum.seal(msgspec.json.encode(_Earlier(digests)), 0)
    replace_file(folder / EARLIER, line + b"\n", durable=True)


class _Earlier(msgspec.Struct):
    digests: dict[str, str]


def digest_of(segment_folder: Path) -> str:
    """What the manifest keeps of a closed segment. Raises StoreError."""
    return checksum.digest(segment_folder, SEGMENT_FILES)


def list_segments(folder: Path) -> list[HistorySegment]:
    """In order. Lines count as long as they are there: they go only when the folder they became
    stands and the manifest knows its digest. An empty file, which only a power failure leaves, is
    no segment."""
    seen = _scan(folder)
    # A scan is not atomic: it can miss a segment that is being compacted at this moment.
    while (again := _scan(folder)) != seen:
        seen = again
    return seen


def find_segment(folder: Path, first_seq: int) -> HistorySegment | None:
    """The segment that starts with this entry, if it exists."""
    name = segment_name(first_seq)
    closed, lines = folder / name, folder / (name + LINES_SUFFIX)
    # Lines first: they go only after the folder has come.
    if _has_content(lines):
        return HistorySegment(first_seq, lines, closed=False)
    return HistorySegment(first_seq, closed, closed=True) if closed.exists() else None


def drop_doubles(folder: Path, manifest: Manifest) -> None:
    """Where lines and the folder that they became are both there, as after a kill between the two:
    keep the folder if the manifest knows its digest, else the lines. Raises StoreError.

    Only for the holder of the writer's lock.
    """
    with disk_errors(folder, "cannot be mended"):
        for lines in folder.glob(f"[0-9]*{LINES_SUFFIX}"):
            closed = lines.with_suffix("")
            if not closed.exists():
                continue
            known = manifest.digests.get(closed.name)
            if known is not None and known == digest_of(closed):
                lines.unlink()
            elif _has_content(lines):
                shutil.rmtree(closed)


def _scan(folder: Path) -> list[HistorySegment]:
    found: dict[int, HistorySegment] = {}
    with disk_errors(folder, "cannot be read"), os.scandir(folder) as entries:
        for entry in entries:
            stem, dot, _ = entry.name.partition(".")
            if not stem.removeprefix("-").isdigit() or (dot and entry.name != stem + LINES_SUFFIX):
                continue
            if dot and not _has_content(entry):
                continue
            if dot or int(stem) not in found:
                found[int(stem)] = HistorySegment(int(stem), folder / entry.name, closed=not dot)
    return sorted(found.values())


def _has_content(lines: Path | os.DirEntry[str]) -> bool:
    """False also for a file that is not there, or has gone since it was listed."""
    try:
        return lines.stat().st_size > 0
    except FileNotFoundError:
        return False


class LineReader:
    """Complete lines of a file that another process may be appending to, each line once.

    Raises FileNotFoundError at construction, StoreError where reading fails. The file may be
    removed meanwhile: what is open stays readable.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offset = 0
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def lines(self) -> Iterator[bytes]:
        """Lines without their newlines, up to the last newline there is now.

        What stands behind it is read again next time: a writer may cut it off.
        """
        want = _CHUNK
        while True:
            with disk_errors(self.path, "cannot be read"):
                data = os.pread(self._fd, want, self.offset)
            end = data.rfind(b"\n")
            if end < 0:
                if len(data) < want:
                    return
                want *= 4
                continue
            want = _CHUNK
            for line in data[:end].split(b"\n"):
                self.offset += len(line) + 1
                yield line

    def rest(self) -> bytes:
        """What stands behind the lines that were read."""
        with disk_errors(self.path, "cannot be read"):
            size = os.fstat(self._fd).st_size
            return os.pread(self._fd, max(0, size - self.offset), self.offset)

    def close(self) -> None:
        os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()


def last_line(path: Path) -> bytes | None:
    """The last complete line. Raises OSError."""
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        want = _CHUNK
        while True:
            start = max(0, size - want)
            file.seek(start)
            tail = file.read(size - start)
            end = tail.rfind(b"\n")
            begin = tail.rfind(b"\n", 0, end) if end >= 0 else -1
            if begin >= 0 or (start == 0 and end >= 0):
                return tail[begin + 1 : end]
            if start == 0:
                return None
            want *= 4
