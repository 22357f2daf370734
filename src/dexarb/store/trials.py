"""The register of trials: what was ever tried on some pools, an append-only file beside the
histories.

The best of many is lucky, so whoever calls one the best has to know how many there were: those of
runs that are over, of sweeps whose files are gone, and of configurations that nobody uses any
more. The file lies in the folder that holds the histories, `data/history/trials.jsonl`, and so
outlives a ledger, a history and all copies and slices of it that lie there. A family is known by
its chain and pools, wherever the history lies: copies of the register can be read together, and
what stands in both counts once.

Every line is a JSON object with a crc chained over the lines (see store/checksum.py), so that one
that was changed or taken out is noticed. A torn line at the end is what a crash leaves: whoever
wrote it was not told that it stands.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path

import msgspec

from dexarb import __version__
from dexarb.core.pool import PoolKey
from dexarb.core.trade import StrategyHash
from dexarb.errors import StoreError
from dexarb.store import checksum
from dexarb.store.files import disk_errors, sync_folder, write_all
from dexarb.store.history_reader import HistoryReader
from dexarb.store.segment import last_line

REGISTER_FILE = "trials.jsonl"
MOST_NAMED = 256
"""A trial of more configurations names only their digest: a sweep of ten thousand is a line like
any other. Fewer are named, and counted once however often they are tried."""
REMEDY = "Restore it from a copy; without it nobody knows how many were tried"
_DIGITS = 16
_POOL_DIGITS = 12


class TrialKind(StrEnum):
    LIVE = "live"
    REPLAY = "replay"
    SWEEP = "sweep"
    TUNE = "tune"


class Family(msgspec.Struct, frozen=True, tag="family"):
    """A chain and pools. id: 16 hexadecimal digits over both. pools: the first 12 digits of the
    SHA-256 of each pool's key, sorted: enough to see whether two families share any."""

    id: str
    chain_id: int
    pools: tuple[str, ...]

    def is_kin(self, other: Family) -> bool:
        """A pool more or less makes no other family, or anybody could begin to count anew."""
        if self.chain_id != other.chain_id:
            return False
        return self.id == other.id or not set(self.pools).isdisjoint(other.pools)


class Trial(msgspec.Struct, frozen=True, tag="trial"):
    """Configurations that were run over blocks. family: its id. at: UTC second. first_block,
    last_block: block numbers; None: it goes on. configs: how many different ones. digest: 16 hex
    digits over their hashes. hashes: they themselves, none where there are more than MOST_NAMED.
    engine: version of the program. file: where its results are, for people.
    """

    kind: TrialKind
    family: str
    at: int
    first_block: int
    last_block: int | None
    configs: int
    digest: str
    hashes: tuple[StrategyHash, ...]
    engine: str
    file: str | None = None


class Finalists(msgspec.Struct, frozen=True, tag="finalists"):
    """Those chosen for confirmation, and the rule that chose them. block: the newest one known
    when they were registered; only what is decided behind it counts. second: its UTC timestamp."""

    family: str
    at: int
    block: int
    second: int
    rule: str
    hashes: tuple[StrategyHash, ...]
    names: tuple[str, ...]


OfFamily = Trial | Finalists
Record = Family | OfFamily


def register_of(history: Path) -> Path:
    """The register for a history's folder."""
    return history.absolute().parent / REGISTER_FILE


def family_of(history: Path) -> Family:
    """By the newest keyframe. Raises StoreError where there is no history."""
    reader = HistoryReader(history)
    newest = next(reader.keyframe_headers(), None)
    pools = () if newest is None else reader.keyframe(newest.seq).pools
    return make_family(reader.manifest.chain_id, (pool.key for pool in pools))


def make_family(chain_id: int, pools: Iterable[PoolKey]) -> Family:
    short = tuple(sorted({_hex(str(each))[:_POOL_DIGITS] for each in pools}))
    return Family(_hex(f"{chain_id}\n" + "\n".join(short))[:_DIGITS], chain_id, short)


