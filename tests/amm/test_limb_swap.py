"""Whole swaps of the compiled kernel against the loop in Python; the contracts judge both in
test_differential."""

from __future__ import annotations

import os
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexarb import compiled
from dexarb.amm import UniswapV3Pool, limb_swap, uniswap_v3, v3_swap, warm_up
from dexarb.amm.packed_ticks import PackedTicks
from dexarb.amm.tick_math import (
    MAX_SQRT_RATIO,
    MAX_TICK,
    MIN_SQRT_RATIO,
    MIN_TICK,
    get_sqrt_ratio_at_tick,
)
from dexarb.amm.uniswap_v3 import INT256_MAX
from dexarb.amm.v3_events import BURN, MINT, SWAP
from dexarb.core.pool import SwapResult
from dexarb.errors import PoolError
from tests.amm.pools import TOKEN0, TOKEN1, event, magnitudes, v3_pool, v3_pools

FUZZ_SWAPS = int(os.environ.get("DEXARB_FUZZ_SWAPS", "1000000"))
ORDINARY_SWAPS = 10_000
SWAPS_A_POOL = 100

prices = st.integers(MIN_SQRT_RATIO, MAX_SQRT_RATIO - 1)
amounts = magnitudes(255) | st.just(INT256_MAX)
Outcome = SwapResult | tuple[type, tuple[object, ...]]


def outcome(
    pool: UniswapV3Pool, zero_for_one: bool, exact_in: bool, amount: int, limit: int | None
) -> Outcome:
    """What the swap gives, or all that its error says."""
    try:
        if exact_in:
            return pool.swap(TOKEN0 if zero_for_one else TOKEN1, amount, sqrt_price_limit_x96=limit)
        return pool.swap_exact_out(
            TOKEN1 if zero_for_one else TOKEN0, amount, sqrt_price_limit_x96=limit
        )
    except (PoolError, OverflowError) as error:
        return type(error), (str(error), *vars(error).values())


