"""Ten thousand configurations over a market that is searched once, against one after the other.

Processor time of one core on both sides. The other side is measured on a few configurations and
multiplied: a whole day of it would take that core a month.
"""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

from benchmarks.bench_replay import BLOCKS, recorded
from benchmarks.bench_strategies import USD, grid, profits
from benchmarks.harness import Row, compared, figure
from dexarb.store.history_reader import HistoryReader
from dexarb.study.sweep.market import playing, scan_market, trade
from dexarb.study.sweep.plan import MARKET_FOLDER, Plan, make_plan, open_folder
from dexarb.study.sweep.results import write_results
from dexarb.study.sweep.running import run_block
from dexarb.study.warm_up import warm_up
from dexarb.trading.decide.threshold import ThresholdStrategies
from dexarb.trading.models.reality import REALITY
from dexarb.trading.strategy import StrategySettings

CONFIGS, ALONE, ROUNDS = 10_000, 12, 3
A_DAY = 57_600
"""Blocks of 1.5 s."""


def taken(feed: Iterable[object]) -> float:
    start = time.process_time()
    for _ in feed:
        pass
    return time.process_time() - start


def one_by_one(
    reader: HistoryReader, folder: Path, plan: Plan, configs: list[StrategySettings]
) -> float:
    """Seconds that deciding and settling add to a market that is played back, of all of these."""

    def played(some: list[StrategySettings]) -> float:
        entries = list(reader.entries(plan.first_seq, plan.last_seq))
        engine = playing(folder, plan, entries[0])
        trade(engine, ThresholdStrategies(some, REALITY), plan, weighing=False)
        engine.deciding = bool(some)
        return taken(map(engine.step, entries[1:]))

    return sum(played([each]) for each in configs) - len(configs) * played([])


def rows() -> list[Row]:
    configs = grid(CONFIGS, profits(34 * USD, 60 * USD, 40))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        reader = recorded(folder)
        out = folder / "sweep"
        plan = make_plan(reader, configs, max_state_age_s=1e9)
        open_folder(out, plan, configs)
        scan = taken(scan_market(reader, out, plan, configs))
        reading = taken(reader.entries(plan.first_seq, plan.last_seq))
        size = sum(each.stat().st_size for each in (out / MARKET_FOLDER).iterdir())
        alone = configs[:: CONFIGS // ALONE][:ALONE]
        rounds = []
        for _ in range(ROUNDS):
            ours = sum(taken(run_block(out, task)) for task in range(plan.tasks))
            theirs = one_by_one(reader, out, plan, alone) * CONFIGS / len(alone)
            rounds.append(([ours / BLOCKS], [theirs / BLOCKS]))
        start = time.process_time()
        write_results(out, plan)
        writing = time.process_time() - start
    best = min(ours[0] for ours, _ in rounds)
    whole = best * A_DAY + scan / BLOCKS * A_DAY
    return [
        compared(
            f"sweep, a block x {CONFIGS:,} configs on one core ({BLOCKS} blocks measured);"
            f" config by config, from {ALONE}",
            rounds,
            goal=50,
            unit="ms",
            in_every_round=True,
        ),
        figure(f"  a day of {A_DAY:,} such blocks on one core, search included", whole, "s"),
        figure("  the search, once: a block", 1e3 * scan / BLOCKS, "ms"),
        figure("  of it reading the history", 100 * reading / scan, "%"),
        figure("  of a day", 100 * scan / BLOCKS * A_DAY / whole, "%"),
        figure("  what it keeps of a block", size / BLOCKS / 1024, "KiB"),
        figure("  results in Parquet", 1e3 * writing, "ms"),
    ]


if __name__ == "__main__":
    gc.disable()
    warm_up()
    rows()
