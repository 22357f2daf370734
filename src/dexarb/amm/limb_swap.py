"""A whole swap through a Uniswap V3 pool in one compiled call.

The twin of v3_swap, which says why each line is there. Importing this module imports numba.
"""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from dexarb.amm.limb_math import compute_swap_step, get_sqrt_ratio_at_tick, get_tick_at_sqrt_ratio
from dexarb.amm.tick_math import MAX_SQRT_RATIO, MAX_TICK, MIN_SQRT_RATIO, MIN_TICK
from dexarb.amm.v3_swap import Reached
from dexarb.compiled import kernel, kernel_part
from dexarb.limbs import (
    N0,
    N63,
    ZERO,
    Limb,
    Limbs,
    add,
    equal,
    is_zero,
    less,
    limbs_of,
    sub,
)

Rows = NDArray[np.uint64]
"""Initialised ticks, see PackedTicks."""

LOWEST, HIGHEST = np.int64(MIN_TICK), np.int64(MAX_TICK)
NO_TICK = np.int64(MAX_TICK + 1)
# For a literal True numba would compile the whole swap once more.
EXACT_IN = cast(bool, np.bool_(True))
LOWEST_LIMIT, HIGHEST_LIMIT = MIN_SQRT_RATIO + 1, MAX_SQRT_RATIO - 1
LOWEST_LIMBS, HIGHEST_LIMBS = limbs_of(LOWEST_LIMIT), limbs_of(HIGHEST_LIMIT)


def swap(
    rows: Rows,
    tick_spacing: int,
    fee_pips: int,
    sqrt_price_x96: int,
    tick: int,
    liquidity: int,
    zero_for_one: bool,
    exact_in: bool,
    amount: int,
    limit: int,
) -> Reached | None:
    """As v3_swap.swap; None where liquidity leaves uint128, as in no contract it can."""
    if liquidity >> 128:
        return None
    numbers = amount | sqrt_price_x96 << 256 | limit << 448 | liquidity << 640
    tick, p0, p1, p2, l0, l1, r0, r1, r2, r3, c0, c1, c2, c3 = swap_limbs(
        rows, numbers.to_bytes(96, "little"), tick_spacing, fee_pips, tick, zero_for_one, exact_in
    )
    if tick == NO_TICK:
        return None
    return (
        p0 | p1 << 64 | p2 << 128,
        tick,
        l0 | l1 << 64,
        r0 | r1 << 64 | r2 << 128 | r3 << 192,
        c0 | c1 << 64 | c2 << 128 | c3 << 192,
    )


def quote(
    rows: Rows,
    tick_spacing: int,
    fee_pips: int,
    sqrt_price_x96: int,
    tick: int,
    liquidity: int,
    zero_for_one: bool,
    amount_in: int,
) -> int | None:
    """What an exact input buys; None where the pool cannot take it, or `swap` is needed to tell."""
    if not LOWEST_LIMIT < sqrt_price_x96 < HIGHEST_LIMIT:
        return None
    try:
        numbers = (amount_in | (sqrt_price_x96 | liquidity << 384) << 256).to_bytes(96, "little")
    except OverflowError:
        return None
    is_whole, low, high = quote_limbs(rows, numbers, tick_spacing, fee_pips, tick, zero_for_one)
    return int(low) | int(high) << 64 if is_whole else None


def warm_up() -> None:
    """Compile all kernels, or load them from the cache."""
    rows = np.zeros((0, 3), dtype=Limb)
    swap(rows, 1, 0, MIN_SQRT_RATIO, MIN_TICK, 1, False, True, 1, MAX_SQRT_RATIO - 1)
    # A quote at the very end of the prices is refused before its kernel is called.
    quote(rows, 1, 0, LOWEST_LIMIT + 1, MIN_TICK, 1, False, 1)


@kernel_part
def limb_at(numbers: bytes, place: int) -> Limb:
    limb = N0
    for byte in range(8):
        limb |= Limb(numbers[8 * place + byte]) << Limb(8 * byte)
    return limb


@kernel_part
def tick_at(rows: Rows, index: int) -> np.int64:
    return np.int64(rows[index, 0])


@kernel_part
def first_above(rows: Rows, tick: np.int64) -> int:
    """bisect_right."""
    low, high = 0, len(rows)
    while low < high:
        middle = (low + high) // 2
        if tick_at(rows, middle) <= tick:
            low = middle + 1
        else:
            high = middle
    return low


@kernel_part
def next_stop(
    zero_for_one: bool, rows: Rows, index: int, tick: np.int64, spacing: np.int64
) -> tuple[np.int64, bool]:
    """next_stop_below or next_stop_above of tick_bitmap."""
    span = spacing * 256
    if zero_for_one:
        word_start = tick // span * span
        if index >= 0 and tick_at(rows, index) >= word_start:
            return tick_at(rows, index), True
        return max(word_start, LOWEST), False
    word_end = (tick + spacing) // span * span + span - spacing
    if index < len(rows) and tick_at(rows, index) <= word_end:
        return tick_at(rows, index), True
    return min(word_end, HIGHEST), False


