"""A block of configurations over the market of a sweep, by the engine that trades live."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dexarb.core.ledger import IntColumn, Ledger
from dexarb.core.market import Entry
from dexarb.core.trade import Fill, FillStatus
from dexarb.core.units import SECONDS_PER_DAY
from dexarb.store.history_reader import HistoryReader
from dexarb.study.sweep.columns import write_columns
from dexarb.study.sweep.market import playing, trade
from dexarb.study.sweep.plan import Plan, block_file, read_configs, read_plan
from dexarb.trading.decide.threshold import ThresholdStrategies
from dexarb.trading.models.reality import REALITY
from dexarb.trading.strategy import weighs_misses

BOOKED = (
    "seen", "sent", "filled", "reverted", "lost", "expired", "reorged", "open",
    "profit_micro_usd", "band_low_micro_usd", "band_high_micro_usd",
)  # fmt: skip
"""Columns of the ledger that are kept."""
GAS_OF = {
    FillStatus.FILLED: "gas_filled_micro_usd",
    FillStatus.REVERTED: "gas_reverted_micro_usd",
    FillStatus.LOST: "gas_lost_micro_usd",
}
FOLDED = ("unplaced", "gained", "placed_micro_usd", *GAS_OF.values())
"""As in StrategyTotals."""
PERIODS = ("net_micro_usd", "trades")
"""By day and part: net of what was decided in them, and how many trades were filled, reverted or
lost."""


class Tally:
    """Mutable: what fills come to beyond the ledger's columns, by row."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self.folded: IntColumn = np.zeros((len(FOLDED), plan.configs_a_block), dtype=np.int64)
        parts = 1 if plan.split is None else 2
        shape = len(PERIODS), parts, len(plan.days), plan.configs_a_block
        self.periods: IntColumn = np.zeros(shape, dtype=np.int64)

    def add(self, ledger: Ledger, fills: Sequence[Fill], sign: int) -> None:
        """sign: -1 for what a reorganisation has undone."""
        if not fills:
            return
        rows = np.array([ledger.rows[fill.decision.strategy] for fill in fills])
        net = np.array([fill.net_micro_usd for fill in fills])
        status = [fill.status for fill in fills]
        traded = np.array([each is not FillStatus.EXPIRED for each in status])
        filled = np.array([each is FillStatus.FILLED for each in status])
        placed = np.array([fill.place_known for fill in fills])
        np.add.at(self.folded[0], rows, sign * ~placed)
        np.add.at(self.folded[1], rows, sign * (filled & (net >= 0)))
        np.add.at(self.folded[2], rows, sign * net * placed)
        gas = np.array([fill.gas_cost_micro_usd for fill in fills])
        for each, name in GAS_OF.items():
            of_it = np.array([one is each for one in status])
            np.add.at(self.folded[FOLDED.index(name)], rows, sign * gas * of_it)
        when = np.array([fill.decision.block.timestamp for fill in fills])
        split, first = self._plan.split, self._plan.days[0]
        part = np.zeros(len(fills), dtype=int) if split is None else (when >= split).astype(int)
        # A dead branch can reach beyond the days of the one that stands.
        day = np.clip(when // SECONDS_PER_DAY - first, 0, len(self._plan.days) - 1)
        np.add.at(self.periods[0], (part, day, rows), sign * net)
        np.add.at(self.periods[1], (part, day, rows), sign * traded)


def run_block(folder: Path, task: int) -> Iterator[Entry]:
    """Trade one block of configurations; yields every entry that was taken, and leaves the result
    in the folder. Raises StoreError."""
    plan = read_plan(folder)
    settings = read_configs(folder, task)
    entries = HistoryReader(Path(plan.history)).entries(plan.first_seq, plan.last_seq)
    engine = playing(folder, plan, next(entries))
    trade(engine, ThresholdStrategies(settings, REALITY), plan, weighing=weighs_misses(settings))
    tally = Tally(plan)
    for entry in entries:
        step = engine.step(entry)
        tally.add(engine.ledger, step.undone, -1)
        tally.add(engine.ledger, step.fills, +1)
        yield entry
    _write(block_file(folder, task), engine.ledger, tally, len(settings))


def _write(path: Path, ledger: Ledger, tally: Tally, count: int) -> None:
    columns: dict[str, npt.NDArray[Any]] = {name: ledger.column(name) for name in BOOKED}
    columns |= {name: tally.folded[at, :count] for at, name in enumerate(FOLDED)}
    columns |= {name: tally.periods[at, :, :, :count] for at, name in enumerate(PERIODS)}
    write_columns(path, columns)
