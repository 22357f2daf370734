"""The mathematics of a Uniswap V3 swap on limbs.

The compiled twin of full_math, sqrt_price_math, tick_math and swap_math: the same functions by the
same names, with what they return and why. Where those raise OverflowError, here the last result is
False and the others mean nothing.
"""

from __future__ import annotations

from math import log
from typing import cast

import numpy as np

from dexarb.amm.tick_math import FACTORS, LOG_Q96, LOG_SQRT_1_0001, ODD_FACTOR
from dexarb.compiled import kernel, kernel_part
from dexarb.core.pool import PIPS
from dexarb.limbs import (
    ALL_ONES,
    LIMB,
    N0,
    N1,
    ONE,
    ZERO,
    Limb,
    Limbs,
    add,
    divide,
    equal,
    is_zero,
    less,
    mul,
    mul_add,
    sub,
)

N32 = Limb(32)
ALL_PIPS = Limb(PIPS)
Q96: Limbs = (N0, N1 << N32, N0, N0)
# Typed: of a plain True numba compiles a version of its own.
UP, DOWN = cast(bool, np.bool_(True)), cast(bool, np.bool_(False))
UINT256_MAX: Limbs = (ALL_ONES, ALL_ONES, ALL_ONES, ALL_ONES)

# Of Q128.128 numbers below one: lower and upper limb.
FACTOR_LIMBS = np.array([divmod(factor, 1 << 64)[::-1] for _, factor in FACTORS], dtype=Limb)
ODD_FACTOR_LIMBS = Limb(ODD_FACTOR & 0xFFFFFFFFFFFFFFFF), Limb(ODD_FACTOR >> 64)


@kernel_part
def mul_div(a: Limbs, b: Limbs, denominator: Limbs, round_up: bool) -> tuple[Limbs, bool]:
    product = mul(a, b)
    if not less((product[4], product[5], product[6], product[7]), denominator):
        return ZERO, False  # also where the denominator is zero
    quotient, exact = divide(product, denominator)
    if round_up and not exact:
        return add(quotient, ONE)
    return quotient, True


@kernel_part
def div(a: Limbs, denominator: Limbs, round_up: bool) -> Limbs:
    """For a denominator that is not zero."""
    quotient, exact = divide((a[0], a[1], a[2], a[3], N0, N0, N0, N0), denominator)
    if round_up and not exact:
        quotient, _ = add(quotient, ONE)
    return quotient


@kernel_part
def times_q96(a: Limbs) -> Limbs:
    """For a below 2**160."""
    return N0, a[0] << N32, (a[1] << N32) | (a[0] >> N32), (a[2] << N32) | (a[1] >> N32)


@kernel_part
def fits_160_bits(a: Limbs) -> bool:
    return bool((a[3] | (a[2] >> N32)) == N0)


@kernel_part
def get_amount0_delta(a: Limbs, b: Limbs, liquidity: Limbs, round_up: bool) -> Limbs:
    low, high = (b, a) if less(b, a) else (a, b)
    quotient, _ = mul_div(times_q96(liquidity), sub(high, low), high, round_up)
    return div(quotient, low, round_up)


@kernel_part
def get_amount1_delta(a: Limbs, b: Limbs, liquidity: Limbs, round_up: bool) -> Limbs:
    difference = sub(a, b) if less(b, a) else sub(b, a)
    p = mul(liquidity, difference)
    quotient = (
        (p[1] >> N32) | (p[2] << N32),
        (p[2] >> N32) | (p[3] << N32),
        (p[3] >> N32) | (p[4] << N32),
        (p[4] >> N32) | (p[5] << N32),
    )
    if round_up and (p[0] | (p[1] << N32)) != N0:
        quotient, _ = add(quotient, ONE)
    return quotient


@kernel
def get_amount_delta(
    of_token0: bool, a: Limbs, b: Limbs, liquidity: Limbs, round_up: bool
) -> Limbs:
    if of_token0:
        return get_amount0_delta(a, b, liquidity, round_up)
    return get_amount1_delta(a, b, liquidity, round_up)


@kernel_part
def get_next_sqrt_price_from_amount0_rounding_up(
    price: Limbs, liquidity: Limbs, amount: Limbs, is_added: bool
) -> tuple[Limbs, bool]:
    if is_zero(amount):
        return price, True
    numerator = times_q96(liquidity)
    p = mul(amount, price)
    product = p[0], p[1], p[2], p[3]
    product_fits = bool((p[4] | p[5] | p[6] | p[7]) == N0)
    if is_added:
        denominator, fits = add(numerator, product)
        if product_fits and fits:
            return mul_div(numerator, price, denominator, UP)
        denominator, fits = add(div(numerator, price, DOWN), amount)
        if not fits:
            return price, False
        return div(numerator, denominator, UP), True
    if not product_fits or not less(product, numerator):
        return price, False
    result, fits = mul_div(numerator, price, sub(numerator, product), UP)
    return result, fits and fits_160_bits(result)


