"""A swap through a Uniswap V3 pool, written to be read. limb_swap is its compiled twin.

Source: Uniswap v3-core, UniswapV3Pool.sol.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence

from dexarb.amm.swap_math import compute_swap_step
from dexarb.amm.tick_bitmap import last_stop_before, next_stop_above, next_stop_below
from dexarb.amm.tick_math import get_sqrt_ratio_at_tick, get_tick_at_sqrt_ratio

Reached = tuple[int, int, int, int, int]
"""sqrt_price_x96, tick and liquidity after a swap, what remains of the given amount at the limit,
and the amount of the other side."""


def swap(
    ticks: Mapping[int, tuple[int, int]],
    initialized: Sequence[int],
    tick_spacing: int,
    fee_pips: int,
    sqrt_price_x96: int,
    tick: int,
    liquidity: int,
    zero_for_one: bool,
    exact_in: bool,
    amount: int,
    limit: int,
) -> Reached:
    """Swap until the amount or the price limit is reached.

    initialized: the keys of `ticks`, ascending. amount: of the input, or where not exact_in of the
    output; positive. limit: ahead of the price.
    """
    price = sqrt_price_x96
    next_stop = next_stop_below if zero_for_one else next_stop_above
    index = bisect_right(initialized, tick) - zero_for_one
    # As in the contract: what is left of the given side, negative where that is the output.
    remaining = amount if exact_in else -amount
    calculated = 0
    while remaining and price != limit:
        if not liquidity:
            ahead = initialized[index] if 0 <= index < len(initialized) else None
            price, tick = _across_gap(zero_for_one, price, tick, ahead, limit, tick_spacing)
        next_tick, is_initialized = next_stop(initialized, index, tick, tick_spacing)
        next_price = get_sqrt_ratio_at_tick(next_tick)
        target = max(next_price, limit) if zero_for_one else min(next_price, limit)
        start_price = price
        price, step_in, step_out, step_fee = compute_swap_step(
            price, target, liquidity, remaining, fee_pips
        )
        if exact_in:
            remaining -= step_in + step_fee
            calculated += step_out
        else:
            remaining += step_out
            calculated += step_in + step_fee
        if price == next_price:
            if is_initialized:
                liquidity_net = ticks[next_tick][1]
                liquidity += -liquidity_net if zero_for_one else liquidity_net
                index += -1 if zero_for_one else 1
            # On a boundary after moving down the pool counts as in the range below it.
            tick = next_tick - 1 if zero_for_one else next_tick
        elif price != start_price:
            tick = get_tick_at_sqrt_ratio(price)
    return price, tick, liquidity, abs(remaining), calculated


def _across_gap(
    zero_for_one: bool,
    price: int,
    tick: int,
    tick_ahead: int | None,
    limit: int,
    tick_spacing: int,
) -> tuple[int, int]:
    """Price and tick where a swap through no liquidity gets to the word of its next event.

    All the stops between cost the contract gas and change no amount. tick_ahead: initialised.
    """
    goal = get_tick_at_sqrt_ratio(limit)
    if tick_ahead is not None:
        goal = max(goal, tick_ahead) if zero_for_one else min(goal, tick_ahead)
    stop = last_stop_before(goal, tick_spacing, zero_for_one)
    if zero_for_one and stop <= tick:
        return get_sqrt_ratio_at_tick(stop), stop - 1
    if not zero_for_one and stop > tick:
        return get_sqrt_ratio_at_tick(stop), stop
    return price, tick
