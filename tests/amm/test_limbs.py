"""The compiled swap mathematics against Python's integers, by vectors that favour the edges."""

from __future__ import annotations

import os
from collections.abc import Callable
from random import Random

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dexarb.amm import full_math, limb_math, sqrt_price_math, swap_math, tick_math
from dexarb.amm.full_math import UINT256_MAX
from dexarb.amm.limb_math import DOWN, UP
from dexarb.amm.tick_math import MAX_SQRT_RATIO, MAX_TICK, MIN_SQRT_RATIO, MIN_TICK
from dexarb.compiled import kernel
from dexarb.limbs import Limbs, divide
from tests.amm.v3_vectors import VECTORS

FUZZ_VECTORS = int(os.environ.get("DEXARB_FUZZ_SWAPS", "1000000"))
UINT128_MAX, INT256_MAX = (1 << 128) - 1, (1 << 255) - 1
EDGES = sorted(
    {
        max(0, edge + offset)
        for edge in (0, *(1 << bits for bits in (32, 64, 96, 128, 160, 192, 224, 255, 256)))
        for offset in (-2, -1, 0, 1, 2)
    }
    | {MIN_SQRT_RATIO, MIN_SQRT_RATIO + 1, MAX_SQRT_RATIO - 1, MAX_SQRT_RATIO, 1_000_000}
)


def to_limbs(number: int, count: int = 4) -> Limbs:
    return tuple(np.uint64(number >> 64 * place & 0xFFFFFFFFFFFFFFFF) for place in range(count))  # type: ignore[return-value]


def to_int(limbs: Limbs) -> int:
    return sum(int(limb) << 64 * place for place, limb in enumerate(limbs))


def outcome(function: Callable[..., object], *arguments: object) -> object:
    try:
        return function(*arguments)
    except (OverflowError, ZeroDivisionError):
        return None


@kernel
def mul_div(a: Limbs, b: Limbs, denominator: Limbs, round_up: bool) -> tuple[Limbs, bool]:
    return limb_math.mul_div(a, b, denominator, round_up)


class Numbers:
    """Random integers, small ones as likely as large ones, many of them at edges."""

    def __init__(self, seed: str) -> None:
        self.rng = Random(seed)

    def between(self, low: int, high: int) -> int:
        rng = self.rng
        chance = rng.random()
        if chance < 0.1:
            return min(high, max(low, rng.choice(EDGES)))
        if chance < 0.2:  # limbs that carry, borrow and spoil the estimates of quotients
            limbs = (0, 1, 1 << 63, (1 << 64) - 2, (1 << 64) - 1, rng.getrandbits(64))
            number = sum(rng.choice(limbs) << 64 * place for place in range(4))
        else:
            number = rng.getrandbits(rng.randint(1, 256))
        return number if low <= number <= high else low + number % (high - low + 1)

    def price(self) -> int:
        return self.between(MIN_SQRT_RATIO, MAX_SQRT_RATIO - 1)

    def price_near(self, price: int) -> int:
        if self.rng.random() < 0.3:
            return self.price()
        away = self.rng.choice((-1, 1)) * self.rng.getrandbits(self.rng.randint(0, 160))
        return min(MAX_SQRT_RATIO - 1, max(MIN_SQRT_RATIO, price + away))


def check_divide(numbers: Numbers) -> None:
    denominator = numbers.between(1, UINT256_MAX)
    quotient, rest = numbers.between(0, UINT256_MAX), numbers.between(0, denominator - 1)
    dividend = quotient * denominator + numbers.rng.choice((0, rest, denominator - 1))
    result, exact = divide(to_limbs(dividend, 8), to_limbs(denominator))  # type: ignore[arg-type]
    assert (to_int(result), exact) == (quotient, dividend % denominator == 0)


def check_mul_div(numbers: Numbers) -> None:
    a, b, denominator = (numbers.between(0, UINT256_MAX) for _ in range(3))
    assert_mul_div_agrees(a, b, denominator)