def outcome_in_python(
    pool: UniswapV3Pool, zero_for_one: bool, exact_in: bool, amount: int, limit: int | None
) -> Outcome:
    """The same with the kernel left out."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uniswap_v3, "_compiled_swap", lambda: lambda *_: None)
        return outcome(pool, zero_for_one, exact_in, amount, limit)


def assert_agree(
    pool: UniswapV3Pool, zero_for_one: bool, exact_in: bool, amount: int, limit: int | None
) -> Outcome:
    ours = outcome(pool, zero_for_one, exact_in, amount, limit)
    expected = outcome_in_python(pool, zero_for_one, exact_in, amount, limit)
    assert ours == expected, (pool, zero_for_one, exact_in, amount, limit)
    return ours


@given(v3_pools(), st.booleans(), st.booleans(), amounts, st.none() | prices)
def test_any_pool(
    pool: UniswapV3Pool, zero_for_one: bool, exact_in: bool, amount: int, limit: int | None
) -> None:
    assert_agree(pool, zero_for_one, exact_in, amount, limit)


@given(
    v3_pools(),
    st.tuples(prices, magnitudes(128), st.integers(MIN_TICK, MAX_TICK - 1)),
    st.booleans(),
    st.booleans(),
    amounts,
)
def test_states_that_no_contract_is_in(
    pool: UniswapV3Pool,
    reported: tuple[int, int, int],
    zero_for_one: bool,
    exact_in: bool,
    amount: int,
) -> None:
    """Events decide price, liquidity and tick even where they deny the tick map."""
    log = event(SWAP, 0, 0, *reported, indexed=(0, 0))
    assert_agree(pool.apply(log), zero_for_one, exact_in, amount, None)


@pytest.mark.parametrize(
    ("next_range", "reported"), [(10**17, 10**17), (10**19, (1 << 128) - 1)], ids=["below", "above"]
)
def test_liquidity_beyond_uint128_is_left_to_python(next_range: int, reported: int) -> None:
    price = get_sqrt_ratio_at_tick(0)
    pool = v3_pool([(-60, 60, 10**18), (-180, -60, next_range)], price, 0)
    pool = pool.apply(event(SWAP, 0, 0, price, reported, 0, indexed=(0, 0)))
    ticks, limit = sorted(pool.ticks), get_sqrt_ratio_at_tick(-170)
    state = pool.fee_pips, price, 0, reported, True, True, INT256_MAX, limit
    assert limb_swap.swap(PackedTicks().rows(pool.ticks, ticks), 60, *state) is None
    swapped = assert_agree(pool, True, True, INT256_MAX, limit)
    assert isinstance(swapped, SwapResult)
    assert isinstance(swapped.pool, UniswapV3Pool)
    assert swapped.pool.liquidity == v3_swap.swap(pool.ticks, ticks, 60, *state)[2]
    assert not 0 <= swapped.pool.liquidity < 1 << 128
    assert_agree(swapped.pool, True, True, 10**18, None)


@given(
    v3_pools(),
    st.lists(st.tuples(st.booleans(), st.integers(-4, 4), st.integers(1, 3)), max_size=12),
)
def test_packed_ticks_follow_mints_and_burns(
    pool: UniswapV3Pool, changes: list[tuple[bool, int, int]]
) -> None:
    """Rows that are changed with the map are those of a map packed afresh."""
    pool.packed_ticks()
    spacing = pool.tick_spacing
    middle = max(-800_000, min(800_000, pool.tick)) // spacing
    open_positions: list[tuple[int, int]] = []
    for burns, place, width in changes:
        if burns and open_positions:
            bounds, topic = open_positions.pop(place % len(open_positions)), BURN
            words: tuple[int, ...] = (7, 0, 0)
        else:
            bounds, topic = ((middle + place) * spacing, (middle + place + width) * spacing), MINT
            words = (0, 7, 0, 0)
            open_positions.append(bounds)
        pool = pool.apply(event(topic, *words, indexed=(0, *bounds)))
        fresh = PackedTicks().rows(pool.ticks, pool._initialized)
        assert np.array_equal(pool.packed_ticks(), fresh)
    assert_agree(pool, True, True, 10**30, None)


def test_ticks_are_packed_once() -> None:
    pool = v3_pool([(-600, 600, 10**18)], 1 << 96, 0)
    swapped = pool.swap(TOKEN0, 10**15).pool
    assert isinstance(swapped, UniswapV3Pool)
    assert swapped._packed is pool._packed


def test_warm_up() -> None:
    warm_up()
    kernel: Any = limb_swap.swap_limbs
    (signature,) = kernel.signatures
    pool = v3_pool([(-600, 600, 10**18)], 1 << 96, 0)
    pool.swap_exact_out(TOKEN0, 10**15)
    assert kernel.signatures == [signature]


def test_machine_code_of_other_sources_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    """numba alone would: a kernel keeps its code when a file that it calls into changes."""
    warm_up()
    kernel: Any = limb_swap.swap_limbs
    (signature,) = kernel.signatures
    assert kernel._cache.load_overload(signature, kernel.targetctx) is not None
    monkeypatch.setattr(compiled, "made_of", lambda _: "others")
    assert kernel._cache.load_overload(signature, kernel.targetctx) is None


class RandomSwaps:
    """Swaps one after another through random pools, on ranges from dust to all there is."""

    def __init__(self, seed: str) -> None:
        self.rng = Random(seed)

    def run(self, swaps: int) -> int:
        """Returns the most ticks that one swap crossed."""
        return max(self.through(self.pool()) for _ in range(-(-swaps // SWAPS_A_POOL)))

    def pool(self) -> UniswapV3Pool:
        rng = self.rng
        fee_pips, spacing = rng.choice([(100, 1), (500, 10), (3000, 60), (10_000, 200)])
        reach = rng.choice([100_000, 300_000, MAX_TICK])
        tick = rng.randint(-reach, reach - 1)
        furthest = MAX_TICK // spacing
        low_bits, high_bits = rng.choice([(1, 30), (40, 70), (60, 90), (100, 118)])
        width = 2 ** rng.randint(1, 11)
        positions: list[tuple[int, int, int]] = []
        for _ in range(rng.randint(0, 60)):
            lower, upper = sorted(
                max(-furthest, min(furthest, round(rng.gauss(tick // spacing, width)))) * spacing
                for _ in range(2)
            )
            if lower < upper:
                positions.append((lower, upper, self.log_uniform(low_bits, high_bits)))
        if rng.random() < 0.5:
            positions.append((-furthest * spacing, furthest * spacing, 2**high_bits))
        low, high = get_sqrt_ratio_at_tick(tick), get_sqrt_ratio_at_tick(tick + 1)
        return v3_pool(
            positions,
            rng.choice([low, rng.randrange(low, high)]),
            tick,
            fee_pips,
            spacing,
        )

    def log_uniform(self, low_bits: float, high_bits: float) -> int:
        return max(1, int(2 ** self.rng.uniform(low_bits, high_bits)))

    def through(self, pool: UniswapV3Pool) -> int:
        rng, most = self.rng, 0
        for _ in range(SWAPS_A_POOL):
            zero_for_one, exact_in = rng.random() < 0.5, rng.random() < 0.5
            swapped = assert_agree(
                pool, zero_for_one, exact_in,
                self.amount(pool, zero_for_one == exact_in), self.limit(pool, zero_for_one),
            )  # fmt: skip
            if isinstance(swapped, SwapResult) and isinstance(swapped.pool, UniswapV3Pool):
                most = max(most, pool.crossed_ticks(swapped.pool))
                pool = swapped.pool
        return most

    def amount(self, pool: UniswapV3Pool, of_token0: bool) -> int:
        chance = self.rng.random()
        if chance < 0.05:
            return self.rng.choice([1, 2, INT256_MAX])
        if chance < 0.15:
            return self.log_uniform(0, 255) - 1 or 1
        root = pool.sqrt_price_x96 / 2**96
        reserve = max(1.0, pool.liquidity / root if of_token0 else pool.liquidity * root)
        return min(INT256_MAX, max(1, int(reserve * 2 ** self.rng.uniform(-24, 3))))

    def limit(self, pool: UniswapV3Pool, zero_for_one: bool) -> int | None:
        chance = self.rng.random()
        if chance < 0.5:
            return None
        away = (-1 if zero_for_one else 1) * self.log_uniform(0, 14)
        tick = max(MIN_TICK, min(MAX_TICK, pool.tick + away))
        return get_sqrt_ratio_at_tick(tick) + self.rng.choice([-1, 0, 0, 1])


def test_random_swaps() -> None:
    assert RandomSwaps("ordinary").run(ORDINARY_SWAPS) >= 20


@pytest.mark.fuzz
def test_many_random_swaps() -> None:
    assert RandomSwaps("fuzz").run(FUZZ_SWAPS) >= 50
