"""A recorded history traded into a ledger: by ten thousand strategies, as a trader catches up, and
the history that comes with the program by eight, against the chain that it was recorded on."""

from __future__ import annotations

import gc
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from operator import itemgetter
from pathlib import Path
from typing import Any
from unittest.mock import patch

from benchmarks.bench_strategies import USD, grid, profits
from benchmarks.harness import ROUNDS, Row, compared, figure, timed
from dexarb.config.shipped_files import CLASSIC_STRATEGIES, SAMPLE_HISTORY
from dexarb.core.block import BlockHash, BlockUpdate
from dexarb.core.market import Market
from dexarb.screens.replay_task import of_config
from dexarb.screens.when import BlocksAsked
from dexarb.search.scan import Scanner
from dexarb.store.history_reader import HistoryReader
from dexarb.store.ledger_db import LedgerDb
from dexarb.study.replay import replay as replayed
from dexarb.study.session import Session
from dexarb.study.warm_up import warm_up
from dexarb.trading.engine import Engine
from tests.support.recorded import record
from tests.support.sessions import paper_session
from tests.support.worlds.pools import rng_of
from tests.support.worlds.random_trading import keyframe, random_block

BLOCKS = 300
STRATEGIES = 10_000


def recorded(folder: Path) -> HistoryReader:
    """Every block moves three of seven pools."""
    first, rng = keyframe(3, pools=5), rng_of("played")
    market = Market(first)

    def updates() -> Iterator[BlockUpdate]:
        for _ in range(BLOCKS):
            made = random_block(market, rng, moved=3)
            time_s = first.block.timestamp + 2 * (made.block.number - first.block.number)
            block = replace(made.block, hash=BlockHash(f"0x{made.block.number}"), timestamp=time_s)
            made = replace(made, block=block)
            market.apply(made)
            yield made

    return HistoryReader(record(folder / "history", first, updates()))


def replay(reader: HistoryReader, ledger: Path) -> tuple[float, float]:
    """Seconds in all, from when strategies are known, and of these in the ledger."""
    strategies = grid(STRATEGIES, profits(34 * USD, 60 * USD, 40))
    writing = start = 0.0
    with LedgerDb.open(ledger, chain_id=1, history=reader.folder) as books:
        session = paper_session(reader, books, max_state_age_s=1e9)
        for entry in reader.entries(session.from_seq):
            session.take(entry)
            if entry.seq == session.from_seq:
                session.use(strategies)
            before = time.process_time()
            session.write()
            if entry.seq == session.from_seq + 1:  # Now the strategies are in the ledger.
                before = start = time.process_time()
            writing += time.process_time() - before
    return time.process_time() - start, writing


PARTS = {
    "search, best sizes included": (Scanner, "update"),
    "deciding": (Engine, "_decide"),
    "settling": (Engine, "_settle"),
    "the ledger": (Session, "write"),
}


def eight(ledger: Path) -> tuple[float, dict[str, float]]:
    """Seconds that `dexarb replay --sample` takes behind its start, and of these in its parts."""
    asked = BlocksAsked(SAMPLE_HISTORY, CLASSIC_STRATEGIES, None, None, None)
    task, spent = of_config(asked), dict.fromkeys(PARTS, 0.0)
    chain_id = task.reader.manifest.chain_id
    with ExitStack() as patched:
        for part, (owner, name) in PARTS.items():
            action = measured(getattr(owner, name), part, spent)
            patched.enter_context(patch.object(owner, name, action))
        start = time.perf_counter()
        with LedgerDb.open(ledger, chain_id=chain_id, history=SAMPLE_HISTORY) as books:
            for _ in replayed(task.reader, books, task.plan, task.types):
                pass
        return time.perf_counter() - start, spent


def measured(action: Callable[..., Any], part: str, spent: dict[str, float]) -> Callable[..., Any]:
    def act(*words: Any, **options: Any) -> Any:
        before = time.perf_counter()
        try:
            return action(*words, **options)
        finally:
            spent[part] += time.perf_counter() - before

    return act


def sample_rows() -> list[Row]:
    """A block of the demo is one second."""
    with tempfile.TemporaryDirectory() as folder:
        runs = [eight(Path(folder) / f"{number}.sqlite") for number in range(ROUNDS)]
    reader = HistoryReader(SAMPLE_HISTORY)
    blocks = sum(isinstance(each, BlockUpdate) for each in reader.entries())
    reading = min(timed(lambda: list(reader.entries())) for _ in range(ROUNDS))
    whole, spent = min(runs, key=itemgetter(0))
    name = "replay with eight strategies, a block; the chain makes one a second"
    parts = {"reading the history": reading, **spent}
    parts["the market, evidence, the rest"] = whole - sum(parts.values())
    return [
        compared(name, [([took / blocks], [1.0]) for took, _ in runs], goal=20.0, unit="ms"),
        *(figure(f"  of it {part}", 100 * took / whole, "%") for part, took in parts.items()),
    ]


def rows() -> list[Row]:
    return [*sample_rows(), *crowd_rows()]


def crowd_rows() -> list[Row]:
    with tempfile.TemporaryDirectory() as folder:
        reader = recorded(Path(folder))
        whole, writing = min(replay(reader, Path(folder) / f"{n}.sqlite") for n in range(2))
        size = (Path(folder) / "0.sqlite").stat().st_size
    name = f"replay with {STRATEGIES:,} strategies, ledger included"
    return [
        figure(name, BLOCKS / whole, "1/s"),
        figure("  of it in the ledger", 100 * writing / whole, "%"),
        figure("  ledger", size / 2**20 / BLOCKS * 1000, "MiB/1000 blocks"),
    ]


if __name__ == "__main__":
    gc.disable()
    warm_up()
    if "profile" in sys.argv:
        import cProfile
        import pstats

        with tempfile.TemporaryDirectory() as folder:
            reader = recorded(Path(folder))
            with cProfile.Profile() as profile:
                replay(reader, Path(folder) / "ledger.sqlite")
            pstats.Stats(profile).sort_stats("tottime").print_stats(25)
    else:
        rows()
