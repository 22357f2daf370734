"""How often the best of one half of the days is below the middle in the other half.

The probability of backtest overfitting by combinatorially symmetric cross-validation, after Bailey,
Borwein, Lopez de Prado and Zhu (2017). It is told and decides nothing: among strategies that are
worth nothing it comes out anywhere between 0.4 and 0.7.
"""

from __future__ import annotations

from itertools import combinations

import numpy as np

from dexarb.study.verdict.series import Floats

PARTS = 8
LEAST_DAYS = 2 * PARTS


def overfitting(columns: Floats) -> float | None:
    """columns: days x strategies. None with fewer than 16 days, or fewer than two strategies that
    ever traded."""
    columns = columns[:, columns.any(axis=0)]
    days, count = columns.shape
    if days < LEAST_DAYS or count < 2:
        return None
    parts = np.array_split(columns, PARTS)
    sizes = np.array([len(part) for part in parts])
    sums = np.array([part.sum(axis=0) for part in parts])
    squares = np.array([(part**2).sum(axis=0) for part in parts])

    def ratios(chosen: list[int]) -> Floats:
        length = sizes[chosen].sum()
        mean = sums[chosen].sum(axis=0) / length
        variance = squares[chosen].sum(axis=0) / length - mean**2
        found: Floats = np.where(
            variance > 0, mean / np.sqrt(np.where(variance > 0, variance, 1)), 0
        )
        return found

    below = splits = 0
    for inside in combinations(range(PARTS), PARTS // 2):
        outside = [part for part in range(PARTS) if part not in inside]
        best = int(ratios(list(inside)).argmax())
        out = ratios(outside)
        # Its rank from below among all; one of several equals stands in their middle.
        rank = (out < out[best]).sum() + ((out == out[best]).sum() + 1) / 2
        below += rank / (count + 1) <= 0.5
        splits += 1
    return float(below / splits)