@kernel
def across_gap(
    zero_for_one: bool,
    price: Limbs,
    tick: np.int64,
    rows: Rows,
    index: int,
    limit: Limbs,
    spacing: np.int64,
) -> tuple[Limbs, np.int64]:
    goal = get_tick_at_sqrt_ratio(limit)
    if 0 <= index < len(rows):
        ahead = tick_at(rows, index)
        goal = max(goal, ahead) if zero_for_one else min(goal, ahead)
    span = spacing * 256
    if zero_for_one:
        stop = goal // span * span + span
        if stop <= tick:
            return get_sqrt_ratio_at_tick(stop), stop - 1
    else:
        stop = (goal + spacing - 1) // span * span - spacing
        if stop > tick:
            return get_sqrt_ratio_at_tick(stop), stop
    return price, tick


@kernel
def swap_along(
    rows: Rows,
    spacing: np.int64,
    fee_pips: Limb,
    price: Limbs,
    tick: np.int64,
    liquidity: Limbs,
    zero_for_one: bool,
    exact_in: bool,
    remaining: Limbs,
    limit: Limbs,
) -> tuple[np.int64, Limbs, Limbs, Limbs, Limbs]:
    """Tick, price, liquidity, what remains and what was calculated. NO_TICK: see `swap`."""
    index = first_above(rows, tick)
    if zero_for_one:
        index -= 1
    calculated = ZERO
    while not is_zero(remaining) and not equal(price, limit):
        if is_zero(liquidity):
            price, tick = across_gap(zero_for_one, price, tick, rows, index, limit, spacing)
        next_tick, is_initialized = next_stop(zero_for_one, rows, index, tick, spacing)
        next_price = get_sqrt_ratio_at_tick(next_tick)
        target = limit if less(next_price, limit) == zero_for_one else next_price
        start_price = price
        price, step_in, step_out, step_fee, fits = compute_swap_step(
            price, target, liquidity, remaining, exact_in, fee_pips
        )
        paid, _ = add(step_in, step_fee)
        remaining = sub(remaining, paid if exact_in else step_out)
        calculated, _ = add(calculated, step_out if exact_in else paid)
        if equal(price, next_price):
            if is_initialized:
                sign = N0 - (rows[index, 2] >> N63)
                liquidity_net = rows[index, 1], rows[index, 2], sign, sign
                if zero_for_one:
                    liquidity = sub(liquidity, liquidity_net)
                    index -= 1
                else:
                    liquidity, _ = add(liquidity, liquidity_net)
                    index += 1
            tick = next_tick - 1 if zero_for_one else next_tick
        elif not equal(price, start_price):
            tick = get_tick_at_sqrt_ratio(price)
        if not fits or (liquidity[2] | liquidity[3]) != N0:
            tick = NO_TICK
            break
    return tick, price, liquidity, remaining, calculated


@kernel
def swap_limbs(
    rows: Rows,
    numbers: bytes,
    tick_spacing: int,
    fee_pips: int,
    start_tick: int,
    zero_for_one: bool,
    exact_in: bool,
) -> tuple[Any, ...]:
    """Tick, price, liquidity, what remains and what was calculated, all but the first in limbs.

    numbers: amount, price, limit and liquidity in 4, 3, 3 and 2 limbs of little-endian bytes; a
    limit of 0 is the end of the price range.
    """
    n = numbers
    limit = limb_at(n, 7), limb_at(n, 8), limb_at(n, 9), N0
    if is_zero(limit):
        limit = LOWEST_LIMBS if zero_for_one else HIGHEST_LIMBS
    tick, p, now, r, c = swap_along(
        rows,
        np.int64(tick_spacing),
        Limb(fee_pips),
        (limb_at(n, 4), limb_at(n, 5), limb_at(n, 6), N0),
        np.int64(start_tick),
        (limb_at(n, 10), limb_at(n, 11), N0, N0),
        zero_for_one,
        exact_in,
        (limb_at(n, 0), limb_at(n, 1), limb_at(n, 2), limb_at(n, 3)),
        limit,
    )
    return tick, p[0], p[1], p[2], now[0], now[1], r[0], r[1], r[2], r[3], c[0], c[1], c[2], c[3]


@kernel
def quote_limbs(
    rows: Rows,
    numbers: bytes,
    tick_spacing: int,
    fee_pips: int,
    start_tick: int,
    zero_for_one: bool,
) -> tuple[bool, Limb, Limb]:
    """Whether all of an exact input is taken and what it buys fits into these two limbs."""
    reached = swap_limbs(rows, numbers, tick_spacing, fee_pips, start_tick, zero_for_one, EXACT_IN)
    rest = reached[6] | reached[7] | reached[8] | reached[9] | reached[12] | reached[13]
    return reached[0] != NO_TICK and rest == N0, reached[10], reached[11]
