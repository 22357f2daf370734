"""A recorded history traded by ten thousand strategies into a ledger, as a trader catches up."""

from __future__ import annotations

import gc
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks.bench_strategies import USD, grid, profits
from benchmarks.harness import Row, figure
from dexarb.core.block import BlockHash, BlockUpdate
from dexarb.core.market import Market
from dexarb.store.history_reader import HistoryReader
from dexarb.store.ledger_db import LedgerDb
from dexarb.study.warm_up import warm_up
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


def rows() -> list[Row]:
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
