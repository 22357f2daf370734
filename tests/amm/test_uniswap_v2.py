"""V2 pairs: golden amounts, properties and events."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path

import pytest
from eth_hash.auto import keccak
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from dexarb.amm import POOL_TYPES, UniswapV2Pool, uniswap_v2
from dexarb.amm.uniswap_v2 import SYNC, UINT112_MAX
from dexarb.core.block import Log
from dexarb.core.pool import PIPS, SwapResult
from dexarb.core.token import Address
from dexarb.errors import (
    InsufficientLiquidity,
    InvalidAmount,
    InvalidPoolState,
    PoolError,
    PoolOverflow,
    UnknownToken,
)
from tests.amm.pools import POOL, STRANGER, TOKEN0, TOKEN1, event, magnitudes, v2_pool, v2_pools

VECTORS = json.loads((Path(__file__).parents[1] / "vectors" / "uniswap_v2.json").read_text())
tokens = st.sampled_from([TOKEN0, TOKEN1])


def other(token: Address) -> Address:
    return TOKEN1 if token == TOKEN0 else TOKEN0


def sold(pool: UniswapV2Pool, token: Address, amount: int) -> SwapResult | None:
    try:
        return pool.swap(token, amount)
    except PoolError:
        return None


def test_amounts_of_the_router() -> None:
    """What UniswapV2Library answers in the published router, where the pair can hold it."""
    compared = 0
    for function, *numbers in VECTORS["router"]:
        amount, reserve_in, reserve_out, answer = map(int, numbers)
        pool = v2_pool(reserve_in, reserve_out)
        paid = amount if function == "getAmountOut" else answer
        if not answer or reserve_in + paid > UINT112_MAX:
            continue
        if function == "getAmountOut":
            assert pool.swap(TOKEN0, amount).amount_out == answer
        else:
            assert pool.swap_exact_out(TOKEN1, amount).amount_in == answer
        compared += 1
    assert compared > 50


@given(v2_pools(), tokens, magnitudes(112))
def test_round_trips_never_profit(pool: UniswapV2Pool, token: Address, amount: int) -> None:
    there = sold(pool, token, amount)
    if there is None:
        return
    assert isinstance(there.pool, UniswapV2Pool)
    back = sold(there.pool, other(token), there.amount_out)
    assert back is None or back.amount_out <= amount


@given(v2_pools(), tokens, magnitudes(112), magnitudes(112))
def test_more_in_never_gives_less(pool: UniswapV2Pool, token: Address, a: int, b: int) -> None:
    less, more = sold(pool, token, min(a, b)), sold(pool, token, max(a, b))
    if less and more:
        assert less.amount_out <= more.amount_out


@given(v2_pools(), tokens, magnitudes(112))
def test_k_after_fees_never_falls(pool: UniswapV2Pool, token: Address, amount: int) -> None:
    result = sold(pool, token, amount)
    if result is None:
        return
    assert isinstance(result.pool, UniswapV2Pool)
    before, after = (
        (p.reserve0, p.reserve1)[:: 1 if token == TOKEN0 else -1] for p in (pool, result.pool)
    )
    assert after == (before[0] + amount, before[1] - result.amount_out)
    net_after = after[0] * PIPS - amount * pool.fee_pips
    assert net_after * after[1] >= before[0] * before[1] * PIPS
    # One unit more and the pair's check of k would fail: the trader is not shortchanged either.
    assert net_after * (after[1] - 1) < before[0] * before[1] * PIPS


@given(v2_pools(), tokens, magnitudes(112))
def test_exact_in_and_exact_out_agree(pool: UniswapV2Pool, token: Address, amount: int) -> None:
    result = sold(pool, token, amount)
    if result is None:
        return
    try:
        bought = pool.swap_exact_out(other(token), result.amount_out)
    except PoolOverflow:
        return
    # The library adds one unit even where the division has no remainder.
    assert bought.amount_in <= amount + 1
    again = sold(pool, token, bought.amount_in)
    assert again is not None
    assert again.amount_out >= result.amount_out


@given(v2_pools(), tokens, magnitudes(112))
def test_the_sync_of_a_swap_is_the_swap(pool: UniswapV2Pool, token: Address, amount: int) -> None:
    result = sold(pool, token, amount)
    if result is not None:
        assert isinstance(result.pool, UniswapV2Pool)
        sync = event(SYNC, result.pool.reserve0, result.pool.reserve1)
        assert pool.apply(sync) == result.pool


@given(v2_pools())
def test_state_round_trip(pool: UniswapV2Pool) -> None:
    state = json.loads(json.dumps(pool.state()))
    assert UniswapV2Pool.from_state(state) == pool
    assert pool.summary() == pool.state()


@given(v2_pools(), tokens, st.integers(10**15, 10**33))
def test_segments_mirror_swaps(pool: UniswapV2Pool, token: Address, amount: int) -> None:
    result = sold(pool, token, amount)
    if result is None:
        return
    (segment,) = pool.segments(token)
    assert segment.input_limit == math.inf
    mirrored = segment.rate * amount / (1 + segment.depth * amount)
    assert mirrored == pytest.approx(result.amount_out, rel=1e-12, abs=1.001)


def test_topic_and_selectors() -> None:
    assert keccak(b"Sync(uint112,uint112)") == SYNC
    assert UniswapV2Pool.topics == {SYNC}
    for signature, selector in {
        b"getReserves()": uniswap_v2.GET_RESERVES,
        b"token0()": uniswap_v2.TOKEN0,
        b"token1()": uniswap_v2.TOKEN1,
        b"getPair(address,address)": uniswap_v2.GET_PAIR,
    }.items():
        assert keccak(signature)[:4] == selector


def test_registry() -> None:
    assert POOL_TYPES["uniswap_v2"] is UniswapV2Pool
    assert all(kind == pool_type.kind for kind, pool_type in POOL_TYPES.items())


def test_events_that_change_nothing() -> None:
    pool = v2_pool(1000, 2000)
    sync = event(SYNC, 1, 2)
    assert pool.apply(event(SYNC, 1000, 2000)) is pool
    assert pool.apply(event(keccak(b"Swap(address,uint256)"), 1, 2)) is pool
    assert pool.apply(structs.replace(sync, topics=())) is pool
    assert pool.apply(structs.replace(sync, address=STRANGER)) is pool
    assert pool.apply(sync) == v2_pool(1, 2)


@pytest.mark.parametrize(
    "log",
    [
        event(SYNC, 1),
        event(SYNC, 1, 2, 3),
        event(SYNC, 1, 2, indexed=[3]),
        event(SYNC, 1, UINT112_MAX + 1),
        event(SYNC, UINT112_MAX + 1, 1),
    ],
)
def test_malformed_events(log: Log) -> None:
    with pytest.raises(InvalidPoolState):
        v2_pool(1000, 2000).apply(log)


def test_refusals() -> None:
    pool = v2_pool(10**18, 10**6)
    for amount in (0, -1):
        with pytest.raises(InvalidAmount):
            pool.swap(TOKEN0, amount)
        with pytest.raises(InvalidAmount):
            pool.swap_exact_out(TOKEN0, amount)
    with pytest.raises(InvalidAmount) as dust:
        pool.swap(TOKEN0, 10**12)
    assert dust.value.amount == 10**12
    assert pool.swap(TOKEN0, 10**12 * 1004 // 1000).amount_out == 1
    with pytest.raises(UnknownToken):
        pool.swap(STRANGER, 1)
    with pytest.raises(UnknownToken):
        pool.swap_exact_out(STRANGER, 1)
    with pytest.raises(PoolOverflow):
        pool.swap(TOKEN1, UINT112_MAX)
    with pytest.raises(dataclasses.FrozenInstanceError):
        pool.reserve0 = 1  # type: ignore[misc]


def test_running_dry_says_what_could_be_filled() -> None:
    pool = v2_pool(10**18, 10**6)
    with pytest.raises(InsufficientLiquidity) as dry:
        pool.swap_exact_out(TOKEN1, 10**6)
    most = pool.swap_exact_out(TOKEN1, 10**6 - 1)
    assert (dry.value.amount_in, dry.value.amount_out) == (most.amount_in, most.amount_out)

    nearly_full = v2_pool(UINT112_MAX - 10**30, 10**20)
    with pytest.raises(InsufficientLiquidity) as dry:
        nearly_full.swap_exact_out(TOKEN1, 10**20)
    assert dry.value.amount_in == 10**30
    assert nearly_full.swap(TOKEN0, 10**30).amount_out == dry.value.amount_out


@pytest.mark.parametrize("reserves", [(0, 0), (0, 5), (5, 0)])
def test_unfunded_pairs_are_legal_and_dry(reserves: tuple[int, int]) -> None:
    pool = v2_pool(*reserves)
    for swap in (pool.swap, pool.swap_exact_out):
        with pytest.raises(InsufficientLiquidity) as dry:
            swap(TOKEN0, 1)
        assert (dry.value.amount_in, dry.value.amount_out) == (0, 0)
    assert not list(pool.segments(TOKEN0))


@pytest.mark.parametrize(
    "wrong",
    [
        {"reserve0": -1},
        {"reserve1": UINT112_MAX + 1},
        {"fee_pips": PIPS},
        {"fee_pips": -1},
        {"token1": TOKEN0},
    ],
)
def test_impossible_states(wrong: dict[str, object]) -> None:
    with pytest.raises(InvalidPoolState) as error:
        dataclasses.replace(v2_pool(1, 1), **wrong)  # type: ignore[arg-type]
    assert error.value.pool == POOL


@pytest.mark.parametrize("wrong", [{"reserve0": "x"}, {"reserve0": None}, {"fee_pips": "1.5"}])
def test_unreadable_states(wrong: dict[str, object]) -> None:
    state = dict(v2_pool(1, 1).state())
    with pytest.raises(InvalidPoolState):
        UniswapV2Pool.from_state({**state, **wrong})
    del state["reserve1"]
    with pytest.raises(InvalidPoolState):
        UniswapV2Pool.from_state(state)
