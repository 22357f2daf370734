"""What a swap can give at the most, as the executor reckons before it moves anything.

Source: `_most_out` and `_virtual_reserves` of contracts/executor.vy, of which these are the same
integers. docs/executor.md says why no swap gives more.
"""

from __future__ import annotations

from dexarb.core.pool import PIPS

LARGEST = (1 << 112) - 1
"""Amounts and reserves above it are not reckoned with."""

ROOT_OF_TICK, BILLION = 49_997, 1_000_000_000
"""A tick moves the square root of the price by at least this share of a billion."""


def pair_most_out(reserve_in: int, reserve_out: int, fee_pips: int, amount_in: int) -> int | None:
    """Of a V2 pair: what it gives, to the unit. None where that is not reckoned."""
    return _most_out(reserve_in, reserve_out, fee_pips, amount_in, None)


def ticked_most_out(
    *,
    sqrt_price_x96: int,
    tick: int,
    liquidity: int,
    tick_spacing: int,
    fee_pips: int,
    zero_for_one: bool,
    amount_in: int,
) -> int | None:
    """Of a V3 pool: as if its liquidity were what it is up to the next tick that could change it,
    and the price behind that stayed the same. None where that is not reckoned."""
    if not liquidity or (liquidity >= 1 << 96 and sqrt_price_x96 >= 1 << 128):
        return None
    reserve0, reserve1 = (liquidity << 96) // sqrt_price_x96, liquidity * sqrt_price_x96 >> 96
    above = tick % tick_spacing
    if zero_for_one:
        return _most_out(reserve0, reserve1 + 1, fee_pips, amount_in, above)
    return _most_out(reserve1, reserve0 + 1, fee_pips, amount_in, tick_spacing - 1 - above)


def _most_out(
    reserve_in: int, reserve_out: int, fee_pips: int, amount_in: int, ticks: int | None
) -> int | None:
    """ticks: how far the price surely moves on this curve; None for a curve without an end."""
    if max(amount_in, reserve_in, reserve_out) > LARGEST or not reserve_in:
        return None
    kept, before = amount_in * (PIPS - fee_pips), reserve_in * PIPS
    sure = kept if ticks is None else min(kept, before * ticks * ROOT_OF_TICK // BILLION)
    behind = before + sure
    if sure == kept:
        return kept * reserve_out // behind
    left = before * reserve_out // behind
    return reserve_out - left + (kept - sure) * (left + 1) // behind + 1
