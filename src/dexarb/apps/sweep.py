"""dexarb sweep: very many configurations on one history, on all cores of this machine or on a
cluster."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dexarb.apps.cluster import on_cluster, reached
from dexarb.apps.cores import TOLD_EVERY, on_cores
from dexarb.config.paper import PaperConfig, load_paper
from dexarb.config.plugins import StrategyTypes
from dexarb.config.shipped_files import SAMPLE_HISTORY
from dexarb.core.market import Entry
from dexarb.screens.answer import show
from dexarb.screens.progress import shown
from dexarb.screens.sweep import Swept, swept
from dexarb.store.follow import first_keyframe
from dexarb.store.history_reader import HistoryReader
from dexarb.store.locking import WriterLock
from dexarb.store.trials import TrialKind, record_trial
from dexarb.study.sweep.market import is_scanned, scan_market
from dexarb.study.sweep.plan import (
    LOCK_FILE,
    PLAN_FILE,
    RESULTS_FILE,
    Plan,
    make_plan,
    open_folder,
    unfinished,
)
from dexarb.study.sweep.results import write_results
from dexarb.study.sweep.running import run_block
from dexarb.study.warm_up import warm_up
from dexarb.trading.strategy import StrategySettings

MOST_CONFIGS = 1_000_000
SWEEPS = "sweeps"
"""The folder beside a history that those of sweeps go to."""


@dataclass(frozen=True, slots=True)
class Means:
    """What a sweep may use. cores: of this machine, None for all. scheduler: a cluster's address,
    whose workers trade instead."""

    cores: int | None = None
    scheduler: str | None = None


def run(history: Path, grid: Path, out: Path | None, means: Means, *, as_json: bool) -> int:
    """Returns the exit code. Raises ConfigErrors, InputError, StoreError, OutsideError."""
    return show(sweep(history, grid, out, means), as_json=as_json)


def sweep(history: Path, grid: Path, out: Path | None, means: Means) -> Swept:
    """out: the sweep's folder; without it one of its own beside the history's."""
    began = time.monotonic()
    reader = HistoryReader(history)
    config = load_paper(grid, most=MOST_CONFIGS)
    settings = settings_on(reader, config)
    plan = make_plan(reader, settings, max_state_age_s=float(config.general.max_state_age_secs))
    folder = out or beside(history, grid, plan)
    plan = carry_out(reader, folder, plan, settings, means, TrialKind.SWEEP)
    return swept(folder / RESULTS_FILE, plan, time.monotonic() - began)


def carry_out(
    reader: HistoryReader,
    folder: Path,
    plan: Plan,
    settings: Sequence[StrategySettings],
    means: Means,
    kind: TrialKind,
) -> Plan:
    """Whatever of the sweep is not done yet. Raises as `run` does."""
    folder.mkdir(parents=True, exist_ok=True)
    with WriterLock(folder / LOCK_FILE, folder):
        if (
            not (folder / PLAN_FILE).exists()
            and reader.folder.resolve() != SAMPLE_HISTORY.resolve()
        ):
            # Before anybody sees a result: who stops a sweep has tried it too.
            record_trial(
                reader.folder,
                kind,
                [each.hash for each in settings],
                first_block=plan.first_block,
                last_block=plan.last_block,
                at=int(time.time()),
                file=str((folder / RESULTS_FILE).absolute()),
            )
        plan = open_folder(folder, plan, settings)
        if (folder / RESULTS_FILE).exists():
            return plan
        # Reached before the search: nobody waits for it in vain.
        with reached(means.scheduler) if means.scheduler else nullcontext() as cluster:
            if not is_scanned(folder):
                warm_up()
                for _ in shown(
                    scan_market(reader, folder, plan, settings), "searching once", plan.entries
                ):
                    pass
            tasks, ticks = unfinished(folder, plan), plan.entries // TOLD_EVERY
            work = partial(_warm_block, folder.absolute())
            told: Iterator[int]
            if cluster:
                needs = (folder.absolute() / PLAN_FILE, Path(plan.history))
                done = on_cluster(cluster, work, tasks, needs)
                told = (tick for _ in done for tick in range(ticks))
            else:
                told = on_cores(work, tasks, means.cores or cores_here())
            for _ in shown(told, "trading", len(tasks) * ticks):
                pass
        write_results(folder, plan)
    return plan


def settings_on(reader: HistoryReader, config: PaperConfig) -> tuple[StrategySettings, ...]:
    """The strategies of a file on the chain of a history. Raises ConfigErrors, StoreError."""
    first = first_keyframe(reader)
    profile = first.profile
    return config.settings(
        profile.tokens, StrategyTypes(), tip_floor=profile.tip_floor(first.block.number)
    )


def beside(history: Path, grid: Path, plan: Plan) -> Path:
    """A folder for this sweep alone, beside the history's."""
    around = (
        Path("data") if history.resolve() == SAMPLE_HISTORY.resolve() else history.absolute().parent
    )
    return around / SWEEPS / f"{grid.stem}-{plan.fingerprint[:8]}"


def _warm_block(folder: Path, task: int) -> Iterator[Entry]:
    warm_up()
    yield from run_block(folder, task)


def cores_here() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0))
