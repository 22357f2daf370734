"""Units: how many of what is counted in make one of what people say.

Money is counted in micro-USD, shares and rates in parts per million, gas prices in wei per gas.
Pool fees are in pips, see core/pool.
"""

from __future__ import annotations

MICRO_USD = 1_000_000
"""In a US dollar."""

PPM = 1_000_000
PPM_PER_PERCENT = 10_000
PPM_PER_BPS = 100
BPS = 10_000
"""Basis points in one whole."""

GWEI = 10**9
"""In wei."""
NATIVE = 10**18
"""A whole native token in wei."""

HOURS_PER_DAY = 24
SECONDS_PER_HOUR = 3_600
SECONDS_PER_DAY = 86_400
"""Of UTC, which knows no leap seconds in timestamps."""


def usd_or_none(micro_usd: int | None) -> float | None:
    """As JSON has it, where it may not be known."""
    return None if micro_usd is None else micro_usd / MICRO_USD
