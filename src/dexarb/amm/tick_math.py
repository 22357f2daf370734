"""TickMath of Uniswap V3: square roots of prices at ticks, as Q64.96 integers, and back.

price = token1 per token0 in smallest units = 1.0001**tick; sqrt_price_x96 = √price · 2**96.
Source: Uniswap v3-core, TickMath.sol.
"""

from __future__ import annotations

from functools import lru_cache
from math import floor, log

MIN_TICK = -887272
MAX_TICK = 887272
MIN_SQRT_RATIO = 4295128739
"""At MIN_TICK; the lowest price a pool can have."""
MAX_SQRT_RATIO = 1461446703485210103287273052203988822378723970342
"""At MAX_TICK; a pool's price is always below it."""

_UINT256_MAX = (1 << 256) - 1
LOG_Q96 = 96 * log(2)
LOG_SQRT_1_0001 = log(1.0001) / 2

ODD_FACTOR = 0xFFFCB933BD6FAD37AA2D162D1A594001
FACTORS = (
    (0x2, 0xFFF97272373D413259A46990580E213A),
    (0x4, 0xFFF2E50F5F656932EF12357CF3C7FDCC),
    (0x8, 0xFFE5CACA7E10E4E61C3624EAA0941CD0),
    (0x10, 0xFFCB9843D60F6159C9DB58835C926644),
    (0x20, 0xFF973B41FA98C081472E6896DFB254C0),
    (0x40, 0xFF2EA16466C96A3843EC78B326B52861),
    (0x80, 0xFE5DEE046A99A2A811C461F1969C3053),
    (0x100, 0xFCBE86C7900A88AEDCFFC83B479AA3A4),
    (0x200, 0xF987A7253AC413176F2B074CF7815E54),
    (0x400, 0xF3392B0822B70005940C7A398E4B70F3),
    (0x800, 0xE7159475A2C29B7443B29C7FA6E889D9),
    (0x1000, 0xD097F3BDFD2022B8845AD8F792AA5825),
    (0x2000, 0xA9F746462D870FDF8A65DC1F90E061E5),
    (0x4000, 0x70D869A156D2A1B890BB3DF62BAF32F7),
    (0x8000, 0x31BE135F97D08FD981231505542FCFA6),
    (0x10000, 0x9AA508B5B7A84E1C677DE54F3E99BC9),
    (0x20000, 0x5D6AF8DEDB81196699C329225EE604),
    (0x40000, 0x2216E584F5FA1EA926041BEDFE98),
    (0x80000, 0x48A170391F7DC42444E8FA2),
)
"""1 / √1.0001**bit as Q128.128, for every bit of |tick| but the lowest, and that of the lowest."""


@lru_cache(maxsize=1 << 16)
def get_sqrt_ratio_at_tick(tick: int) -> int:
    """√1.0001**tick · 2**96 as the contract computes it. Raises OverflowError beyond MAX_TICK.

    Cached, because swaps keep passing the same ticks.
    """
    magnitude = abs(tick)
    if magnitude > MAX_TICK:
        raise OverflowError(f"tick {tick} is beyond {MAX_TICK}")
    ratio = ODD_FACTOR if magnitude & 1 else 1 << 128
    for bit, factor in FACTORS:
        if magnitude & bit:
            ratio = ratio * factor >> 128
    if tick > 0:
        ratio = _UINT256_MAX // ratio
    # Rounds up on the way from Q128.128 to Q128.96, so that get_tick_at_sqrt_ratio inverts it.
    return -(-ratio >> 32)


def get_tick_at_sqrt_ratio(sqrt_price_x96: int) -> int:
    """The greatest tick whose price is not above the given one. Raises OverflowError outside.

    The contract takes a logarithm of 14 binary digits and settles what is left by comparing.
    Here a float takes the logarithm and comparing settles every case that it could get wrong: it
    errs by less than 1e-8 ticks, and the contract's ratios differ from powers of 1.0001 by less
    than 1e-5 ticks even where the price is smallest.
    """
    if not MIN_SQRT_RATIO <= sqrt_price_x96 < MAX_SQRT_RATIO:
        raise OverflowError(f"sqrt price {sqrt_price_x96} lies outside the contract's range")
    estimate = (log(sqrt_price_x96) - LOG_Q96) / LOG_SQRT_1_0001
    nearest = round(estimate)
    if abs(estimate - nearest) > 1e-3:
        return floor(estimate)
    return nearest if get_sqrt_ratio_at_tick(nearest) <= sqrt_price_x96 else nearest - 1