@kernel_part
def get_next_sqrt_price_from_amount1_rounding_down(
    price: Limbs, liquidity: Limbs, amount: Limbs, is_added: bool
) -> tuple[Limbs, bool]:
    quotient, fits = mul_div(amount, Q96, liquidity, not is_added)
    if not is_added:
        return sub(price, quotient), fits and less(quotient, price)
    result, sum_fits = add(price, quotient)
    return result, fits and sum_fits and fits_160_bits(result)


@kernel
def get_next_sqrt_price(
    price: Limbs, liquidity: Limbs, amount: Limbs, exact_in: bool, zero_for_one: bool
) -> tuple[Limbs, bool]:
    """get_next_sqrt_price_from_input, or _from_output where not exact_in."""
    if is_zero(price) or is_zero(liquidity):
        return price, False
    if zero_for_one == exact_in:
        return get_next_sqrt_price_from_amount0_rounding_up(price, liquidity, amount, exact_in)
    return get_next_sqrt_price_from_amount1_rounding_down(price, liquidity, amount, exact_in)


@kernel
def compute_swap_step(
    price: Limbs, target: Limbs, liquidity: Limbs, remaining: Limbs, exact_in: bool, fee_pips: Limb
) -> tuple[Limbs, Limbs, Limbs, Limbs, bool]:
    """remaining has no sign here: exact_in tells which side it is of."""
    zero_for_one = not less(price, target)
    kept = ALL_PIPS - fee_pips, N0, N0, N0
    given = remaining
    if exact_in:
        given, _ = mul_div(remaining, kept, (ALL_PIPS, N0, N0, N0), DOWN)
    whole = get_amount_delta(zero_for_one == exact_in, price, target, liquidity, exact_in)
    reached, fits = target, True
    if less(given, whole):
        reached, fits = get_next_sqrt_price(price, liquidity, given, exact_in, zero_for_one)
    at_target = equal(reached, target)
    amount_in = amount_out = whole
    if not (at_target and exact_in):
        amount_in = get_amount_delta(zero_for_one, price, reached, liquidity, UP)
    if not at_target or exact_in:
        amount_out = get_amount_delta(not zero_for_one, price, reached, liquidity, DOWN)
    if exact_in and not at_target:
        return reached, amount_in, amount_out, sub(remaining, amount_in), fits
    if not exact_in and less(remaining, amount_out):
        amount_out = remaining
    fee_amount, fee_fits = mul_div(amount_in, (fee_pips, N0, N0, N0), kept, UP)
    return reached, amount_in, amount_out, fee_amount, fits and fee_fits


@kernel
def get_sqrt_ratio_at_tick(tick: np.int64) -> Limbs:
    """For ticks up to MAX_TICK."""
    magnitude = abs(tick)
    if magnitude == 0:
        return Q96
    low, high = ODD_FACTOR_LIMBS if magnitude & 1 else (N0, N0)
    for place in range(len(FACTOR_LIMBS)):
        if magnitude >> (place + 1) & 1:
            x0, x1 = FACTOR_LIMBS[place, 0], FACTOR_LIMBS[place, 1]
            if high == N0:
                low, high = x0, x1
            else:
                _, p1 = mul_add(low, x0, N0, N0)
                p1, p2 = mul_add(low, x1, p1, N0)
                p1, c = mul_add(high, x0, p1, N0)
                low, high = mul_add(high, x1, p2, c)
    ratio = low, high, N0, N0
    if tick > 0:
        ratio = div(UINT256_MAX, ratio, DOWN)
    rounded = (
        (ratio[0] >> N32) | (ratio[1] << N32),
        (ratio[1] >> N32) | (ratio[2] << N32),
        (ratio[2] >> N32) | (ratio[3] << N32),
        ratio[3] >> N32,
    )
    if (ratio[0] << N32) != N0:
        rounded, _ = add(rounded, ONE)
    return rounded


@kernel
def get_tick_at_sqrt_ratio(price: Limbs) -> np.int64:
    """For prices that a pool can have; estimated in floats and settled as in tick_math."""
    value = float(price[0]) + LIMB * (float(price[1]) + LIMB * float(price[2]))
    estimate = (log(value) - LOG_Q96) / LOG_SQRT_1_0001
    nearest = np.int64(np.rint(estimate))
    if abs(estimate - nearest) > 1e-3:
        return np.int64(np.floor(estimate))
    return nearest - 1 if less(price, get_sqrt_ratio_at_tick(nearest)) else nearest
