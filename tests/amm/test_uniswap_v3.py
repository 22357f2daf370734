"""V3 pools: properties of swaps, and their mirror in floats."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Callable

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from dexarb.amm import POOL_TYPES, UniswapV3Pool
from dexarb.amm.tick_math import (
    MAX_SQRT_RATIO,
    MIN_SQRT_RATIO,
    get_sqrt_ratio_at_tick,
    get_tick_at_sqrt_ratio,
)
from dexarb.amm.uniswap_v3 import INT256_MAX
from dexarb.amm.v3_events import SWAP
from dexarb.core.pool import SwapResult
from dexarb.core.token import Address
from dexarb.errors import (
    InsufficientLiquidity,
    InvalidAmount,
    InvalidPoolState,
    PoolError,
    UnknownToken,
)
from tests.amm.pools import (
    STRANGER,
    TOKEN0,
    TOKEN1,
    event,
    magnitudes,
    v3_pool,
    v3_pools,
)

tokens = st.sampled_from([TOKEN0, TOKEN1])
Q96 = 1 << 96
TWO_RANGES = ((-887220, 887220, 10**18), (-600, 660, 10**20))


def other(token: Address) -> Address:
    return TOKEN1 if token == TOKEN0 else TOKEN0


def sold(pool: UniswapV3Pool, token: Address, amount: int) -> SwapResult | None:
    try:
        return pool.swap(token, amount)
    except InsufficientLiquidity:
        return None


def after(result: SwapResult) -> UniswapV3Pool:
    assert isinstance(result.pool, UniswapV3Pool)
    return result.pool


@given(v3_pools(), tokens, magnitudes(130))
def test_round_trips_never_profit(pool: UniswapV3Pool, token: Address, amount: int) -> None:
    there = sold(pool, token, amount)
    if there is None or not there.amount_out:
        return
    back = sold(after(there), other(token), there.amount_out)
    assert back is None or back.amount_out <= amount


@given(v3_pools(), tokens, magnitudes(130), magnitudes(130))
def test_more_in_never_gives_less(pool: UniswapV3Pool, token: Address, a: int, b: int) -> None:
    less, more = sold(pool, token, min(a, b)), sold(pool, token, max(a, b))
    assert less or not more
    if less and more:
        assert less.amount_out <= more.amount_out


@given(v3_pools(), tokens, magnitudes(130))
def test_exact_in_and_exact_out_agree(pool: UniswapV3Pool, token: Address, amount: int) -> None:
    result = sold(pool, token, amount)
    if result is None or not result.amount_out:
        return
    bought = pool.swap_exact_out(other(token), result.amount_out)
    assert bought.amount_out == result.amount_out
    again = pool.swap(token, bought.amount_in)
    assert again.amount_out >= result.amount_out
    # The contract goes on to the next stop where the way there gives less than one unit more, so
    # exact output can cost more than the least input. Where it does, it buys no more either.
    assert bought.amount_in <= amount or again.amount_out == result.amount_out


@given(v3_pools(deep=True), tokens, st.integers(10**6, 10**26))
def test_the_mirror_is_never_below_the_swap(
    pool: UniswapV3Pool, token: Address, amount: int
) -> None:
    """Rounding is against the trader: real numbers would give at least as much."""
    result = sold(pool, token, amount)
    if result is not None:
        assert result.amount_out <= mirrored(pool, token, amount) * (1 + 1e-13)


def mirrored(pool: UniswapV3Pool, token: Address, amount: float) -> float:
    amount_out = 0.0
    for rate, depth, input_limit in pool.segments(token):
        part = min(amount, input_limit)
        amount_out += rate * part / (1 + depth * part)
        amount -= part
        if not amount:
            break
    return amount_out


@given(v3_pools(deep=True), tokens, st.integers(10**16, 10**26))
def test_segments_mirror_swaps(pool: UniswapV3Pool, token: Address, amount: int) -> None:
    result = sold(pool, token, amount)
    if result is None:
        return
    # Each stop of the exact swap rounds by a unit, which the real numbers do not.
    stops = 2 + abs(after(result).tick - pool.tick) // (pool.tick_spacing << 8) + len(pool.ticks)
    rate = next(pool.segments(token)).rate
    units = stops * (1 + rate)
    assert mirrored(pool, token, amount) == pytest.approx(result.amount_out, rel=2e-12, abs=units)


@given(v3_pools(), tokens)
def test_segments_end_where_liquidity_ends(pool: UniswapV3Pool, token: Address) -> None:
    # Swaps stop one unit of sqrt price before the ends, which is much where prices are small.
    assume(abs(pool.tick) < 870_000)
    segments = list(pool.segments(token))
    rates = [segment.rate for segment in segments]
    assert all(0 < limit < math.inf and depth > 0 for _, depth, limit in segments)
    assert rates == sorted(rates, reverse=True)
    with pytest.raises(InsufficientLiquidity) as dry:
        pool.swap(token, INT256_MAX)
    total = sum(segment.input_limit for segment in segments)
    stops = 7000 + len(pool.ticks)
    assert total == pytest.approx(dry.value.amount_in, rel=1e-9, abs=stops * 2)


def filled(error: PoolError | None) -> tuple[int, int]:
    """What could be filled, by an error that has to be one of running dry."""
    assert isinstance(error, InsufficientLiquidity)
    return error.amount_in, error.amount_out


def refusal(swap: Callable[[], SwapResult]) -> PoolError | None:
    try:
        swap()
    except PoolError as error:
        return error
    return None


@given(v3_pools(), tokens, st.booleans(), st.one_of(magnitudes(130), st.just(INT256_MAX)))
def test_running_dry_says_what_could_be_filled(
    pool: UniswapV3Pool, token_in: Address, exact_in: bool, amount: int
) -> None:
    swap = pool.swap if exact_in else pool.swap_exact_out
    token = token_in if exact_in else other(token_in)
    error = refusal(lambda: swap(token, amount))
    end = MIN_SQRT_RATIO + 1 if token_in == TOKEN0 else MAX_SQRT_RATIO - 1
    if error is None:
        return
    if pool.sqrt_price_x96 <= end if token_in == TOKEN0 else pool.sqrt_price_x96 == end:
        assert filled(error) == (0, 0)
        return
    result = swap(token, amount, sqrt_price_limit_x96=end)
    assert filled(error) == (result.amount_in, result.amount_out)
    assert after(result).sqrt_price_x96 == end
    assert (result.amount_in if exact_in else result.amount_out) < amount


@given(v3_pools(), tokens, magnitudes(130), st.integers(MIN_SQRT_RATIO + 1, MAX_SQRT_RATIO - 1))
def test_limits_hold(pool: UniswapV3Pool, token: Address, amount: int, limit: int) -> None:
    downwards = token == TOKEN0
    if limit == pool.sqrt_price_x96 or (limit < pool.sqrt_price_x96) != downwards:
        with pytest.raises(InvalidAmount):
            pool.swap(token, amount, sqrt_price_limit_x96=limit)
        return
    result = pool.swap(token, amount, sqrt_price_limit_x96=limit)
    reached = after(result).sqrt_price_x96
    assert reached >= limit if downwards else reached <= limit
    assert result.amount_in == amount or reached == limit
    assert result.amount_in <= amount


@given(v3_pools(), tokens, magnitudes(130))
def test_the_event_of_a_swap_is_the_swap(pool: UniswapV3Pool, token: Address, amount: int) -> None:
    result = sold(pool, token, amount)
    if result is None:
        return
    end = after(result)
    paid, received = result.amount_in, -result.amount_out
    deltas = (paid, received) if token == TOKEN0 else (received, paid)
    log = event(SWAP, *deltas, end.sqrt_price_x96, end.liquidity, end.tick, indexed=[1, 2])
    assert pool.apply(log) == end
    assert end.ticks is pool.ticks
    # What a swap leads to is a state that could be loaded from a chain.
    assert UniswapV3Pool.from_state(end.state()) == end


@given(v3_pools())
def test_state_round_trip(pool: UniswapV3Pool) -> None:
    state = json.loads(json.dumps(pool.state()))
    assert UniswapV3Pool.from_state(state) == pool
    summary = pool.summary()
    assert summary["tick_count"] == len(pool.ticks)
    assert "ticks" not in summary
    assert {**state, **summary} == {**summary, **state}


@given(v3_pools(), tokens, magnitudes(130))
def test_crossed_ticks_count_both_ways(pool: UniswapV3Pool, token: Address, amount: int) -> None:
    result = sold(pool, token, amount)
    if result is None:
        return
    end = after(result)
    low, high = sorted((pool.tick, end.tick))
    crossed = sum(low < tick <= high for tick in pool.ticks)
    assert pool.crossed_ticks(end) == end.crossed_ticks(pool) == crossed


def test_a_boundary_belongs_to_the_side_it_was_reached_from() -> None:
    """Moving down onto a tick crosses it, and moving up again costs nothing but the crossing."""
    boundary = get_sqrt_ratio_at_tick(-600)
    start = v3_pool(TWO_RANGES, Q96, 0)
    down = start.swap(TOKEN0, INT256_MAX, sqrt_price_limit_x96=boundary)
    below = after(down)
    assert (below.sqrt_price_x96, below.tick, below.liquidity) == (boundary, -601, 10**18)
    assert start.crossed_ticks(below) == 1
    # Upwards the first segment is that behind the boundary, not an empty one.
    assert next(below.segments(TOKEN1)).depth == pytest.approx(
        0.997 / (boundary / Q96) / (10**20 + 10**18)
    )
    up = below.swap(TOKEN1, 1000)
    assert after(up).tick == -600
    assert after(up).liquidity == 10**20 + 10**18


@pytest.mark.parametrize("spacing", [1, 10, 60, 200])
@pytest.mark.parametrize("bit", [0, 1, 254, 255])
@pytest.mark.parametrize("token", [TOKEN0, TOKEN1])
def test_gaps_are_crossed_to_the_next_liquidity(spacing: int, bit: int, token: Address) -> None:
    """Whatever place in its word the next tick has, and however many words lie between."""
    for words in (0, 1, 2, 5):
        goal = (words * 256 + bit) * spacing * (-1 if token == TOKEN0 else 1)
        wide = 300 * spacing
        island = (goal - wide, goal) if token == TOKEN0 else (goal, goal + wide)
        for start in range(-260 * spacing, 260 * spacing, 37 * spacing):
            if island[0] <= start < island[1] or (start < goal) == (token == TOKEN0):
                continue
            price = get_sqrt_ratio_at_tick(start)
            empty = v3_pool([(*island, 10**20)], price, start, tick_spacing=spacing)
            at_shore = v3_pool(
                [(*island, 10**20)],
                get_sqrt_ratio_at_tick(goal),
                goal - 1 if token == TOKEN0 else goal,
                tick_spacing=spacing,
            )
            assert empty.liquidity == 0
            assert empty.swap(token, 10**15) == at_shore.swap(token, 10**15)


@given(v3_pools(), st.integers(-887272, 887271), st.integers(-1, 1), tokens)
def test_limits_inside_gaps(
    pool: UniswapV3Pool, limit_tick: int, offset: int, token: Address
) -> None:
    """Without any liquidity a swap ends exactly at its limit, in the tick the contract names."""
    limit = get_sqrt_ratio_at_tick(limit_tick) + offset
    empty = v3_pool([], pool.sqrt_price_x96, pool.tick, pool.fee_pips, pool.tick_spacing)
    ahead = (limit < pool.sqrt_price_x96) == (token == TOKEN0)
    assume(ahead and limit != pool.sqrt_price_x96 and MIN_SQRT_RATIO < limit < MAX_SQRT_RATIO)
    end = after(empty.swap(token, 1, sqrt_price_limit_x96=limit))
    tick = get_tick_at_sqrt_ratio(limit)
    word_start = tick % (pool.tick_spacing << 8) == 0
    if token == TOKEN0 and word_start and limit == get_sqrt_ratio_at_tick(tick):
        tick -= 1
    assert (end.sqrt_price_x96, end.tick, end.liquidity) == (limit, tick, 0)


def test_dust_pays_the_fee_and_buys_nothing() -> None:
    pool = v3_pool(TWO_RANGES, get_sqrt_ratio_at_tick(5), 5)
    result = pool.swap(TOKEN0, 1)
    assert (result.amount_in, result.amount_out) == (1, 0)
    assert result.pool == pool


def test_refusals() -> None:
    pool = v3_pool(TWO_RANGES, Q96, 0)
    for amount in (0, -1, INT256_MAX + 1):
        for swap in (pool.swap, pool.swap_exact_out):
            with pytest.raises(InvalidAmount):
                swap(TOKEN0, amount)
    for limit in (Q96, Q96 + 1, MIN_SQRT_RATIO, 0):
        with pytest.raises(InvalidAmount):
            pool.swap(TOKEN0, 1, sqrt_price_limit_x96=limit)
    for limit in (Q96, Q96 - 1, MAX_SQRT_RATIO, 1 << 160):
        with pytest.raises(InvalidAmount):
            pool.swap(TOKEN1, 1, sqrt_price_limit_x96=limit)
    with pytest.raises(UnknownToken):
        pool.swap(STRANGER, 1)
    with pytest.raises(UnknownToken):
        pool.swap_exact_out(STRANGER, 1)
    with pytest.raises(UnknownToken):
        next(pool.segments(STRANGER))
    with pytest.raises(dataclasses.FrozenInstanceError):
        pool.tick = 1  # type: ignore[misc]
    pair = POOL_TYPES["uniswap_v2"].from_state(V2_STATE)
    for compared in (pool.crossed_ticks, pool.left_tick, pool.more_words):
        with pytest.raises(InvalidPoolState):
            compared(pair)


V2_STATE = {
    "address": STRANGER,
    "dex": "",
    "token0": TOKEN0,
    "token1": TOKEN1,
    "fee_pips": 3000,
    "reserve0": "1",
    "reserve1": "1",
}


def test_pools_not_yet_initialised_are_legal_and_dry() -> None:
    pool = v3_pool([], 0, 0)
    for limit in (None, Q96):
        for swap in (pool.swap, pool.swap_exact_out):
            with pytest.raises(InsufficientLiquidity) as dry:
                swap(TOKEN0, 1, sqrt_price_limit_x96=limit)
            assert (dry.value.amount_in, dry.value.amount_out) == (0, 0)
    assert not list(pool.segments(TOKEN0))
    assert UniswapV3Pool.from_state(pool.state()) == pool


@pytest.mark.parametrize(
    "wrong",
    [
        pytest.param({"token1": TOKEN0}, id="same tokens"),
        pytest.param({"fee_pips": 1_000_000}, id="fee"),
        pytest.param({"tick_spacing": 0}, id="no spacing"),
        pytest.param({"tick_spacing": 7}, id="ticks off the spacing"),
        pytest.param({"sqrt_price_x96": 0}, id="ticks before the price"),
        pytest.param({"sqrt_price_x96": MIN_SQRT_RATIO - 1}, id="price too low"),
        pytest.param({"sqrt_price_x96": MAX_SQRT_RATIO}, id="price too high"),
        pytest.param({"tick": 1}, id="tick above the price"),
        pytest.param({"tick": -1, "sqrt_price_x96": Q96 + 1}, id="tick below the price"),
        pytest.param({"tick_spacing": 30, "tick": 44, "sqrt_price_x96": get_sqrt_ratio_at_tick(45)},
                     id="boundary that is none"),
        pytest.param({"liquidity": 10**20}, id="liquidity is not the sum of liquidity_net"),
        pytest.param({"ticks": {}}, id="no ticks"),
        pytest.param({"ticks": {-60: (5, 5), 60: (5, -4)}}, id="sum is not zero"),
        pytest.param({"ticks": {-60: (5, 7), 60: (7, -7)}}, id="net above gross"),
        pytest.param({"ticks": {-60: (0, 0), 60: (5, -5)}}, id="tick without liquidity"),
        pytest.param({"ticks": {-60: (6, 5), 60: (5, -5)}}, id="odd difference"),
        pytest.param({"ticks": {-887280: (5, 5), 60: (5, -5)}}, id="tick beyond the last"),
        pytest.param({"ticks": {-60: (1 << 128, 0), 60: (5, -5)}}, id="beyond uint128"),
    ],
)  # fmt: skip
def test_impossible_states(wrong: dict[str, object]) -> None:
    fields = {field.name: getattr(v3_pool(TWO_RANGES, Q96, 0), field.name)
              for field in dataclasses.fields(UniswapV3Pool) if field.init}  # fmt: skip
    assert UniswapV3Pool(**fields)
    with pytest.raises(InvalidPoolState):
        UniswapV3Pool(**{**fields, **wrong})


@pytest.mark.parametrize(
    "wrong", [{"ticks": [[1, 2]]}, {"ticks": None}, {"tick": "x"}, {"sqrt_price_x96": []}]
)
def test_unreadable_states(wrong: dict[str, object]) -> None:
    state = dict(v3_pool(TWO_RANGES, Q96, 0).state())
    with pytest.raises(InvalidPoolState):
        UniswapV3Pool.from_state({**state, **wrong})
    del state["ticks"]
    with pytest.raises(InvalidPoolState):
        UniswapV3Pool.from_state(state)


def test_the_given_tick_map_is_copied() -> None:
    ticks = {-60: (5, 5), 60: (5, -5)}
    pool = dataclasses.replace(v3_pool(TWO_RANGES, Q96, 0), ticks=ticks, liquidity=5)
    ticks[120] = (1, 1)
    assert 120 not in pool.ticks
