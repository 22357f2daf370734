"""A trader that was killed, from its start to its next block, however old its books are."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

from benchmarks.bench_start import CHAIN_ID, EVERY_S, PROGRAMS, blocks, environment, import_numba
from benchmarks.crowd import Crowd
from benchmarks.harness import Row, figure, timed
from dexarb.config.paper import load_paper
from dexarb.config.plugins import StrategyTypes
from dexarb.core.block import BlockUpdate
from dexarb.core.market import Market
from dexarb.store.history_reader import HistoryReader
from dexarb.store.history_writer import HistoryWriter
from dexarb.store.ledger_db import LedgerDb
from dexarb.store.snapshot import StateWriter
from dexarb.study.warm_up import warm_up
from tests.support.recorded import record
from tests.support.sessions import paper_session

GOAL_S = 5.0
ROUNDS = 3
DEAD, TOKENS = 225, 450
PAIRED_POOLS = 40
"""Those whose pairs are traded, the deepest."""
AGES = (700, 1_400)
"""Blocks in the ledger."""
SLIPPAGES = [0.1, 0.2, 0.3, 0.4, 0.5]
GRIDS = {
    8: ([1000], [0.5]),
    1_000: ([100 + 20 * n for n in range(25)], SLIPPAGES),
    10_000: ([100 + 2 * n for n in range(250)], SLIPPAGES),
}
"""Sizes and slippages, each with eight profits."""
CONFIG = """
[general]
state_file = "{folder}/pool_state.json"
ledger_file = "{folder}/ledger.sqlite"
log_dir = "{folder}/logs"
max_state_age_secs = 1000000000
[[grid]]
name = "g"
pairs = [{pairs}]
min_profit_usd = [0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0]
max_trade_size_usd = {sizes}
max_slippage_percent = {slippages}
max_gas_gwei = 300
max_daily_trades = 50
simulate_competition = false
"""


class Trader:
    """A ledger that grows old, and the program that goes on with it."""

    def __init__(self, folder: Path, strategies: int) -> None:
        crowd = Crowd.of(DEAD, TOKENS)
        self._market = Market(crowd.keyframe)
        self.coming: Iterator[BlockUpdate] = blocks(crowd)
        first = next(self.coming)
        self._market.apply(first)
        self.history = record(folder, crowd.keyframe, [first])
        self.ledger, self.config = folder / "ledger.sqlite", folder / "paper.toml"
        sizes, slippages = GRIDS[strategies]
        pairs = {"/".join(sorted(pool.tokens)) for pool in crowd.keyframe.pools[:PAIRED_POOLS]}
        self.config.write_text(
            CONFIG.format(
                folder=folder,
                pairs=", ".join(f'"{pair}"' for pair in sorted(pairs)),
                sizes=sizes,
                slippages=slippages,
            )
        )
        self.open_cycles = 0

    def grow_to(self, blocks: int) -> None:
        """In this process, which ends as if it was killed."""
        with HistoryWriter.open(self.history, chain_id=CHAIN_ID, chain="crowd") as writer:
            for update in islice(self.coming, max(0, blocks - writer.last_seq)):
                self._market.apply(update)
                writer.append(update)
                writer.roll_if_full(self._market.keyframe)
        reader = HistoryReader(self.history)
        with LedgerDb.open(self.ledger, chain_id=CHAIN_ID, history=self.history) as books:
            session = paper_session(reader, books, max_state_age_s=1e9)
            for entry in reader.entries(session.from_seq):
                session.take(entry)
                session.write()
                if not session.has_begun:
                    tokens = session.engine.market.profile.tokens
                    session.use(load_paper(self.config).settings(tokens, StrategyTypes()))
            self.open_cycles = len(session.engine.scan.table)
            state = StateWriter(self.history.parent.parent / "pool_state.json", self.history)
            state.write(session.engine.market, reader.last_seq, now=True)

    def to_next_block(self) -> None:
        """From the program's start until its ledger includes a new block; then it is killed."""
        before = self._seq()
        trader = subprocess.Popen(
            [PROGRAMS / "paper-trading", "-c", str(self.config)], stderr=subprocess.DEVNULL,
            env=environment(),
        )  # fmt: skip
        try:
            with HistoryWriter.open(self.history, chain_id=CHAIN_ID, chain="crowd") as writer:
                update = next(self.coming)
                self._market.apply(update)
                writer.append(update)
                while self._seq() == before:
                    time.sleep(EVERY_S)
        finally:
            trader.send_signal(signal.SIGKILL)
            trader.wait()

    def _seq(self) -> int:
        with closing(sqlite3.connect(f"file:{self.ledger}?mode=ro", uri=True)) as connection:
            return int(connection.execute("SELECT seq FROM progress").fetchone()[0])


def rows() -> list[Row]:
    warm_up()
    found = []
    for strategies in GRIDS:
        with tempfile.TemporaryDirectory() as name:
            trader = Trader(Path(name), strategies)
            for age in AGES:
                trader.grow_to(age)
                found += restarts(trader, strategies, age)
    return found


def restarts(trader: Trader, strategies: int, age: int) -> list[Row]:
    """The slowest, and what that is in imports of numba."""
    rounds = [(timed(trader.to_next_block), timed(import_numba)) for _ in range(ROUNDS)]
    slowest, numba = max(ours for ours, _ in rounds), min(numba for _, numba in rounds)
    name = f"restart with {strategies:,} strategies, {trader.open_cycles:,} open cycles, {age:,}"
    return [
        figure(f"{name} blocks", slowest, "s", goal=GOAL_S, met=slowest <= GOAL_S),
        figure("  in imports of numba", slowest / numba, "x"),
    ]


if __name__ == "__main__":
    rows()
