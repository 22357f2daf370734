"""What would be left if something had gone worse. It informs and decides nothing."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dexarb.core.units import SECONDS_PER_DAY
from dexarb.study.verdict.series import Trades

WINS_KEPT_PERCENT = 30


@dataclass(frozen=True, slots=True)
class Fragility:
    """Sums of the trades that count, in micro-USD: with twice the gas; without the best trade, the
    best day; with 30 % of each win; at the bottom of the bands; without what was won over a taker
    who was really there. One more block of latency takes a replay."""

    twice_the_gas: int
    without_best_trade: int
    without_best_day: int
    with_few_wins: int
    bottom_of_band: int
    without_won: int


def fragility(trades: Trades) -> Fragility:
    counted = trades.counted
    net = counted.net
    total = int(net.sum())
    best_trade = max(int(net.max()), 0) if len(net) else 0
    wins = int(net[net > 0].sum())
    return Fragility(
        twice_the_gas=total - int(counted.gas.sum()),
        without_best_trade=total - best_trade,
        without_best_day=total - _best_day(counted),
        with_few_wins=total - wins + wins * WINS_KEPT_PERCENT // 100,
        bottom_of_band=int(counted.low.sum()),
        without_won=int(net[~counted.is_won].sum()),
    )


def _best_day(trades: Trades) -> int:
    if not len(trades):
        return 0
    days, place = np.unique(trades.second // SECONDS_PER_DAY, return_inverse=True)
    sums = np.zeros(len(days), dtype=np.int64)
    np.add.at(sums, place, trades.net)
    return max(int(sums.max()), 0)
