"""A rival's gain is what he surely had more of afterwards."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from dexarb.core.market import Market, Swap
from dexarb.core.pool import Pool
from dexarb.core.token import Address
from dexarb.study.rivals_study import least_gain_micro_usd
from dexarb.trading.models.reality import REALITY
from dexarb.trading.models.rivals import Arbitrage, left_over
from tests.support.worlds.pools import v3
from tests.support.worlds.small_chain import CHEAP, DEAR, USDC, WETH, WMATIC, keyframe, weth_pool

USD, ETHER = 10**6, 10**18
V2, OTHER = weth_pool(CHEAP, 2_450), weth_pool(DEAR, 2_500)
V3 = v3(7, (WETH, USDC), 1.0, [(-1, 1, ETHER)])


def gained(*swaps: tuple[Pool, Mapping[Address, int]]) -> int | None:
    """swaps: of each pool what went in (negative: out)."""
    made = tuple(Swap(pool, tuple(flow[token] for token in pool.tokens)) for pool, flow in swaps)
    gains = {token: amount for token, amount in left_over(made).items() if amount > 0}
    valuation = REALITY.value.valuation(Market(keyframe()))
    return least_gain_micro_usd(Arbitrage(0, made, gains), valuation)


BOUGHT = {USDC: 2_450 * USD, WETH: -ETHER}
SOLD = {USDC: -2_480 * USD, WETH: ETHER}
SOLD_LESS = {USDC: -2_470 * USD, WETH: ETHER * 998 // 1_000}


def test_what_a_v3_pool_did_not_ask_for_may_have_been_paid_into_it() -> None:
    assert gained((V2, BOUGHT), (V3, SOLD)) == 30 * USD
    # 0.002 WETH, 5 USD, were kept or given away: the pool does not say.
    assert gained((V2, BOUGHT), (V3, SOLD_LESS)) == 20 * USD


def test_a_pair_tells_what_it_was_sent() -> None:
    assert gained((V2, BOUGHT), (OTHER, SOLD_LESS)) == 25 * USD - 1  # rounded down


def test_the_main_gain_counts_whoever_took_the_first_input() -> None:
    assert gained((V3, BOUGHT), (OTHER, SOLD)) == 30 * USD
    assert gained((V3, BOUGHT), (OTHER, SOLD_LESS)) == 25 * USD - 1  # rounded down


@pytest.mark.parametrize("token", [WETH, WMATIC])
def test_what_has_no_price_is_not_valued(token: Address) -> None:
    unpriced = Address("0x" + "0f" * 20)
    pool = v3(8, (token, unpriced), 1.0, [(-1, 1, ETHER)])
    swap = Swap(pool, tuple(-1 if each == unpriced else 1 for each in pool.tokens))
    valuation = REALITY.value.valuation(Market(keyframe()))
    assert least_gain_micro_usd(Arbitrage(0, (swap,), {token: 1, unpriced: 1}), valuation) is None
