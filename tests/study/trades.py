"""Settled trades for verdicts, by hand."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dexarb.core.units import MICRO_USD, SECONDS_PER_DAY
from dexarb.study.verdict.gates import CanaryEvidence
from dexarb.study.verdict.series import Series, Trades, series_of

GAS = 10_000
FINE_CANARY = CanaryEvidence(
    sent=40, filled=39, model_errors=0, net=5, compared=30, compared_net=5, low=0, high=10
)


def trades(
    days: Sequence[Sequence[float]], *, reserve: float = 0.05, untaken: Sequence[bool] = ()
) -> Trades:
    """Net USD of each trade, by day from day 0."""
    second = [day * SECONDS_PER_DAY + 60 for day, nets in enumerate(days) for _ in nets]
    net = np.array([round(each * MICRO_USD) for nets in days for each in nets], dtype=np.int64)
    lying = np.array(untaken or [False] * len(net), dtype=bool)
    return Trades(
        second=np.array(second, dtype=np.int64),
        net=net,
        gas=np.full(len(net), GAS),
        reserve=np.full(len(net), round(reserve * MICRO_USD)),
        low=np.minimum(net, 0),
        high=np.maximum(net, 0),
        is_filled=net > 0,
        is_loss=net < 0,
        is_untaken=lying,
        is_won=np.zeros(len(net), dtype=bool),
    )


def steady(days: int, a_day: int = 6, *, mean: float = 1.0, seed: int = 1) -> Trades:
    """Gains nearly every time; losses enough that nothing is charged."""
    chance = np.random.default_rng(seed)
    return trades([list(chance.normal(mean, 0.5, a_day)) for _ in range(days)], reserve=0.0)


def whole(of: Trades, days: int) -> Series:
    return series_of(of, 0, days)
