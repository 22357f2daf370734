"""What a sweep is of: a history, configurations, and how they are cut into blocks.

All of it lies in the sweep's folder, so that a process that was killed can go on, and one on
another machine that sees the folder and the history can help.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import msgspec

from dexarb import __version__
from dexarb.core.text import as_name
from dexarb.core.units import SECONDS_PER_DAY
from dexarb.errors import InputError, StoreError
from dexarb.store.files import disk_errors, replace_file
from dexarb.store.follow import first_keyframe
from dexarb.store.history_reader import HistoryReader
from dexarb.trading.models.reality import REALITY
from dexarb.trading.strategy import THRESHOLD, StrategySettings

PLAN_FILE, CONFIGS_FOLDER, BLOCKS_FOLDER, MARKET_FOLDER = (
    "sweep.json",
    "configs",
    "blocks",
    "market",
)
RESULTS_FILE, LOCK_FILE = "results.parquet", "sweep.lock"

CONFIGS_A_BLOCK = 2_500
"""So many are a task: the market passes once more for each block of them, and what a kill costs is
at most one block on each core."""

FEWEST_HOPS = 2
"""As far as the search goes before strategies take part, as in a session."""


class Plan(msgspec.Struct, frozen=True):
    """history: its folder. first_seq: a keyframe, behind which strategies take part; last_seq: the
    last entry. first_block, last_block: the numbers that lie between, days their UTC days.
    max_hops: the most that any wants. split: a UTC second; what is decided from there on is told
    apart. fingerprint: of all that the results depend on.
    """

    fingerprint: str
    engine: str
    history: str
    first_seq: int
    last_seq: int
    first_block: int
    last_block: int
    days: list[int]
    max_state_age_s: float
    max_hops: int
    configs: int
    configs_a_block: int
    split: int | None = None

    @property
    def tasks(self) -> int:
        """How many blocks of configurations there are."""
        return -(-self.configs // self.configs_a_block)

    @property
    def entries(self) -> int:
        """Of the history, those behind the keyframe."""
        return self.last_seq - self.first_seq

    @property
    def blocks(self) -> int:
        return self.last_block - self.first_block + 1


def make_plan(
    reader: HistoryReader,
    settings: Sequence[StrategySettings],
    *,
    max_state_age_s: float,
    configs_a_block: int = CONFIGS_A_BLOCK,
    split: int | None = None,
) -> Plan:
    """Of the whole history as it was received. Raises StoreError, InputError for strategies that
    only a session can run."""
    own = next((each for each in settings if each.kind != THRESHOLD), None)
    if own is not None:
        raise InputError(
            f'"{as_name(own.name)}" is of kind "{own.kind}": a sweep runs the built-in strategy.'
            " Replay own ones"
        )
    first, last_seq = first_keyframe(reader), reader.last_seq
    tip = reader.branch(1).tip
    if tip is None or tip.number <= first.block.number:
        raise StoreError(reader.folder, "has no blocks yet", "Wait for the collector's first")
    days = range(first.block.timestamp // SECONDS_PER_DAY, tip.timestamp // SECONDS_PER_DAY + 1)
    facts = (
        __version__,
        REALITY.on(first.profile).hash,
        str(reader.manifest.chain_id),
        f"{first.seq} {first.block.hash} {last_seq} {tip.hash}",
        f"{max_state_age_s} {split}",
        *(f"{each.hash} {each.name}" for each in settings),
    )
    return Plan(
        fingerprint=hashlib.sha256("\n".join(facts).encode()).hexdigest()[:16],
        engine=__version__,
        history=str(reader.folder.absolute()),
        first_seq=first.seq,
        last_seq=last_seq,
        first_block=first.block.number + 1,
        last_block=tip.number,
        days=list(days),
        max_state_age_s=max_state_age_s,
        max_hops=max((each.max_hops for each in settings), default=FEWEST_HOPS),
        configs=len(settings),
        configs_a_block=configs_a_block,
        split=split,
    )


def open_folder(folder: Path, plan: Plan, settings: Sequence[StrategySettings]) -> Plan:
    """Begin a sweep in the folder, or go on with the same one that was begun there; returns the
    plan that holds, which may be cut into other blocks. Raises StoreError for another one's."""
    if (folder / PLAN_FILE).exists():
        known = read_plan(folder)
        if known.fingerprint != plan.fingerprint:
            raise StoreError(
                folder,
                "holds another sweep: other configurations, another history or another version",
                "Give another folder with --out, or move this one away",
            )
        return known
    with disk_errors(folder, "cannot be made"):
        for name in (CONFIGS_FOLDER, BLOCKS_FOLDER):
            (folder / name).mkdir(parents=True, exist_ok=True)
    for task in range(plan.tasks):
        some = settings[task * plan.configs_a_block : (task + 1) * plan.configs_a_block]
        data = msgspec.json.encode([(each.name, each.canonical) for each in some])
        replace_file(configs_file(folder, task), data, durable=False)
    # Last: whoever finds it finds the rest.
    replace_file(folder / PLAN_FILE, msgspec.json.encode(plan), durable=True)
    return plan


def read_plan(folder: Path) -> Plan:
    """Raises StoreError."""
    path = folder / PLAN_FILE
    with disk_errors(path, "cannot be read"):
        data = path.read_bytes()
    try:
        return msgspec.json.decode(data, type=Plan)
    except msgspec.MsgspecError as error:
        raise StoreError(path, f"is no sweep: {error}", "Move the folder away") from error


def read_configs(folder: Path, task: int) -> list[StrategySettings]:
    """Of a block. Raises StoreError."""
    path = configs_file(folder, task)
    with disk_errors(path, "cannot be read"):
        rows = msgspec.json.decode(path.read_bytes(), type=list[tuple[str, str]])
    return [StrategySettings.from_canonical(*row) for row in rows]


def configs_file(folder: Path, task: int) -> Path:
    return folder / CONFIGS_FOLDER / f"{task:06}.json"


def block_file(folder: Path, task: int) -> Path:
    """What came of a block; it is there once the block is done."""
    return folder / BLOCKS_FOLDER / f"{task:06}.npz"


def unfinished(folder: Path, plan: Plan) -> list[int]:
    """The blocks that are still to be run."""
    return [task for task in range(plan.tasks) if not block_file(folder, task).exists()]
