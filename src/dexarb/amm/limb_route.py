"""Swaps through Uniswap V2 and V3 pools that lie in arrays: whole routes in compiled code.

The twin of `swap` and `swap_exact_out` of these pools without the pool behind the swap, for where
the same pools are asked thousands of times. Importing this module imports numba.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dexarb.amm.limb_math import DOWN, mul_div
from dexarb.amm.limb_swap import (
    HIGHEST_LIMBS,
    LOWEST_LIMBS,
    NO_TICK,
    Rows,
    first_above,
    swap_along,
)
from dexarb.amm.uniswap_v2 import UINT112_MAX, UniswapV2Pool
from dexarb.amm.uniswap_v3 import UniswapV3Pool
from dexarb.amm.v3_state import UINT128_MAX
from dexarb.compiled import kernel, kernel_part
from dexarb.core.pool import PIPS, Pool
from dexarb.limbs import N0, N63, ONE, ZERO, Limb, Limbs, add, is_zero, less, limbs_of, mul, sub

NO_KIND, V2, V3 = range(3)
KIND, FEE, SPACING, TICK = range(4)
"""Columns of `States.places`."""
STATE_LIMBS = 5
"""Of a V2 pool two for each reserve, of a V3 pool three for the price and two for the liquidity."""

TAKEN, REFUSED, UNKNOWN = range(3)
"""A swap raises a PoolError where it is refused. Unknown is what does not fit in here."""

RESERVE_LIMBS, PIPS_LIMBS = limbs_of(UINT112_MAX), limbs_of(PIPS)
ALL_PIPS = np.int64(PIPS)


class States(NamedTuple):
    """By slot: see STATE_LIMBS, KIND, and PackedTicks for `ticks`, of which a pool has those from a
    first one on, so many."""

    numbers: NDArray[np.uint64]
    places: NDArray[np.int64]
    tick_rows: NDArray[np.int64]
    ticks: Rows


class State(NamedTuple):
    """Of a pool, as it is put into States. ticks: the same array as long as they are the same."""

    numbers: NDArray[np.uint64]
    places: tuple[int, int, int, int]
    ticks: Rows | None = None


def state_of(pool: Pool) -> State | None:
    """None for other kinds, also for those that inherit from these two: their formulas may be
    others."""
    if type(pool) is UniswapV2Pool:
        numbers = _limbs(pool.reserve0 | pool.reserve1 << 128)
        return State(numbers, (V2, pool.fee_pips, 0, 0))
    if type(pool) is UniswapV3Pool and pool.liquidity <= UINT128_MAX:
        numbers = _limbs(pool.sqrt_price_x96 | pool.liquidity << 192)
        return State(
            numbers, (V3, pool.fee_pips, pool.tick_spacing, pool.tick), pool.packed_ticks()
        )
    return None


def _limbs(number: int) -> NDArray[np.uint64]:
    return np.frombuffer(number.to_bytes(8 * STATE_LIMBS, "little"), dtype="<u8")


@kernel
def swapped(
    s: States, slot: int, zero_for_one: bool, exact_in: bool, amount: Limbs
) -> tuple[int, Limbs, np.int64]:
    """Whether the swap is TAKEN, what comes out (of exact_in) or goes in, and the tick behind it.

    An amount of 0 is none of a swap: the caller's business.
    """
    kind, fee = s.places[slot, KIND], s.places[slot, FEE]
    if (amount[1] >> N63 | amount[2] | amount[3]) != N0:
        return UNKNOWN, ZERO, np.int64(0)
    if kind == V2:
        reserve0 = s.numbers[slot, 0], s.numbers[slot, 1], N0, N0
        reserve1 = s.numbers[slot, 2], s.numbers[slot, 3], N0, N0
        reserve_in, reserve_out = (reserve0, reserve1) if zero_for_one else (reserve1, reserve0)
        kept = Limb(ALL_PIPS - fee), N0, N0, N0
        state, other = pair_swapped(reserve_in, reserve_out, kept, exact_in, amount)
        return state, other, np.int64(0)
    if kind == V3:
        price = s.numbers[slot, 0], s.numbers[slot, 1], s.numbers[slot, 2], N0
        liquidity = s.numbers[slot, 3], s.numbers[slot, 4], N0, N0
        limit = LOWEST_LIMBS if zero_for_one else HIGHEST_LIMBS
        if is_zero(price) or not (less(limit, price) if zero_for_one else less(price, limit)):
            return REFUSED, ZERO, np.int64(0)
        first, number = s.tick_rows[slot, 0], s.tick_rows[slot, 1]
        tick, _, _, remaining, calculated = swap_along(
            s.ticks[first : first + number],
            s.places[slot, SPACING],
            Limb(fee),
            price,
            s.places[slot, TICK],
            liquidity,
            zero_for_one,
            exact_in,
            amount,
            limit,
        )
        if tick == NO_TICK:
            return UNKNOWN, ZERO, tick
        return TAKEN if is_zero(remaining) else REFUSED, calculated, tick
    return UNKNOWN, ZERO, np.int64(0)


@kernel_part
def pair_swapped(
    reserve_in: Limbs, reserve_out: Limbs, kept: Limbs, exact_in: bool, amount: Limbs
) -> tuple[int, Limbs]:
    """kept: what the fee leaves, in pips. All products are below 2**256."""
    if is_zero(reserve_in) or is_zero(reserve_out):
        return REFUSED, ZERO
    if exact_in:
        paid, _ = add(reserve_in, amount)
        if less(RESERVE_LIMBS, paid):
            return REFUSED, ZERO
        net_in = low_product(amount, kept)
        denominator, _ = add(low_product(reserve_in, PIPS_LIMBS), net_in)
        amount_out, _ = mul_div(net_in, reserve_out, denominator, DOWN)
        return TAKEN, amount_out
    if not less(amount, reserve_out):
        return REFUSED, ZERO
    denominator = low_product(sub(reserve_out, amount), kept)
    quotient, _ = mul_div(low_product(reserve_in, PIPS_LIMBS), amount, denominator, DOWN)
    amount_in, _ = add(quotient, ONE)
    paid, _ = add(reserve_in, amount_in)
    return REFUSED if less(RESERVE_LIMBS, paid) else TAKEN, amount_in


@kernel_part
def low_product(a: Limbs, b: Limbs) -> Limbs:
    p = mul(a, b)
    return p[0], p[1], p[2], p[3]


@kernel
def crossed_ticks(s: States, slot: int, after: np.int64) -> int:
    """As UniswapV3Pool.crossed_ticks, by the tick behind a swap."""
    before = s.places[slot, TICK]
    if s.places[slot, KIND] != V3 or after == before:
        return 0
    first, number = s.tick_rows[slot, 0], s.tick_rows[slot, 1]
    rows = s.ticks[first : first + number]
    return abs(first_above(rows, after) - first_above(rows, before))


@kernel_part
def left_tick(s: States, slot: int, after: np.int64) -> bool:
    return bool(s.places[slot, KIND] == V3 and after != s.places[slot, TICK])


@kernel_part
def more_words(s: States, slot: int, after: np.int64) -> np.int64:
    """As UniswapV3Pool.more_words."""
    before, spacing = s.places[slot, TICK], s.places[slot, SPACING]
    if s.places[slot, KIND] != V3 or after == before:
        return np.int64(0)
    span = spacing * 256
    if after < before:
        return np.int64(before // span - after // span)
    return np.int64((after + spacing) // span - (before + spacing) // span)
