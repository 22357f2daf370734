"""Confirmation: finalists that were registered before, judged on what came afterwards, at three
looks that together are wrong in five cases of a hundred at most.

The looks are over the first 14, 28 and 56 whole UTC days behind the registration, whenever somebody
asks: looking late or often changes nothing. Each has its own part of the five per cent, and within
a look the finalists are corrected after Holm (1979). With Bonferroni's inequality over the looks
that holds whatever the finalists have to do with each other.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeVar

import numpy as np

from dexarb.core.trade import StrategyHash
from dexarb.study.verdict.distributions import t_tail
from dexarb.study.verdict.series import Floats, Series

MOST_FINALISTS = 10
LOOKS: Mapping[int, float] = {14: 0.005, 28: 0.015, 56: 0.03}
"""By day, its part of the five per cent: a few days have to be clear to speak."""
LAST_LOOK = max(LOOKS)
RESAMPLES = 5_000
BLOCK_DAYS = 3.0
"""Mean length of what is drawn together: a good day is followed by good ones."""
_SEED = 20_231
Name = TypeVar("Name")


def p_value(series: Series) -> float:
    """How likely results like these are where nothing is gained: 1 for too few to tell.

    The larger of two answers about the charged series: Student's t with a variance that allows for
    correlated days (Newey and West, 1987; never less than without), and a studentised stationary
    bootstrap (Politis and Romano, 1994), drawn the same in every run.
    """
    values, days = series.charged, series.days
    if not series.is_eligible or days < 2 or not values.any():
        return 1.0
    mean, deviation = float(values.mean()), float(values.std(ddof=1))
    if mean <= 0.0:
        return 1.0
    if deviation == 0.0:
        return float(0.5**days)
    t = mean / math.sqrt(_variance_of_mean(values))
    return max(t_tail(t, days - 1), _resampled(values, mean / deviation))


def _variance_of_mean(values: Floats) -> float:
    days = len(values)
    centred = values - values.mean()
    plain = float(centred @ centred) / (days - 1)
    lags = int(days ** (1 / 3))
    total = plain
    for lag in range(1, lags + 1):
        weight = 1.0 - lag / (lags + 1.0)
        total += 2.0 * weight * float(centred[lag:] @ centred[:-lag]) / (days - 1)
    return max(plain, total) / days


def _resampled(values: Floats, ratio: float) -> float:
    """Share of the resamples, centred at nothing, that come out as well as this."""
    weights = _weights(len(values))
    centred = values - values.mean()
    mean = weights @ centred
    variance = weights @ centred**2 - mean**2
    found = np.divide(mean, np.sqrt(variance), out=np.full_like(mean, np.inf), where=variance > 0)
    scaled = ratio * math.sqrt(len(values) / (len(values) - 1))
    return float(((found >= scaled) & (mean > 0)).sum() + 1) / (len(found) + 1)


@lru_cache(maxsize=4)
def _weights(days: int) -> Floats:
    """How often each day is drawn, by its share: resamples x days."""
    chance = np.random.default_rng((_SEED, days))
    at = chance.integers(0, days, size=RESAMPLES)
    counts = np.zeros((RESAMPLES, days))
    rows = np.arange(RESAMPLES)
    for _ in range(days):
        counts[rows, at] += 1
        is_new = chance.random(RESAMPLES) < 1.0 / BLOCK_DAYS
        at = np.where(is_new, chance.integers(0, days, size=RESAMPLES), (at + 1) % days)
    return counts / days


def holm(p_values: Mapping[Name, float], level: float) -> set[Name]:
    """Those that are rejected together at the level (Holm's step-down)."""
    passed: set[Name] = set()
    left = len(p_values)
    for name, value in sorted(p_values.items(), key=lambda each: each[1]):
        if value > level / left:
            break
        passed.add(name)
        left -= 1
    return passed


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What the looks that were due have shown. days: whole ones since the registration. passed: by
    name, the day of the look at which it passed. p_values: of the last look that was due, empty
    before the first."""

    days: int
    passed: Mapping[StrategyHash, int]
    p_values: Mapping[StrategyHash, float]

    @property
    def is_over(self) -> bool:
        return self.days >= LAST_LOOK

    @property
    def next_look(self) -> int | None:
        """Its day; None once all have been taken."""
        return next((day for day in LOOKS if day > self.days), None)


def confirm(days: int, at_look: Sequence[Mapping[StrategyHash, Series]]) -> Confirmed:
    """at_look: for each look that is due, in order, the finalists' series over its days."""
    passed: dict[StrategyHash, int] = {}
    p_values: dict[StrategyHash, float] = {}
    for (day, level), series in zip(LOOKS.items(), at_look, strict=False):
        p_values = {name: p_value(each) for name, each in series.items()}
        for name in holm(p_values, level):
            passed.setdefault(name, day)
    return Confirmed(days, passed, p_values)


def due(days: int) -> list[int]:
    """The looks that so many days allow."""
    return [day for day in LOOKS if day <= days]
