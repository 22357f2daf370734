"""The events that pools write, and blocks' transactions."""

from __future__ import annotations

from dexarb.amm.tick_math import get_tick_at_sqrt_ratio
from dexarb.amm.uniswap_v2 import SYNC, UniswapV2Pool
from dexarb.amm.uniswap_v3 import UniswapV3Pool
from dexarb.amm.v3_events import BURN, INITIALIZE, MINT, SWAP
from dexarb.core.block import Log
from dexarb.core.pool import Pool
from dexarb.core.token import Address

_SENDER, _RECIPIENT = (number.to_bytes(32, "big") for number in (1, 2))
"""Whoever they are: they change no pool."""


def words(*values: int) -> bytes:
    """As the ABI has them, of 32 bytes each."""
    return b"".join((value % 2**256).to_bytes(32, "big") for value in values)


def state_log(pool: Pool, index: int = 0, flow: tuple[int, int] = (1, -1)) -> Log:
    """What leaves a pool in this state, reached from one with the same ticks.

    flow: what a V3 pool says that it took and gave; a V2 pool says its reserves alone.
    """
    if isinstance(pool, UniswapV2Pool):
        return Log(pool.address, (SYNC,), words(pool.reserve0, pool.reserve1), index, index)
    assert isinstance(pool, UniswapV3Pool)
    data = words(*flow, pool.sqrt_price_x96, pool.liquidity, pool.tick)
    return Log(pool.address, (SWAP, _SENDER, _RECIPIENT), data, index, index)


def swap_log(token_in: Address, amount_in: int, amount_out: int, after: Pool) -> Log:
    """The event of a swap, with its amounts."""
    sold_first = token_in == after.tokens[0]
    flow = (amount_in, -amount_out) if sold_first else (-amount_out, amount_in)
    return state_log(after, flow=flow)


def position_log(pool: Pool, lower: int, upper: int, liquidity: int, index: int = 0) -> Log:
    """A mint, or with negative liquidity a burn. Token amounts change no pool."""
    ticks = (words(lower), words(upper))
    if liquidity < 0:
        data = words(-liquidity, 0, 0)
        return Log(pool.address, (BURN, _SENDER, *ticks), data, index, index)
    data = words(1, liquidity, 5, 5)
    return Log(pool.address, (MINT, _SENDER, *ticks), data, index, index)


def initialize_log(pool: Pool, sqrt_price_x96: int) -> Log:
    data = words(sqrt_price_x96, get_tick_at_sqrt_ratio(sqrt_price_x96))
    return Log(pool.address, (INITIALIZE,), data, 0, 0)
