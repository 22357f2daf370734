"""FullMath: the cases of FullMath.spec of the public v3-core suite."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexarb.amm.full_math import UINT256_MAX, div_rounding_up, mul_div, mul_div_rounding_up

Q128 = 1 << 128


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
