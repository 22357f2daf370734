"""What a user waits for: programs from their start to their answer, against a bare import of numba.

Everything is compiled already.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path

from benchmarks.crowd import Crowd
from benchmarks.harness import ROUNDS, Round, Row, compared, timed
from dexarb.core.block import BlockHash, BlockUpdate
from dexarb.core.market import Market
from dexarb.store.history_writer import HistoryWriter
from dexarb.study.warm_up import warm_up
from tests.support.recorded import record
from tests.support.worlds.blocks import next_block

PROGRAMS = Path(sys.executable).parent
EVERY_S = 0.02
CHAIN_ID = 137
CONFIG = """
[general]
state_file = "{folder}/pool_state.json"
ledger_file = "{folder}/ledger.sqlite"
log_dir = "{folder}/logs"
[[strategy]]
name = "One"
pairs = ["{pair}"]
min_profit_usd = 1.0
max_trade_size_usd = 1000.0
max_slippage_percent = 0.5
max_gas_gwei = 300
simulate_competition = false
"""


def rows() -> list[Row]:
    warm_up()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        crowd = Crowd.of(40, 12)
        coming = blocks(crowd)
        history = record(folder, crowd.keyframe, islice(coming, 60))
        config = folder / "paper.toml"
        config.write_text(CONFIG.format(folder=folder, pair="/".join(crowd.tokens[:2])))
        asked: dict[str, tuple[Callable[[], object], float | None]] = {
            "dexarb scan": (lambda: program("dexarb", "scan", str(history)), 1 / 1.5),
            "dexarb spreads": (
                lambda: program("dexarb", "spreads", str(history), "--last", "20", "--size", "100"),
                None,
            ),
            "paper-trading, to its first block": (
                lambda: to_first_block(folder, config, history, coming),
                1 / 2,
            ),
            "dexarb status": (lambda: program("dexarb", "status", "-c", str(config)), None),
        }
        return [
            against_numba(f"{name}; importing numba", action, goal)
            for name, (action, goal) in asked.items()
        ]


def blocks(crowd: Crowd) -> Iterator[BlockUpdate]:
    """Without an end. Nothing moves far."""
    market = Market(crowd.keyframe)
    pools = cycle(crowd.keyframe.pools)
    while True:
        update = next_block(market, islice(pools, 3))
        block = replace(update.block, hash=BlockHash(f"0x{update.block.number}"))
        update = replace(update, block=block)
        market.apply(update)
        yield update


def against_numba(name: str, action: Callable[[], object], goal: float | None) -> Row:
    action()
    rounds: list[Round] = [([timed(action)], [timed(import_numba)]) for _ in range(ROUNDS)]
    return compared(name, rounds, goal=goal, unit="ms")


def import_numba() -> None:
    subprocess.run([sys.executable, "-c", "import numba"], check=True, env=environment())


def environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}


def program(name: str, *arguments: str) -> None:
    subprocess.run(
        [PROGRAMS / name, *arguments], check=True, capture_output=True, env=environment()
    )


def to_first_block(
    folder: Path, config: Path, history: Path, coming: Iterator[BlockUpdate]
) -> None:
    """A new trader, until its ledger includes a block; blocks keep coming."""
    ledger = folder / "ledger.sqlite"
    for left in folder.glob("ledger.sqlite*"):
        left.unlink()
    trader = subprocess.Popen(
        [PROGRAMS / "paper-trading", "-c", str(config)], stderr=subprocess.DEVNULL,
        env=environment(),
    )  # fmt: skip
    try:
        with HistoryWriter.open(history, chain_id=CHAIN_ID, chain="crowd") as writer:
            while not has_block(ledger):
                writer.append(next(coming))
                time.sleep(EVERY_S)
    finally:
        trader.send_signal(signal.SIGKILL)
        trader.wait()


def has_block(ledger: Path) -> bool:
    if not ledger.exists():
        return False
    try:
        with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as connection:
            return bool(connection.execute("SELECT seq FROM progress").fetchall())
    except sqlite3.Error:
        return False


if __name__ == "__main__":
    rows()
