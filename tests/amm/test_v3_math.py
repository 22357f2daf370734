"""The V3 libraries against golden vectors.

tests/vectors/uniswap_v3.json comes from the published bytecode (make_amm_vectors.py beside it);
the cases written out here are those of the public v3-core test suite (FullMath.spec,
SwapMath.spec, TickMath.spec).
"""

from __future__ import annotations

import json
from fractions import Fraction
from math import isqrt
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexarb.amm.full_math import UINT256_MAX, div_rounding_up, mul_div, mul_div_rounding_up
from dexarb.amm.sqrt_price_math import (
    Q96,
    get_amount0_delta,
    get_amount1_delta,
    get_next_sqrt_price_from_input,
    get_next_sqrt_price_from_output,
)
from dexarb.amm.swap_math import compute_swap_step
from dexarb.amm.tick_math import (
    MAX_SQRT_RATIO,
    MAX_TICK,
    MIN_SQRT_RATIO,
    MIN_TICK,
    get_sqrt_ratio_at_tick,
    get_tick_at_sqrt_ratio,
)

VECTORS: dict[str, list[list[int]]] = {
    name: [[int(value) for value in row] for row in rows]
    for name, rows in json.loads(
        (Path(__file__).parents[1] / "vectors" / "uniswap_v3.json").read_text()
    ).items()
}
Q128 = 1 << 128

sqrt_prices = st.integers(MIN_SQRT_RATIO, MAX_SQRT_RATIO - 1)
liquidities = st.integers(1, (1 << 128) - 1)
amounts = st.integers(1, (1 << 255) - 1)
fees = st.integers(0, 999_999)