def assert_mul_div_agrees(a: int, b: int, denominator: int) -> None:
    limbs = to_limbs(a), to_limbs(b), to_limbs(denominator)
    for function, direction in ((full_math.mul_div, DOWN), (full_math.mul_div_rounding_up, UP)):
        result, fits = mul_div(*limbs, direction)
        assert (to_int(result) if fits else None) == outcome(function, a, b, denominator)


def check_amount_delta(numbers: Numbers) -> None:
    a, liquidity = numbers.price(), numbers.between(0, UINT128_MAX)
    b = numbers.price_near(a)
    limbs = to_limbs(a), to_limbs(b), to_limbs(liquidity)
    for of_token0 in (True, False):
        function = (
            sqrt_price_math.get_amount0_delta if of_token0 else sqrt_price_math.get_amount1_delta
        )
        for round_up in (True, False):
            result = limb_math.get_amount_delta(of_token0, *limbs, round_up)
            assert to_int(result) == function(a, b, liquidity, round_up)


def check_next_sqrt_price(numbers: Numbers) -> None:
    price, liquidity = numbers.price(), numbers.between(0, UINT128_MAX)
    amount = numbers.between(0, INT256_MAX)
    if numbers.rng.random() < 0.5:  # around all that the range holds
        reserve = numbers.rng.choice(((liquidity << 96) // price, liquidity * price >> 96))
        amount = max(0, reserve + numbers.rng.randint(-2, 2))
    limbs = to_limbs(price), to_limbs(liquidity), to_limbs(amount)
    for function, exact_in in (
        (sqrt_price_math.get_next_sqrt_price_from_input, True),
        (sqrt_price_math.get_next_sqrt_price_from_output, False),
    ):
        for zero_for_one in (True, False):
            result, fits = limb_math.get_next_sqrt_price(*limbs, exact_in, zero_for_one)
            expected = outcome(function, price, liquidity, amount, zero_for_one)
            assert (to_int(result) if fits else None) == expected


def check_swap_step(numbers: Numbers) -> None:
    rng = numbers.rng
    price, liquidity = numbers.price(), numbers.between(0, UINT128_MAX)
    target = numbers.price_near(price)
    fee_pips = rng.choice((0, 1, 100, 500, 3000, 10_000, 999_999, rng.randrange(1_000_000)))
    exact_in = rng.random() < 0.5
    amount = numbers.between(1, INT256_MAX)
    if rng.random() < 0.6:  # about what reaches the target, or a part of it
        _, step_in, step_out, step_fee = swap_math.compute_swap_step(
            price, target, liquidity, INT256_MAX, fee_pips
        )
        whole = (step_in + step_fee if exact_in else step_out) + rng.randint(-2, 2)
        part = whole >> rng.randint(1, 40) if rng.random() < 0.5 else whole
        amount = min(INT256_MAX, max(1, part))
    assert_step_agrees(price, target, liquidity, amount if exact_in else -amount, fee_pips)


def step(
    price: int, target: int, liquidity: int, remaining: int, fee_pips: int
) -> tuple[int, ...] | None:
    limbs = to_limbs(price), to_limbs(target), to_limbs(liquidity), to_limbs(abs(remaining))
    *results, fits = limb_math.compute_swap_step(*limbs, remaining >= 0, np.uint64(fee_pips))
    return tuple(map(to_int, results)) if fits else None


def assert_step_agrees(
    price: int, target: int, liquidity: int, remaining: int, fee_pips: int
) -> None:
    ours = step(price, target, liquidity, remaining, fee_pips)
    expected = outcome(swap_math.compute_swap_step, price, target, liquidity, remaining, fee_pips)
    assert ours == expected, (price, target, liquidity, remaining, fee_pips)


def check_ticks(numbers: Numbers) -> None:
    """At random prices, at the price of a tick, and one below it."""
    tick = numbers.rng.randint(MIN_TICK + 1, MAX_TICK - 1)
    boundary = tick_math.get_sqrt_ratio_at_tick(tick)
    assert to_int(limb_math.get_sqrt_ratio_at_tick(np.int64(tick))) == boundary
    for price in (numbers.price(), boundary, boundary - 1):
        expected = tick_math.get_tick_at_sqrt_ratio(price)
        assert limb_math.get_tick_at_sqrt_ratio(to_limbs(price)) == expected


CHECKS: dict[Callable[[Numbers], None], int] = {
    check_divide: 5_000,
    check_mul_div: 5_000,
    check_amount_delta: 5_000,
    check_next_sqrt_price: 5_000,
    check_ticks: 5_000,
    check_swap_step: 20_000,
}
"""And how many vectors `make test` takes."""


def run_vectors(check: Callable[[Numbers], None], count: int) -> None:
    numbers = Numbers(f"{check.__name__}:{count}")
    for _ in range(count):
        check(numbers)


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_vectors(check: Callable[[Numbers], None]) -> None:
    run_vectors(check, CHECKS[check])


@pytest.mark.fuzz
@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.__name__)
def test_many_vectors(check: Callable[[Numbers], None]) -> None:
    run_vectors(check, FUZZ_VECTORS)


edges = st.sampled_from([edge for edge in EDGES if edge <= UINT256_MAX])
words = edges | st.integers(0, UINT256_MAX)
prices = st.integers(MIN_SQRT_RATIO, MAX_SQRT_RATIO - 1)


@given(words, words, words)
@example(UINT256_MAX, UINT256_MAX, UINT256_MAX)
@example(UINT256_MAX, UINT256_MAX, UINT256_MAX - 1)
@example(1 << 128, 1 << 128, 1)
@example(1, 1, 0)
@example(
    535006138814359, 432862656469423142931042426214547535783388063929571229938474969, 2
)  # overflows by its rounding alone
def test_mul_div(a: int, b: int, denominator: int) -> None:
    assert_mul_div_agrees(a, b, denominator)


@given(
    edges.map(lambda edge: min(max(edge, MIN_SQRT_RATIO), MAX_SQRT_RATIO - 1)) | prices,
    edges.map(lambda edge: min(max(edge, MIN_SQRT_RATIO), MAX_SQRT_RATIO - 1)) | prices,
    edges.map(lambda edge: min(edge, UINT128_MAX)),
    edges.map(lambda edge: min(max(edge, 1), INT256_MAX)),
    st.integers(0, 999_999),
    st.booleans(),
)
def test_steps_between_edges(
    price: int, target: int, liquidity: int, amount: int, fee_pips: int, exact_in: bool
) -> None:
    assert_step_agrees(price, target, liquidity, amount if exact_in else -amount, fee_pips)


def test_every_tick() -> None:
    ticks = [*range(MIN_TICK, MIN_TICK + 2000), *range(MAX_TICK - 2000, MAX_TICK + 1)]
    for tick in [*ticks, *range(-1000, 1000), *range(MIN_TICK, MAX_TICK, 501)]:
        ratio = limb_math.get_sqrt_ratio_at_tick(np.int64(tick))
        assert to_int(ratio) == tick_math.get_sqrt_ratio_at_tick(tick)


def test_golden_vectors() -> None:
    """Those of the published bytecode, see v3_vectors."""
    for tick, ratio in VECTORS["sqrt_ratio_at_tick"]:
        assert to_int(limb_math.get_sqrt_ratio_at_tick(np.int64(tick))) == ratio
    for price, tick in VECTORS["tick_at_sqrt_ratio"]:
        assert limb_math.get_tick_at_sqrt_ratio(to_limbs(price)) == tick
    assert len(VECTORS["swap_steps"]) == 100
    for price, limit, liquidity, amount, fee, reached, paid, received in VECTORS["swap_steps"]:
        result = step(price, limit, liquidity, amount, fee)
        assert result is not None
        next_price, amount_in, amount_out, fee_amount = result
        assert (next_price, amount_in + fee_amount, amount_out) == (reached, paid, received)
