"""TickMath against golden vectors, and the cases of TickMath.spec of the public v3-core suite."""

from __future__ import annotations

import pytest
from hypothesis import given

from dexarb.amm.tick_math import (
    MAX_SQRT_RATIO,
    MAX_TICK,
    MIN_SQRT_RATIO,
    MIN_TICK,
    get_sqrt_ratio_at_tick,
    get_tick_at_sqrt_ratio,
)
from tests.amm.v3_vectors import VECTORS, sqrt_prices


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
