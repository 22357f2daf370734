"""SwapMath against golden vectors, and the cases of SwapMath.spec of the public v3-core suite."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexarb.amm.sqrt_price_math import Q96
from dexarb.amm.swap_math import compute_swap_step
from tests.amm.v3_vectors import ONE_TO_ONE, VECTORS, encode_sqrt_price, sqrt_prices

liquidities = st.integers(1, (1 << 128) - 1)
amounts = st.integers(1, (1 << 255) - 1)
fees = st.integers(0, 999_999)


def test_swap_steps_of_the_contract() -> None:
    assert len(VECTORS["swap_steps"]) == 100
    for price, limit, liquidity, amount, fee, reached, paid, received in VECTORS["swap_steps"]:
        next_price, amount_in, amount_out, fee_amount = compute_swap_step(
            price, limit, liquidity, amount, fee
        )
        assert (next_price, amount_in + fee_amount, amount_out) == (reached, paid, received)


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
