"""Pools for tests: hypothesis strategies, and events as the contracts would write them."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import strategies as st

from dexarb.amm import UniswapV2Pool, UniswapV3Pool
from dexarb.amm.abi import encode
from dexarb.amm.tick_math import MAX_TICK, get_sqrt_ratio_at_tick
from dexarb.amm.uniswap_v2 import UINT112_MAX
from dexarb.core.block import Log
from dexarb.core.token import Address
from tests.support.worlds import pools

POOL = Address("0x" + "c0" * 20)
TOKEN0 = Address("0x" + "a0" * 20)
TOKEN1 = Address("0x" + "b1" * 20)
STRANGER = Address("0x" + "d2" * 20)

Position = tuple[int, int, int]
"""Lower tick, upper tick, liquidity."""


def v2_pool(reserve0: int, reserve1: int, fee_pips: int = 3000) -> UniswapV2Pool:
    return pools.v2_pool(POOL, (TOKEN0, TOKEN1), reserve0, reserve1, fee=fee_pips, dex="quickswap")


def v3_pool(
    positions: Iterable[Position],
    sqrt_price_x96: int,
    tick: int,
    fee_pips: int = 3000,
    tick_spacing: int = 60,
) -> UniswapV3Pool:
    tokens, fees = (TOKEN0, TOKEN1), {"fee": fee_pips, "spacing": tick_spacing}
    return pools.v3_pool(POOL, tokens, sqrt_price_x96, tick, positions, dex="uniswap", **fees)


@st.composite
def magnitudes(draw: st.DrawFn, bits: int) -> int:
    """1 to 2**bits − 1, small ones as likely as large ones."""
    return draw(st.integers(1, (1 << draw(st.integers(1, bits))) - 1))


@st.composite
def v2_pools(draw: st.DrawFn) -> UniswapV2Pool:
    reserves = st.one_of(magnitudes(112), st.just(UINT112_MAX))
    return v2_pool(draw(reserves), draw(reserves), draw(st.integers(0, 30_000)))


@st.composite
def v3_pools(draw: st.DrawFn, *, deep: bool = False) -> UniswapV3Pool:
    """deep: with real depth in every range around a price that pairs of tokens have."""
    fee_pips, spacing = draw(st.sampled_from([(100, 1), (500, 10), (3000, 60), (10000, 200)]))
    furthest = MAX_TICK // spacing
    tick = draw(st.integers(-100_000, 100_000) if deep else st.integers(-MAX_TICK, MAX_TICK - 1))
    middle = tick // spacing
    near = st.integers(middle - 600, middle + 600).map(lambda n: max(-furthest, min(furthest, n)))
    ranges = st.tuples(near, near).map(sorted).filter(lambda pair: pair[0] < pair[1])
    amounts = st.integers(10**18, 10**24) if deep else magnitudes(110)
    positions = [
        (lower * spacing, upper * spacing, draw(amounts))
        for lower, upper in draw(st.lists(ranges, max_size=8))
    ]
    if deep or draw(st.booleans()):
        positions.append((-furthest * spacing, furthest * spacing, draw(amounts)))
    low, high = get_sqrt_ratio_at_tick(tick), get_sqrt_ratio_at_tick(tick + 1)
    on_boundary = draw(st.booleans()) and (tick + 1) % spacing == 0 and tick + 1 < MAX_TICK
    price = high if on_boundary else draw(st.integers(low, high - 1))
    return v3_pool(positions, price, tick, fee_pips, spacing)


def event(topic: bytes, *words: int, indexed: Iterable[int] = ()) -> Log:
    topics = (topic, *(encode(b"", word) for word in indexed))
    return Log(POOL, topics, encode(b"", *words), transaction_index=0, log_index=0)
