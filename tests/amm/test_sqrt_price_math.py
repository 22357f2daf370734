"""SqrtPriceMath against golden vectors."""

from __future__ import annotations

import pytest

from dexarb.amm.full_math import UINT256_MAX
from dexarb.amm.sqrt_price_math import (
    get_amount0_delta,
    get_amount1_delta,
    get_next_sqrt_price_from_input,
    get_next_sqrt_price_from_output,
)
from dexarb.amm.tick_math import get_sqrt_ratio_at_tick
from tests.amm.v3_vectors import ONE_TO_ONE, VECTORS


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
