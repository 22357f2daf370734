"""Whether a Uniswap V3 pool can be in a state at all.

Source: Uniswap v3-core, UniswapV3Pool.sol, Tick.sol and Position.sol.
"""

from __future__ import annotations

from collections.abc import Mapping

from dexarb.amm.tick_math import (
    MAX_SQRT_RATIO,
    MAX_TICK,
    MIN_SQRT_RATIO,
    MIN_TICK,
    get_sqrt_ratio_at_tick,
    get_tick_at_sqrt_ratio,
)

UINT128_MAX = (1 << 128) - 1


def impossible(
    *,
    tick_spacing: int,
    sqrt_price_x96: int,
    tick: int,
    liquidity: int,
    ticks: Mapping[int, tuple[int, int]],
) -> str | None:
    """What no contract could be in, in words, or None. ticks: liquidity_gross and liquidity_net."""
    if not 0 < tick_spacing < 16384:
        return f"tick spacing {tick_spacing}"
    if not sqrt_price_x96:
        return "not initialised, but not empty" if tick or ticks or liquidity else None
    if not MIN_SQRT_RATIO <= sqrt_price_x96 < MAX_SQRT_RATIO:
        return f"sqrt price {sqrt_price_x96} is out of range"
    # After moving down to a boundary the tick is the one below it.
    on_boundary = (tick + 1) % tick_spacing == 0 and MIN_TICK <= tick < MAX_TICK
    if get_tick_at_sqrt_ratio(sqrt_price_x96) != tick and not (
        on_boundary and get_sqrt_ratio_at_tick(tick + 1) == sqrt_price_x96
    ):
        return f"sqrt price {sqrt_price_x96} is not in tick {tick}"
    for each, (gross, net) in ticks.items():
        if each % tick_spacing or not MIN_TICK <= each <= MAX_TICK:
            return f"tick {each} does not fit the tick spacing {tick_spacing}"
        # Every position adds its liquidity to gross and adds it to, or takes it from, net.
        if not abs(net) <= gross <= UINT128_MAX or not gross or (gross - net) % 2:
            return f"tick {each} has liquidity_gross {gross} and liquidity_net {net}"
    if sum(net for _, net in ticks.values()):
        return "liquidity_net does not sum to zero"
    in_range = sum(net for each, (_, net) in ticks.items() if each <= tick)
    if in_range != liquidity:
        return f"liquidity is {liquidity}, but liquidity_net sums to {in_range}"
    return None
