"""A sweep in a process of its own, so that it can be killed: `python -m tests.support.sweeping`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from dexarb.apps.sweep import Means, carry_out
from dexarb.store.history_reader import HistoryReader
from dexarb.store.trials import TrialKind
from dexarb.study.sweep.plan import RESULTS_FILE, make_plan
from dexarb.trading.strategy import StrategySettings
from tests.support.worlds.blocks import GWEI
from tests.support.worlds.random_chain import PAIRS


def grid(count: int) -> list[StrategySettings]:
    return [
        StrategySettings(
            name=f"least {number}",
            pairs=PAIRS,
            min_profit_micro_usd=-(10**6) + 10**5 * number,
            max_trade_size_micro_usd=10**9,
            max_slippage_ppm=2_000,
            max_gas_price=10_000 * GWEI,
            capital_micro_usd=10**12,
        )
        for number in range(count)
    ]


def sweep(
    history: Path, folder: Path, configs: Sequence[StrategySettings], a_block: int, means: Means
) -> Path:
    """As the command does it, in smaller blocks; returns the file of results."""
    reader = HistoryReader(history)
    plan = make_plan(reader, configs, max_state_age_s=10.0, configs_a_block=a_block)
    carry_out(reader, folder, plan, configs, means, TrialKind.SWEEP)
    return folder / RESULTS_FILE


if __name__ == "__main__":
    sweep(Path(sys.argv[1]), Path(sys.argv[2]), grid(6), 1, Means(cores=2))
