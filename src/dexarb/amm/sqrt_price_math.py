"""SqrtPriceMath of Uniswap V3: how amounts move the price, and how price moves become amounts.

Every rounding is against the trader. Prices are sqrt_price_x96, amounts smallest units.
Where the contract would revert OverflowError is raised. Source: v3-core, SqrtPriceMath.sol.
"""

from __future__ import annotations

from dexarb.amm.full_math import UINT256_MAX, div_rounding_up, mul_div, mul_div_rounding_up

Q96 = 1 << 96
UINT160_MAX = (1 << 160) - 1


def get_next_sqrt_price_from_amount0_rounding_up(
    sqrt_price_x96: int, liquidity: int, amount: int, add: bool
) -> int:
    """The price after adding or removing token0; up, so that no more than is due goes out."""
    if amount == 0:
        return sqrt_price_x96
    numerator = liquidity << 96
    product = amount * sqrt_price_x96
    if add:
        if product <= UINT256_MAX and numerator + product <= UINT256_MAX:
            return mul_div_rounding_up(numerator, sqrt_price_x96, numerator + product)
        # The contract's way round an overflow, less precise: its own rounding must be kept.
        return div_rounding_up(numerator, numerator // sqrt_price_x96 + amount)
    if product > UINT256_MAX or numerator <= product:
        raise OverflowError("more token0 than the liquidity holds")
    result = mul_div_rounding_up(numerator, sqrt_price_x96, numerator - product)
    if result > UINT160_MAX:
        raise OverflowError("sqrt price exceeds uint160")
    return result


def get_next_sqrt_price_from_amount1_rounding_down(
    sqrt_price_x96: int, liquidity: int, amount: int, add: bool
) -> int:
    """The price after adding or removing token1; down, so that no more than is due goes out."""
    if add:
        result = sqrt_price_x96 + mul_div(amount, Q96, liquidity)
        if result > UINT160_MAX:
            raise OverflowError("sqrt price exceeds uint160")
        return result
    quotient = div_rounding_up(amount << 96, liquidity)
    if sqrt_price_x96 <= quotient:
        raise OverflowError("more token1 than the liquidity holds")
    return sqrt_price_x96 - quotient


def get_next_sqrt_price_from_input(
    sqrt_price_x96: int, liquidity: int, amount_in: int, zero_for_one: bool
) -> int:
    """The price after selling amount_in (net of fee); never past what the amount pays for."""
    if sqrt_price_x96 <= 0 or liquidity <= 0:
        raise OverflowError("no price or no liquidity")
    if zero_for_one:
        return get_next_sqrt_price_from_amount0_rounding_up(
            sqrt_price_x96, liquidity, amount_in, True
        )
    return get_next_sqrt_price_from_amount1_rounding_down(
        sqrt_price_x96, liquidity, amount_in, True
    )


def get_next_sqrt_price_from_output(
    sqrt_price_x96: int, liquidity: int, amount_out: int, zero_for_one: bool
) -> int:
    """The price after buying amount_out; always far enough to pay for it."""
    if sqrt_price_x96 <= 0 or liquidity <= 0:
        raise OverflowError("no price or no liquidity")
    if zero_for_one:
        return get_next_sqrt_price_from_amount1_rounding_down(
            sqrt_price_x96, liquidity, amount_out, False
        )
    return get_next_sqrt_price_from_amount0_rounding_up(
        sqrt_price_x96, liquidity, amount_out, False
    )


def get_amount0_delta(
    sqrt_ratio_a_x96: int, sqrt_ratio_b_x96: int, liquidity: int, round_up: bool
) -> int:
    """Token0 between two prices: liquidity · (1/√low − 1/√high). Up for what is paid in."""
    if sqrt_ratio_a_x96 > sqrt_ratio_b_x96:
        sqrt_ratio_a_x96, sqrt_ratio_b_x96 = sqrt_ratio_b_x96, sqrt_ratio_a_x96
    numerator = (liquidity << 96) * (sqrt_ratio_b_x96 - sqrt_ratio_a_x96)
    # The contract divides twice and rounds twice the same way; for integers that is one division.
    denominator = sqrt_ratio_b_x96 * sqrt_ratio_a_x96
    return div_rounding_up(numerator, denominator) if round_up else numerator // denominator


def get_amount1_delta(
    sqrt_ratio_a_x96: int, sqrt_ratio_b_x96: int, liquidity: int, round_up: bool
) -> int:
    """Token1 between two prices: liquidity · (√high − √low). Up for what is paid in."""
    rounded = mul_div_rounding_up if round_up else mul_div
    return rounded(liquidity, abs(sqrt_ratio_b_x96 - sqrt_ratio_a_x96), Q96)
