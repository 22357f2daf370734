"""Exact pools: integer for integer what the contracts compute.

POOL_TYPES is the registry by `kind`, as configuration and history files name the types.
"""

from __future__ import annotations

from dexarb.amm.uniswap_v2 import UniswapV2Pool
from dexarb.amm.uniswap_v3 import UniswapV3Pool
from dexarb.core.pool import Pool

POOL_TYPES: dict[str, type[Pool]] = {pool.kind: pool for pool in (UniswapV2Pool, UniswapV3Pool)}


def warm_up() -> None:
    """Compile what swaps need, or load it from the cache. Call it before the first is wanted."""
    from dexarb.amm import limb_swap

    limb_swap.warm_up()


__all__ = ["POOL_TYPES", "UniswapV2Pool", "UniswapV3Pool", "warm_up"]
