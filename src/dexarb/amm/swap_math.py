"""SwapMath of Uniswap V3: a swap between two stops of the tick bitmap.

Source: Uniswap v3-core, SwapMath.sol.
"""

from __future__ import annotations

from dexarb.amm.full_math import mul_div, mul_div_rounding_up
from dexarb.amm.sqrt_price_math import (
    get_amount0_delta,
    get_amount1_delta,
    get_next_sqrt_price_from_input,
    get_next_sqrt_price_from_output,
)
from dexarb.core.pool import PIPS


def compute_swap_step(
    sqrt_price_x96: int,
    sqrt_target_x96: int,
    liquidity: int,
    amount_remaining: int,
    fee_pips: int,
) -> tuple[int, int, int, int]:
    """Swap towards the target price until it or the end of the amount is reached.

    amount_remaining: positive is input still to sell (fee included), negative output still to
    buy. Returns the price reached, amount_in (without the fee), amount_out and the fee amount.
    """
    zero_for_one = sqrt_price_x96 >= sqrt_target_x96
    in_delta, out_delta = (
        (get_amount0_delta, get_amount1_delta)
        if zero_for_one
        else (get_amount1_delta, get_amount0_delta)
    )
    if amount_remaining >= 0:
        net_remaining = mul_div(amount_remaining, PIPS - fee_pips, PIPS)
        amount_in = in_delta(sqrt_price_x96, sqrt_target_x96, liquidity, True)
        if net_remaining >= amount_in:
            sqrt_next_x96 = sqrt_target_x96
        else:
            sqrt_next_x96 = get_next_sqrt_price_from_input(
                sqrt_price_x96, liquidity, net_remaining, zero_for_one
            )
        amount_out = out_delta(sqrt_price_x96, sqrt_next_x96, liquidity, False)
        if sqrt_next_x96 != sqrt_target_x96:
            amount_in = in_delta(sqrt_price_x96, sqrt_next_x96, liquidity, True)
            # All of the input is taken: what the price did not need is fee.
            return sqrt_next_x96, amount_in, amount_out, amount_remaining - amount_in
    else:
        wanted = -amount_remaining
        amount_out = out_delta(sqrt_price_x96, sqrt_target_x96, liquidity, False)
        if wanted >= amount_out:
            sqrt_next_x96 = sqrt_target_x96
        else:
            sqrt_next_x96 = get_next_sqrt_price_from_output(
                sqrt_price_x96, liquidity, wanted, zero_for_one
            )
            amount_out = out_delta(sqrt_price_x96, sqrt_next_x96, liquidity, False)
        amount_in = in_delta(sqrt_price_x96, sqrt_next_x96, liquidity, True)
        # The price had to go a whole step: what it would pay beyond the wish stays in the pool.
        amount_out = min(amount_out, wanted)
    fee_amount = mul_div_rounding_up(amount_in, fee_pips, PIPS - fee_pips)
    return sqrt_next_x96, amount_in, amount_out, fee_amount
