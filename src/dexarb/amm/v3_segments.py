"""The float mirror of a Uniswap V3 pool between two prices.

Source: Uniswap v3 white paper.
"""

from __future__ import annotations

from dexarb.amm.sqrt_price_math import Q96
from dexarb.core.pool import Segment


def selling_token0(kept: float, price: int, boundary: int, liquidity: int) -> Segment:
    """From a price down to a boundary: rate γP and depth γ√P/L. kept: γ, 1 less the fee.

    Differences of prices are taken in integers: in floats they would cancel.
    """
    root = price / Q96
    net_limit = liquidity / root * ((price - boundary) / boundary)
    return Segment(kept * root * root, kept * root / liquidity, net_limit / kept)


def selling_token1(kept: float, price: int, boundary: int, liquidity: int) -> Segment:
    """From a price up to a boundary: rate γ/P and depth γ/(L√P)."""
    root = price / Q96
    net_limit = liquidity * ((boundary - price) / Q96)
    return Segment(kept / root / root, kept / root / liquidity, net_limit / kept)