def record_trial(
    history: Path,
    kind: TrialKind,
    configs: Iterable[StrategyHash],
    *,
    first_block: int,
    last_block: int | None,
    at: int,
    file: str | None = None,
    family: Family | None = None,
) -> Trial:
    """Enter a trial into the register beside `history`: the one call for live, replay, sweep, tune.

    Call it before anybody sees a result (best before the run begins): what was looked at and then
    stopped has been tried too. A sweep or tuning is one call with all its configurations.

    history: the folder that is read, `data/history/<chain id>`, which tells the family. configs:
    the hashes of the strategies (`StrategySettings.hash`); one that comes twice counts once.
    first_block, last_block: of the span, both included; last None for a run that goes on, which
    is entered once, however often its program starts. at: UTC second, which the program gives.
    file: where the results are. family: where it is known already; else by the newest keyframe.

    It stands on the disk when this returns; several processes may enter trials at once. Raises
    StoreError where it cannot be written, or the history cannot be read; then nothing stands.
    """
    hashes = sorted(set(configs))
    family = family or family_of(history)
    trial = Trial(
        kind,
        family.id,
        at,
        first_block,
        last_block,
        len(hashes),
        _hex("\n".join(hashes))[:_DIGITS],
        tuple(hashes) if len(hashes) <= MOST_NAMED else (),
        __version__,
        file,
    )
    enter(register_of(history), family, trial)
    return trial


def enter(register: Path, family: Family, record: OfFamily) -> None:
    """Append a record, and its family where the register does not know it yet. Raises StoreError,
    and then nothing of it stands."""
    with _locked(register) as fd:
        known = read_register(register)
        if _goes_on(record) and any(_same_run(record, each) for each in known):
            return
        lines = [record] if family in known else [family, record]
        last = last_line(register)
        crc = 0 if last is None else checksum.crc_of(last)
        data = b""
        for each in lines:
            line, crc = checksum.seal(msgspec.json.encode(each), crc)
            data += line + b"\n"
        end = os.lseek(fd, 0, os.SEEK_END)
        with disk_errors(register, "cannot be written"):
            try:
                write_all(fd, data)
                os.fsync(fd)
            except OSError:
                os.ftruncate(fd, end)
                raise
    sync_folder(register.parent)


def read_register(register: Path) -> list[Record]:
    """All records in order; none where there is no file. Raises StoreError for one that is damaged
    or has lost lines between others."""
    with disk_errors(register, "cannot be read"):
        try:
            data = register.read_bytes()
        except FileNotFoundError:
            return []
    found: list[Record] = []
    crc = 0
    for number, line in enumerate(data[: data.rfind(b"\n") + 1].splitlines(), start=1):
        followed = checksum.follow(line, crc) if checksum.is_sealed(line) else None
        if followed is None:
            raise StoreError(register, f"line {number} is damaged: its crc does not fit", REMEDY)
        crc = followed
        try:
            found.append(msgspec.json.decode(line, type=Record))
        except msgspec.MsgspecError as error:
            raise StoreError(
                register, f"line {number}: {error}", "Use the dexarb that wrote it"
            ) from error
    return found


def of_family(records: Iterable[Record], family: Family) -> list[OfFamily]:
    """The records of a family and its kin, each once, in order."""
    known = list(dict.fromkeys(_hashable(each) for each in records))
    whole = [msgspec.json.decode(each, type=Record) for each in known]
    kin = {each.id for each in whole if isinstance(each, Family) and family.is_kin(each)}
    return [each for each in whole if not isinstance(each, Family) and each.family in kin]


def family_size(trials: Iterable[Trial], others: Iterable[StrategyHash] = ()) -> int:
    """How many configurations were tried. others: known from elsewhere, as from a ledger.

    Those that are named count once each. Sets too large to be named count once each set, so one
    that two of them share counts twice: rather too many than too few.
    """
    named = set(others)
    large: dict[str, int] = {}
    for each in trials:
        named.update(each.hashes)
        if not each.hashes:
            large[each.digest] = each.configs
    return len(named) + sum(large.values())


@contextmanager
def _locked(register: Path) -> Iterator[int]:
    """The file, open to append behind its last whole line, while no other process does."""
    with disk_errors(register, "cannot be written"):
        fd = os.open(register, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    try:
        with disk_errors(register, "cannot be written"):
            fcntl.flock(fd, fcntl.LOCK_EX)
            _cut_torn_line(fd)
        yield fd
    finally:
        os.close(fd)


def _cut_torn_line(fd: int) -> None:
    size = end = os.lseek(fd, 0, os.SEEK_END)
    while end and os.pread(fd, 1, end - 1) != b"\n":
        end -= 1
    if end < size:
        os.ftruncate(fd, end)


def _goes_on(record: Record) -> bool:
    return isinstance(record, Trial) and record.last_block is None


def _same_run(one: Record, other: Record) -> bool:
    """A trader that starts again tries nothing new."""
    return (
        isinstance(one, Trial)
        and isinstance(other, Trial)
        and (one.kind, one.family, one.digest) == (other.kind, other.family, other.digest)
        and _goes_on(other)
    )


def _hashable(record: Record) -> bytes:
    return msgspec.json.encode(record)


def _hex(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
