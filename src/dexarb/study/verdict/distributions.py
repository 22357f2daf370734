"""The few distributions that a verdict needs, without a library of three hundred of them.

The regularised incomplete beta function by its continued fraction (Abramowitz and Stegun 26.5.8,
evaluated after Lentz); binomial bounds after Clopper and Pearson (1934), and Student's t, follow
from it.
"""

from __future__ import annotations

import math
from functools import lru_cache

_TINY = 1e-300
_ENOUGH = 1e-14
_ROUNDS = 500
CONFIDENCE = 0.95


def beta_cdf(x: float, a: float, b: float) -> float:
    """P(X <= x) of a beta variable with the shapes a, b > 0."""
    if x <= 0.0:
        return 0.0
    if x >= 1.0:
        return 1.0
    if x > (a + 1.0) / (a + b + 2.0):
        return 1.0 - beta_cdf(1.0 - x, b, a)
    front = math.exp(
        math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    )
    return front * _fraction(x, a, b) / a


def _fraction(x: float, a: float, b: float) -> float:
    c, d = 1.0, 1.0 / (1.0 - (a + b) * x / (a + 1.0) or _TINY)
    value = d
    for m in range(1, _ROUNDS):
        for term in (
            m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1)),
        ):
            d = 1.0 / (1.0 + term * d or _TINY)
            c = 1.0 + term / c or _TINY
            step = c * d
            value *= step
        if abs(step - 1.0) < _ENOUGH:
            break
    return value


@lru_cache(maxsize=1 << 14)
def binomial_bounds(hits: int, trials: int, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Both ends of the Clopper-Pearson interval of a rate, of which each is missed with half of
    1 - confidence at most. Many strategies ask for the same."""
    tail = (1.0 - confidence) / 2
    low = 0.0 if hits == 0 else _solve(tail, hits, trials - hits + 1)
    high = 1.0 if hits == trials else _solve(1.0 - tail, hits + 1, trials - hits)
    return low, high


def _solve(probability: float, a: float, b: float) -> float:
    low, high = 0.0, 1.0
    while high - low > _ENOUGH * max(high, _ENOUGH):
        middle = (low + high) / 2
        if middle in (low, high):
            break
        if beta_cdf(middle, a, b) < probability:
            low = middle
        else:
            high = middle
    return (low + high) / 2


def t_tail(t: float, degrees: int) -> float:
    """P(T >= t) of Student's t."""
    half = beta_cdf(degrees / (degrees + t * t), degrees / 2, 0.5) / 2
    return half if t >= 0 else 1.0 - half
