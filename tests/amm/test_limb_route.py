"""Pools in arrays answer as the pools themselves, and limbs become the floats that Python makes."""

from __future__ import annotations

from typing import cast

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dexarb import limbs
from dexarb.amm import UniswapV2Pool, UniswapV3Pool, limb_route
from dexarb.amm.limb_route import REFUSED, TAKEN, UNKNOWN, States, state_of
from dexarb.amm.tick_math import MAX_TICK, MIN_TICK, get_sqrt_ratio_at_tick
from dexarb.compiled import kernel
from dexarb.core.pool import SwapResult
from dexarb.errors import PoolError
from dexarb.limbs import Limbs
from tests.amm.pools import TOKEN0, TOKEN1, magnitudes, v2_pool, v2_pools, v3_pool, v3_pools
from tests.amm.test_limbs import to_int, to_limbs

EXACT_IN, EXACT_OUT = (cast(bool, np.bool_(each)) for each in (True, False))
Either = UniswapV2Pool | UniswapV3Pool


@kernel
def work(s: States, slot: int, after: np.int64) -> tuple[int, bool, int]:
    left, words = limb_route.left_tick(s, slot, after), limb_route.more_words(s, slot, after)
    return limb_route.crossed_ticks(s, slot, after), left, int(words)


@kernel
def quotient(a: Limbs, b: Limbs) -> float:
    return limbs.quotient_as_float(a, b)


@kernel
def rounded(a: Limbs) -> float:
    return limbs.rounded(a, True)


@kernel
def of_float(number: float) -> Limbs:
    return limbs.limbs_of_float(number)


def states(pool: Either) -> States:
    """With the pool in slot 1, and others' ticks around its own."""
    state = state_of(pool)
    assert state is not None
    none = np.zeros((3, 3), dtype=np.uint64)
    own = none[:0] if state.ticks is None else state.ticks
    return States(
        np.array([state.numbers * 0, state.numbers]),
        np.array([(0, 0, 0, 0), state.places]),
        np.array([(0, 3), (3, len(own))]),
        np.concatenate([none, own, none]),
    )


def check(pool: Either, zero_for_one: bool, exact_in: bool, amount: int) -> int:
    """Compare with the pool; returns how it went."""
    held = states(pool)
    way = EXACT_IN if exact_in else EXACT_OUT
    state, other, tick = limb_route.swapped(held, 1, zero_for_one, way, to_limbs(amount))
    if state == UNKNOWN:
        return state
    try:
        swap = pool.swap if exact_in else pool.swap_exact_out
        expected = swap(TOKEN0 if zero_for_one == exact_in else TOKEN1, amount)
    except PoolError:
        # Of a pair what buys nothing is refused as well; on a route that is the end of it.
        assert state == REFUSED or (exact_in and to_int(other) == 0)
        return REFUSED
    assert state == TAKEN
    assert to_int(other) == (expected.amount_out if exact_in else expected.amount_in)
    assert work(held, 1, tick) == work_of(pool, expected)
    return state


def work_of(pool: Either, result: SwapResult) -> tuple[int, bool, int]:
    after = result.pool
    return pool.crossed_ticks(after), pool.left_tick(after), pool.more_words(after)


@given(v2_pools() | v3_pools(), st.booleans(), st.booleans(), magnitudes(127))
@example(v2_pool(0, 0), True, True, 1)
@example(v2_pool(10**20, 10**20), True, True, 1)
@example(v2_pool(10**20, 5), True, False, 5)
@example(v2_pool((1 << 112) - 1, 10**20), True, True, 1)
@example(v2_pool((1 << 112) - 1, 10**20), True, False, 10**19)
@example(v3_pool([], 1 << 96, 0), True, True, 1)
def test_any_swap(pool: Either, zero_for_one: bool, exact_in: bool, amount: int) -> None:
    assert check(pool, zero_for_one, exact_in, amount) != UNKNOWN


@given(v3_pools(deep=True), st.booleans(), st.booleans(), st.integers(1, 10**25))
def test_swaps_over_ticks(
    pool: UniswapV3Pool, zero_for_one: bool, exact_in: bool, amount: int
) -> None:
    assert check(pool, zero_for_one, exact_in, amount) != UNKNOWN


@given(v3_pools(), st.integers(-30_000, 30_000))
@example(v3_pool([], get_sqrt_ratio_at_tick(-1), -1), 1)  # upwards, words begin elsewhere
def test_any_tick_behind_a_swap(pool: UniswapV3Pool, away: int) -> None:
    after = min(MAX_TICK - 1, max(MIN_TICK, pool.tick + away))
    there = pool._at(get_sqrt_ratio_at_tick(after), after, 0)
    expected = work_of(pool, SwapResult(1, 1, there))
    assert work(states(pool), 1, np.int64(after)) == expected


def test_what_does_not_fit_is_not_known() -> None:
    assert check(v2_pool(10**20, 10**20), True, True, 1 << 127) == UNKNOWN


class Heir(UniswapV2Pool):
    """With a formula of its own."""


def test_kinds_that_inherit_are_not_taken_for_these() -> None:
    pool = Heir.from_state(v2_pool(10, 10).state())
    assert state_of(pool) is None


sizes = magnitudes(127)


@given(sizes, sizes)
@example((1 << 64) + 1, 1 << 64)
@example((1 << 53) + 1, 1)
@example((1 << 54) + 2, 1)
@example((1 << 127) - 1, (1 << 127) - 2)
@example(1, (1 << 127) - 1)
def test_quotients_are_rounded_as_pythons(a: int, b: int) -> None:
    assert quotient(to_limbs(a), to_limbs(b)) == a / b


@given(magnitudes(256))
@example(0)
@example((1 << 117) + (1 << 64) + 1)
@example((1 << 117) + (1 << 64))
@example((1 << 117) + 3 * (1 << 64))
@example((1 << 256) - 1)
def test_integers_are_rounded_as_pythons(number: int) -> None:
    assert rounded(to_limbs(number)) == float(number)


@given(sizes)
def test_floats_become_the_integers_they_are(number: int) -> None:
    assert to_int(of_float(float(number))) == int(float(number))


@pytest.mark.parametrize("number", [0.0, 1.0, 2.0**64, 2.0**64 - 2048.0, 2.0**126])
def test_round_floats(number: float) -> None:
    assert to_int(of_float(number)) == int(number)
