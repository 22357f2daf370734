"""The executor's bound on what a swap gives: never below what the pool gives, and close to it."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexarb.amm.executor_guard import LARGEST, ROOT_OF_TICK, pair_most_out, ticked_most_out
from dexarb.amm.tick_math import MAX_TICK, MIN_TICK, get_sqrt_ratio_at_tick
from dexarb.amm.uniswap_v2 import UniswapV2Pool
from dexarb.amm.uniswap_v3 import UniswapV3Pool
from dexarb.core.token import Address
from dexarb.errors import PoolError
from tests.amm.pools import TOKEN0, TOKEN1, magnitudes, v2_pools, v3_pool, v3_pools

SIDES = st.sampled_from([TOKEN0, TOKEN1])


def given_by(pool: UniswapV2Pool | UniswapV3Pool, token_in: Address, amount_in: int) -> int | None:
    try:
        return pool.swap(token_in, amount_in).amount_out
    except PoolError:
        return None


@given(v2_pools(), SIDES, magnitudes(112))
def test_a_pair_gives_exactly_its_bound(
    pool: UniswapV2Pool, token_in: Address, amount_in: int
) -> None:
    amount_out = given_by(pool, token_in, amount_in)
    assert amount_out is None or pool.most_out(token_in, amount_in) == amount_out


@given(st.one_of(v3_pools(), v3_pools(deep=True)), SIDES, magnitudes(120))
def test_a_ticked_pool_never_gives_more_than_its_bound(
    pool: UniswapV3Pool, token_in: Address, amount_in: int
) -> None:
    amount_out, most = given_by(pool, token_in, amount_in), pool.most_out(token_in, amount_in)
    assert amount_out is None or most is None or amount_out <= most


@given(st.one_of(v2_pools(), v3_pools(), v3_pools(deep=True)), SIDES, magnitudes(113), st.data())
def test_the_bound_grows_with_the_amount(
    pool: UniswapV2Pool | UniswapV3Pool, token_in: Address, more: int, data: st.DataObject
) -> None:
    less = data.draw(st.integers(1, more))
    smaller, larger = pool.most_out(token_in, less), pool.most_out(token_in, more)
    assert larger is None or (smaller is not None and smaller <= larger)


@given(v3_pools(deep=True), SIDES, st.integers(10**9, 10**15))
def test_the_bound_is_close_while_no_tick_is_left_behind(
    pool: UniswapV3Pool, token_in: Address, amount_in: int
) -> None:
    result = pool.swap(token_in, amount_in)
    after = result.pool
    assert isinstance(after, UniswapV3Pool)
    most = pool.most_out(token_in, amount_in)
    assert most is not None
    spacing = pool.tick_spacing
    # The bound's stretch ends by a share of itself before the true one.
    edge = spacing // 20 + 1
    if edge <= after.tick % spacing < spacing - edge and (
        after.tick // spacing == pool.tick // spacing
    ):
        assert most - result.amount_out <= 2 + result.amount_out // 10**6


def test_nothing_is_said_of_pools_without_liquidity_or_beyond_what_is_reckoned_with() -> None:
    root = get_sqrt_ratio_at_tick(0)
    assert v3_pool([], root, 0).most_out(TOKEN0, 1) is None
    wide = (MIN_TICK // 60 * 60 + 60, MAX_TICK // 60 * 60)
    assert v3_pool([(*wide, LARGEST - 1)], root, 0).most_out(TOKEN0, 1 << 60) is not None
    assert v3_pool([(*wide, LARGEST + 1)], root, 0).most_out(TOKEN0, 1 << 60) is None
    assert v3_pool([(*wide, 1 << 60)], root, 0).most_out(TOKEN0, LARGEST + 1) is None
    high = get_sqrt_ratio_at_tick(500_000)
    assert v3_pool([(*wide, 1 << 96)], high, 500_000).most_out(TOKEN0, 1) is None


def test_what_is_reckoned_with_ends_where_a_pair_ends() -> None:
    """A pair keeps its reserves in 112 bits."""
    most = 2**112 - 1
    assert most == LARGEST
    assert pair_most_out(most, most, 3000, most) == most * 997 // 1997
    for place in range(3):
        reserve_in, reserve_out, amount_in = (most + (place == each) for each in range(3))
        assert pair_most_out(reserve_in, reserve_out, 3000, amount_in) is None
    assert pair_most_out(0, most, 3000, 1) is None
    assert pair_most_out(1, most, 3000, 0) == 0


@pytest.mark.parametrize(
    ("amount_in", "most0", "most1"),
    [
        (10**15, 996_006_981_039_903, 996_006_981_039_903),  # no tick is reached
        (10**17, 99_403_832_493_432_771, 99_413_611_081_503_541),
        (10**20, 99_401_591_740_052_573_233, 99_411_517_012_880_568_032),
    ],
)
def test_the_bound_in_figures(amount_in: int, most0: int, most1: int) -> None:
    """The contract must come to the very same, or a run starts that was booked as refused. At a
    price of 1, 30 ticks above one and 29 below another that could change the liquidity."""

    def most(zero_for_one: bool) -> int | None:
        return ticked_most_out(
            sqrt_price_x96=2**96,
            tick=30,
            liquidity=10**18,
            tick_spacing=60,
            fee_pips=3000,
            zero_for_one=zero_for_one,
            amount_in=amount_in,
        )

    assert (most(True), most(False)) == (most0, most1)


def test_a_tick_moves_the_price_by_more_than_the_bound_reckons() -> None:
    """Over every stretch that a tick spacing can make, at both ends of the range and between."""
    rng = Random(1)
    starts = [MIN_TICK, *rng.sample(range(MIN_TICK, MAX_TICK - 16_384), 300), MAX_TICK - 16_384]
    for start in starts:
        for ticks in (1, 2, 10, 60, 200, rng.randrange(1, 16_384), 16_383):
            low, high = map(get_sqrt_ratio_at_tick, (start, start + ticks))
            assert (high - low) * 10**9 >= low * ticks * ROOT_OF_TICK


def random_swap(rng: Random) -> tuple[UniswapV3Pool, Address, int]:
    """Sizes about what moves the price by some ticks, liquidity that jumps at many of them."""
    spacing, fee = rng.choice([(1, 100), (10, 500), (60, 3000), (200, 10000)])
    tick = rng.randrange(-400_000, 400_000)
    middle = tick // spacing
    base = 2 ** rng.uniform(40, 100)
    positions = []
    for _ in range(rng.randrange(1, 12)):
        ends = sorted({middle + rng.randrange(-8, 9), middle + rng.randrange(-8, 9)})
        if len(ends) == 2:
            liquidity = int(base * 2 ** rng.uniform(-8, 8))
            positions.append((ends[0] * spacing, ends[1] * spacing, liquidity))
    positions.append(((middle - 99) * spacing, (middle + 99) * spacing, int(base)))
    low, high = get_sqrt_ratio_at_tick(tick), get_sqrt_ratio_at_tick(tick + 1)
    price = rng.choice([low, high - 1, rng.randrange(low, high)])
    pool = v3_pool(positions, price, tick, fee, spacing)
    token_in = rng.choice([TOKEN0, TOKEN1])
    scale = (pool.liquidity << 96) // price if token_in == TOKEN0 else pool.liquidity * price >> 96
    return pool, token_in, max(1, int(scale * 2 ** rng.uniform(-24, 0)))


def walk(seed: int, count: int) -> tuple[int, int]:
    """(swaps, those that were given exactly the bound)."""
    rng, swaps, exact = Random(seed), 0, 0
    for _ in range(count):
        pool, token_in, amount_in = random_swap(rng)
        amount_out, most = given_by(pool, token_in, amount_in), pool.most_out(token_in, amount_in)
        if amount_out is not None and most is not None:
            assert amount_out <= most, (pool, token_in, amount_in)
            swaps += 1
            exact += amount_out == most
    return swaps, exact


def test_the_bound_holds_over_liquidity_that_jumps() -> None:
    swaps, exact = walk(1, 400)
    assert swaps >= 200
    assert exact >= 5


@pytest.mark.fuzz
def test_the_bound_holds_over_liquidity_that_jumps_in_a_long_run() -> None:
    swaps, exact = walk(2, 200_000)
    print(f"{swaps} swaps, {exact} gave exactly the bound")  # noqa: T201
    assert swaps >= 100_000
