"""Sharpe ratios of daily results: probabilistic, and deflated by how many were tried.

After Bailey and Lopez de Prado, "The Sharpe Ratio Efficient Frontier" (2012) and "The Deflated
Sharpe Ratio" (2014). All of them are per day; nothing is annualised.
"""

from __future__ import annotations

import math
from statistics import NormalDist

from dexarb.study.verdict.series import Floats

LEAST = 3
_NORMAL = NormalDist()


def sharpe(series: Floats) -> float:
    """Mean by sample deviation; 0 where nothing varies."""
    deviation = float(series.std(ddof=1)) if len(series) > 1 else 0.0
    return float(series.mean()) / deviation if deviation > 0 else 0.0


def probabilistic_sharpe(series: Floats, benchmark: float = 0.0) -> float | None:
    """How likely the true ratio exceeds the benchmark, given length, skew and tails of the series;
    None where that cannot be told."""
    days, ratio = len(series), sharpe(series)
    deviation = float(series.std()) if days >= LEAST else 0.0
    if deviation == 0.0:
        return None
    scaled = (series - series.mean()) / deviation
    skew, kurtosis = float((scaled**3).mean()), float((scaled**4).mean())
    spread = 1.0 - skew * ratio + (kurtosis - 1.0) / 4.0 * ratio**2
    if not spread > 0.0:
        return None
    return _NORMAL.cdf((ratio - benchmark) * math.sqrt(days - 1) / math.sqrt(spread))


def expected_best(trials: float, deviation: float) -> float:
    """The best ratio among so many independent ones that are worth nothing, on average.

    deviation: of the ratios of the trials."""
    if trials <= 1.0 or deviation <= 0.0:
        return 0.0
    gamma = 0.5772156649015329
    return deviation * (
        (1.0 - gamma) * _NORMAL.inv_cdf(1.0 - 1.0 / trials)
        + gamma * _NORMAL.inv_cdf(1.0 - 1.0 / (trials * math.e))
    )


def effective_trials(columns: Floats, family: int) -> float:
    """How many independent trials so many correlated ones are worth: r + (1 - r) x family, with r
    the mean correlation between those whose series are known (Bailey and Lopez de Prado, 2014).

    columns: days x strategies. Without two that vary, every one counts."""
    varying = columns[:, columns.std(axis=0) > 0] if len(columns) > 1 else columns[:, :0]
    count = varying.shape[1]
    if count < 2:
        return float(max(1, family))
    # The mean of all correlations is the variance of the sum of the scaled columns.
    scaled = (varying - varying.mean(axis=0)) / varying.std(axis=0)
    total = float((scaled.sum(axis=1) ** 2).mean())
    mean = min(1.0, max(0.0, (total - count) / (count * (count - 1))))
    return float(mean + (1.0 - mean) * max(family, count))


def deflated_sharpe(series: Floats, ratios: Floats, trials: float) -> float | None:
    """How likely the true ratio is above zero for one that was chosen as the best of `trials`.

    ratios: of all trials whose series are known."""
    deviation = float(ratios.std(ddof=1)) if len(ratios) > 1 else 0.0
    return probabilistic_sharpe(series, expected_best(trials, deviation))