def encode_sqrt_price(reserve1: int, reserve0: int) -> int:
    return isqrt((reserve1 << 192) // reserve0)


def test_ratio_at_tick() -> None:
    assert len(VECTORS["sqrt_ratio_at_tick"]) > 50
    for tick, ratio in VECTORS["sqrt_ratio_at_tick"]:
        assert get_sqrt_ratio_at_tick(tick) == ratio
    assert get_sqrt_ratio_at_tick(MIN_TICK) == MIN_SQRT_RATIO
    assert get_sqrt_ratio_at_tick(MAX_TICK) == MAX_SQRT_RATIO


def test_tick_at_ratio() -> None:
    assert len(VECTORS["tick_at_sqrt_ratio"]) == 100
    for price, tick in VECTORS["tick_at_sqrt_ratio"]:
        assert get_tick_at_sqrt_ratio(price) == tick


@pytest.mark.parametrize("tick", [MIN_TICK - 1, MAX_TICK + 1])
def test_ticks_end(tick: int) -> None:
    with pytest.raises(OverflowError):
        get_sqrt_ratio_at_tick(tick)


@pytest.mark.parametrize("price", [0, MIN_SQRT_RATIO - 1, MAX_SQRT_RATIO])
def test_prices_end(price: int) -> None:
    with pytest.raises(OverflowError):
        get_tick_at_sqrt_ratio(price)


@given(sqrt_prices)
def test_tick_is_the_greatest_not_above_the_price(price: int) -> None:
    tick = get_tick_at_sqrt_ratio(price)
    assert get_sqrt_ratio_at_tick(tick) <= price < get_sqrt_ratio_at_tick(tick + 1)


def test_every_boundary_near_the_ends_and_many_between() -> None:
    """Where the float estimate is of no use the integers must decide."""
    ends = [*range(MIN_TICK + 1, MIN_TICK + 3000), *range(MAX_TICK - 3000, MAX_TICK)]
    for tick in [*ends, *range(-886_000, 886_000, 331)]:
        boundary = get_sqrt_ratio_at_tick(tick)
        assert get_tick_at_sqrt_ratio(boundary) == tick
        assert get_tick_at_sqrt_ratio(boundary - 1) == tick - 1


@pytest.mark.parametrize(
    ("a", "b", "denominator", "down", "up"),
    [
        (UINT256_MAX, UINT256_MAX, UINT256_MAX, UINT256_MAX, UINT256_MAX),
        (Q128, Q128 * 50 // 100, Q128 * 150 // 100, Q128 // 3, Q128 // 3 + 1),
        (Q128, 35 * Q128, 8 * Q128, 4375 * Q128 // 1000, 4375 * Q128 // 1000),
        (Q128, 1000 * Q128, 3000 * Q128, Q128 // 3, Q128 // 3 + 1),
    ],
)
def test_mul_div(a: int, b: int, denominator: int, down: int, up: int) -> None:
    assert mul_div(a, b, denominator) == down
    assert mul_div_rounding_up(a, b, denominator) == up


@pytest.mark.parametrize(
    ("a", "b", "denominator"), [(Q128, Q128, 1), (UINT256_MAX, UINT256_MAX, UINT256_MAX - 1)]
)
def test_mul_div_overflows(a: int, b: int, denominator: int) -> None:
    for function in (mul_div, mul_div_rounding_up):
        with pytest.raises(OverflowError):
            function(a, b, denominator)
        with pytest.raises(ZeroDivisionError):
            function(a, b, 0)


def test_only_rounding_up_overflows() -> None:
    a = 535006138814359
    b = 432862656469423142931042426214547535783388063929571229938474969
    assert mul_div(a, b, 2) == UINT256_MAX
    with pytest.raises(OverflowError):
        mul_div_rounding_up(a, b, 2)


@given(st.integers(0, UINT256_MAX), st.integers(1, UINT256_MAX))
def test_division_rounding_up_is_the_ceiling(a: int, denominator: int) -> None:
    assert 0 <= div_rounding_up(a, denominator) - Fraction(a, denominator) < 1


def test_amounts_of_positions() -> None:
    """What the contract takes for a position (rounded up) and gives back (rounded down)."""
    assert len(VECTORS["position_amounts"]) >= 30
    for price, lower, upper, liquidity, *expected in VECTORS["position_amounts"]:
        low, high = get_sqrt_ratio_at_tick(lower), get_sqrt_ratio_at_tick(upper)
        inside = min(max(price, low), high)
        # The contract compares ticks: a price on the upper boundary is above the position.
        assert expected == [
            delta(start, end, liquidity, round_up)
            for round_up in (True, False)
            for delta, start, end in (
                (get_amount0_delta, inside, high),
                (get_amount1_delta, low, inside),
            )
        ]


def test_swap_steps_of_the_contract() -> None:
    assert len(VECTORS["swap_steps"]) == 100
    for price, limit, liquidity, amount, fee, reached, paid, received in VECTORS["swap_steps"]:
        next_price, amount_in, amount_out, fee_amount = compute_swap_step(
            price, limit, liquidity, amount, fee
        )
        assert (next_price, amount_in + fee_amount, amount_out) == (reached, paid, received)


ONE_TO_ONE = encode_sqrt_price(1, 1)


@pytest.mark.parametrize(
    ("price", "target", "liquidity", "remaining", "fee", "expected"),
    [
        pytest.param(
            ONE_TO_ONE, encode_sqrt_price(101, 100), 2 * 10**18, 10**18, 600,
            (encode_sqrt_price(101, 100), 9975124224178055, 9925619580021728, 5988667735148),
            id="exact in, capped at the target",
        ),
        pytest.param(
            ONE_TO_ONE, encode_sqrt_price(101, 100), 2 * 10**18, -(10**18), 600,
            (encode_sqrt_price(101, 100), 9975124224178055, 9925619580021728, 5988667735148),
            id="exact out, capped at the target",
        ),
        pytest.param(
            417332158212080721273783715441582, 1452870262520218020823638996,
            159344665391607089467575320103, -1, 1,
            (417332158212080721273783715441581, 1, 1, 1),
            id="output capped at what was asked",
        ),
        pytest.param(
            2, 1, 1, 3915081100057732413702495386755767, 1,
            (1, 39614081257132168796771975168, 0, 39614120871253040049813),
            id="target price of one",
        ),
        pytest.param(
            2413, 79887613182836312, 1985041575832132834610021537970, 10, 1872,
            (2413, 0, 0, 10),
            id="all of the input is fee",
        ),
        pytest.param(
            20282409603651670423947251286016, 20282409603651670423947251286016 * 11 // 10,
            1024, -4, 3000,
            (20282409603651670423947251286016 * 11 // 10, 26215, 0, 79),
            id="too little liquidity, token1 in",
        ),
        pytest.param(
            20282409603651670423947251286016, 20282409603651670423947251286016 * 9 // 10,
            1024, -263000, 3000,
            (20282409603651670423947251286016 * 9 // 10, 1, 26214, 1),
            id="too little liquidity, token0 in",
        ),
    ],
)  # fmt: skip
def test_swap_steps_of_the_public_suite(
    price: int, target: int, liquidity: int, remaining: int, fee: int, expected: tuple[int, ...]
) -> None:
    assert compute_swap_step(price, target, liquidity, remaining, fee) == expected


@given(sqrt_prices, sqrt_prices, liquidities, amounts, fees, st.booleans())
def test_swap_steps_round_against_the_trader(
    price: int, target: int, liquidity: int, amount: int, fee: int, exact_in: bool
) -> None:
    remaining = amount if exact_in else -amount
    reached, amount_in, amount_out, fee_amount = compute_swap_step(
        price, target, liquidity, remaining, fee
    )
    low, high = sorted((price, reached))
    token0 = Fraction(liquidity * Q96 * (high - low), low * high)
    token1 = Fraction(liquidity * (high - low), Q96)
    due_in, due_out = (token0, token1) if price >= target else (token1, token0)
    assert min(price, target) <= reached <= max(price, target)
    assert amount_in >= due_in
    assert amount_out <= due_out
    assert fee_amount >= Fraction(amount_in * fee, 1_000_000)
    if exact_in:
        assert amount_in + fee_amount <= amount
        assert reached == target or amount_in + fee_amount == amount
    else:
        assert amount_out <= amount
        assert reached == target or amount_out == amount


def test_prices_refuse_what_the_contract_refuses() -> None:
    refusals = [
        (get_next_sqrt_price_from_input, (0, 1, 1, True)),
        (get_next_sqrt_price_from_input, (1, 0, 1, False)),
        (get_next_sqrt_price_from_input, ((1 << 160) - 1, 1024, 1024, False)),
        (get_next_sqrt_price_from_output, (0, 1, 1, True)),
        (get_next_sqrt_price_from_output, (1, 0, 1, False)),
        # All of the virtual reserves, and the last price below an overflow.
        (get_next_sqrt_price_from_output, (20282409603651670423947251286016, 1024, 4, False)),
        (get_next_sqrt_price_from_output, (20282409603651670423947251286016, 1024, 5, False)),
        (get_next_sqrt_price_from_output, (20282409603651670423947251286016, 1024, 262144, True)),
        (get_next_sqrt_price_from_output, (ONE_TO_ONE, 1, UINT256_MAX, False)),
    ]
    for function, arguments in refusals:
        with pytest.raises(OverflowError):
            function(*arguments)
    assert (
        get_next_sqrt_price_from_output(20282409603651670423947251286016, 1024, 262143, True)
        == 77371252455336267181195264
    )
    # The contract's detour where amount · price exceeds 256 bits.
    assert get_next_sqrt_price_from_input(ONE_TO_ONE, 1, UINT256_MAX // 2, True) == 1
