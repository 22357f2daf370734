"""V3 pools follow the events of their contract, and refuse those that cannot be."""

from __future__ import annotations

import pytest
from eth_hash.auto import keccak
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from dexarb.amm import UniswapV3Pool, uniswap_v3_load
from dexarb.amm.tick_math import MAX_SQRT_RATIO, MIN_SQRT_RATIO, get_sqrt_ratio_at_tick
from dexarb.amm.v3_events import BURN, INITIALIZE, MINT, SWAP
from dexarb.core.block import Log
from dexarb.errors import InvalidPoolState
from tests.amm.pools import STRANGER, Position, event, v3_pool, v3_pools

Q96 = 1 << 96
FULL = (-887220, 887220, 10**18)
INNER = (-600, 660, 10**20)
OWNER = 0xABCD
COLLECT = keccak(b"Collect(address,address,int24,int24,uint128,uint128)")
FLASH = keccak(b"Flash(address,address,uint256,uint256,uint256,uint256)")


def mint(lower: int, upper: int, amount: int) -> Log:
    return event(MINT, OWNER, amount, 1, 1, indexed=[OWNER, lower, upper])


def burn(lower: int, upper: int, amount: int) -> Log:
    return event(BURN, amount, 1, 1, indexed=[OWNER, lower, upper])


def swap(price: int, liquidity: int, tick: int) -> Log:
    return event(SWAP, 1, -1, price, liquidity, tick, indexed=[OWNER, OWNER])


def positioned(*positions: Position) -> UniswapV3Pool:
    return v3_pool(positions, Q96, 0)


def test_topics_and_selectors() -> None:
    for signature, topic in {
        b"Initialize(uint160,int24)": INITIALIZE,
        b"Mint(address,address,int24,int24,uint128,uint256,uint256)": MINT,
        b"Burn(address,int24,int24,uint128,uint256,uint256)": BURN,
        b"Swap(address,address,int256,int256,uint160,uint128,int24)": SWAP,
    }.items():
        assert keccak(signature) == topic
    assert UniswapV3Pool.topics == {INITIALIZE, MINT, BURN, SWAP}
    for signature, selector in {
        b"token0()": uniswap_v3_load.TOKEN0,
        b"token1()": uniswap_v3_load.TOKEN1,
        b"fee()": uniswap_v3_load.FEE,
        b"tickSpacing()": uniswap_v3_load.TICK_SPACING,
        b"slot0()": uniswap_v3_load.SLOT0,
        b"liquidity()": uniswap_v3_load.LIQUIDITY,
        b"tickBitmap(int16)": uniswap_v3_load.TICK_BITMAP,
        b"ticks(int24)": uniswap_v3_load.TICKS,
        b"getPool(address,address,uint24)": uniswap_v3_load.GET_POOL,
    }.items():
        assert keccak(signature)[:4] == selector


def test_initialize() -> None:
    pool = v3_pool([], 0, 0).apply(event(INITIALIZE, get_sqrt_ratio_at_tick(-77), -77))
    assert pool == v3_pool([], get_sqrt_ratio_at_tick(-77), -77)


@pytest.mark.parametrize("log", [mint(-60, 60, 1), burn(-60, 60, 0), swap(Q96, 0, 0)])
def test_nothing_happens_before_initialize(log: Log) -> None:
    with pytest.raises(InvalidPoolState):
        v3_pool([], 0, 0).apply(log)


def test_positions_come_and_go() -> None:
    pool = positioned(FULL)
    with_inner = pool.apply(mint(*INNER))
    assert with_inner == positioned(FULL, INNER)
    assert with_inner.apply(burn(-600, 660, 10**19)) == positioned(FULL, (-600, 660, 9 * 10**19))
    assert with_inner.apply(burn(*INNER)) == pool
    assert pool == positioned(FULL)


@pytest.mark.parametrize("bounds", [(60, 120), (-120, 0), (-120, -60)])
def test_positions_out_of_range_leave_the_liquidity(bounds: tuple[int, int]) -> None:
    """The upper tick is exclusive."""
    pool = positioned(FULL)
    assert pool.apply(mint(*bounds, 5)).liquidity == pool.liquidity
    assert pool.apply(mint(0, 60, 5)).liquidity == pool.liquidity + 5


@given(v3_pools(), st.integers(-700, 700), st.integers(1, 700), st.integers(1, 1 << 100))
def test_burning_a_mint_restores_the_pool(
    pool: UniswapV3Pool, start: int, width: int, amount: int
) -> None:
    spacing = pool.tick_spacing
    lower, upper = start * spacing, (start + width) * spacing
    if max(-lower, upper) > 887272:
        return
    grown = pool.apply(mint(lower, upper, amount))
    assert UniswapV3Pool.from_state(grown.state()) == grown
    assert grown.apply(burn(lower, upper, amount)) == pool


def test_events_that_change_nothing() -> None:
    pool = positioned(FULL)
    poke = burn(-887220, 887220, 0)
    for log in (
        poke,
        swap(Q96, pool.liquidity, 0),
        event(COLLECT, OWNER, 5, 5, indexed=[OWNER, -887220, 887220]),
        event(FLASH, 1, 1, 1, 1, indexed=[OWNER, OWNER]),
        event(keccak(b"SetFeeProtocol(uint8,uint8,uint8,uint8)"), 0, 0, 4, 4),
        event(keccak(b"CollectProtocol(address,address,uint128,uint128)"), 1, 1, indexed=[1, 2]),
        event(keccak(b"IncreaseObservationCardinalityNext(uint16,uint16)"), 1, 2),
        structs.replace(poke, topics=()),
        structs.replace(swap(Q96 + 1, 1, 0), address=STRANGER),
    ):
        assert pool.apply(log) is pool


@pytest.mark.parametrize(
    "log",
    [
        event(SWAP, 1, -1, Q96, 1, indexed=[1, 2]),
        event(SWAP, 1, -1, Q96, 1, 0, indexed=[1]),
        event(INITIALIZE, Q96),
        event(INITIALIZE, Q96, 0),
        event(MINT, OWNER, 1, 1, indexed=[OWNER, -60, 60]),
        event(MINT, OWNER, 1, 1, 1, indexed=[OWNER, -60]),
        event(BURN, 1, 1, indexed=[OWNER, -60, 60]),
        swap(MIN_SQRT_RATIO - 1, 1, 0),
        swap(MAX_SQRT_RATIO, 1, 0),
        swap(Q96, 1, 887272),
        swap(Q96, 1 << 128, 0),
        mint(60, 60, 1),
        mint(60, -60, 1),
        mint(-61, 60, 1),
        mint(-60, 887280, 1),
        mint(-60, 60, 1 << 128),
        mint(-60, 60, (1 << 128) - 1),
        burn(-60, 60, 1),
        burn(-887220, 887220, 10**18 + 1),
        burn(-887220, 60, 1),
    ],
)
def test_impossible_events(log: Log) -> None:
    pool = positioned(FULL)
    with pytest.raises(InvalidPoolState):
        pool.apply(log)
