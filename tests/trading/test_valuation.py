"""Prices: a median over blocks and pools, no shallow pool in it, and every rounding against us."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dexarb.amm.uniswap_v2 import UniswapV2Pool
from dexarb.core.market import Keyframe, Market
from dexarb.core.pool import PoolKey
from dexarb.core.profile import ReferencePool
from dexarb.core.token import Address
from dexarb.trading.models.reality import Reality
from dexarb.trading.models.value import PRICE_SHIFT, ValueModel
from tests.support.worlds.small_chain import (
    CHEAP,
    DEAR,
    GAS,
    PROFILE,
    USDC,
    WETH,
    WMATIC,
    SmallChain,
    keyframe,
    play,
    settings,
    threshold_engine,
    v2,
    weth_pool,
)

THIRD = PoolKey("0x" + "a4" * 20)
ETHER = 10**18
VALUE = ValueModel()
WINDOW_BLOCKS = VALUE.window_blocks


def market(*references: ReferencePool) -> Keyframe:
    """Three WETH pools; these price it."""
    first = keyframe()
    profile = replace(PROFILE, reference_pools={**PROFILE.reference_pools, WETH: references})
    return replace(first, profile=profile, pools=(*first.pools, weth_pool(THIRD, 2_500)))


def prices(first: Keyframe, blocks: Sequence[Sequence[UniswapV2Pool]]) -> list[int | None]:
    """Of a WETH, in whole USD, after each block."""
    chain, made = SmallChain(first), Market(first)
    valuation = VALUE.valuation(made)
    found = []
    for pools in blocks:
        valuation.observe(made, made.apply(chain.mine(*pools)))
        worth = valuation.micro_usd(WETH, ETHER)
        found.append(None if worth is None else round(worth / 10**6))
    return found


def test_a_price_is_the_median_of_the_last_blocks_of_its_pool() -> None:
    """A pool that stands wrong for less than half of the window prices nothing."""
    first = market(ReferencePool(DEAR, USDC, 1))
    calm: list[list[UniswapV2Pool]] = [[] for _ in range(WINDOW_BLOCKS)]
    wrong: list[list[UniswapV2Pool]] = [[weth_pool(DEAR, 9_000)]]
    found = prices(first, calm + wrong + calm)[WINDOW_BLOCKS:]
    half = WINDOW_BLOCKS // 2
    # The lower of the two middle ones: for a rise it takes one block more than half.
    assert found == [2_500] * half + [9_000] * (len(found) - half)


def test_one_mispriced_pool_of_three_prices_nothing_however_long() -> None:
    first = market(*(ReferencePool(pool, USDC, 1) for pool in (CHEAP, DEAR, THIRD)))
    blocks: list[list[UniswapV2Pool]] = [[weth_pool(CHEAP, 9_000)]]
    blocks += [[] for _ in range(2 * WINDOW_BLOCKS)]
    assert set(prices(first, blocks)) == {2_500}


def test_a_pool_below_its_depth_does_not_count() -> None:
    """Only what the numeraire side holds counts, at the moment of the block's end."""
    first = market(ReferencePool(DEAR, USDC, 1_000_000 * 10**6), ReferencePool(THIRD, USDC, 1))
    drained = weth_pool(DEAR, 9_000, weth=100)  # 900,000 USDC are left
    blocks: list[list[UniswapV2Pool]] = [[drained]]
    blocks += [[] for _ in range(2 * WINDOW_BLOCKS)]
    assert set(prices(first, blocks)) == {2_500}
    alone = market(ReferencePool(DEAR, USDC, 1_000_000 * 10**6))
    found = prices(alone, blocks)
    assert found[: WINDOW_BLOCKS - 1] == [2_500] * (WINDOW_BLOCKS - 1)
    assert found[WINDOW_BLOCKS:] == [None] * (len(found) - WINDOW_BLOCKS)


@pytest.mark.parametrize("token", [WETH, WMATIC])
def test_without_a_price_of_start_token_or_gas_nothing_is_traded(token: Address) -> None:
    references = {key: pools for key, pools in PROFILE.reference_pools.items() if key != token}
    profile = replace(PROFILE, start_tokens=(WETH,), reference_pools=references)
    made = threshold_engine(replace(keyframe(), profile=profile), settings())
    step = made.step(SmallChain(keyframe()).mine(weth_pool(CHEAP, 2_450)))
    assert step.opportunities
    assert not step.decisions
    assert {skip.reason.value for skip in made.skips.drain(hour=1)} == {"no_price"}


def test_a_block_settles_at_the_prices_before_it() -> None:
    """Gas gets dearer in the inclusion block itself; the books know the old price."""
    first = keyframe()
    made = threshold_engine(first, settings())
    chain = SmallChain(first)
    play(made, [chain.mine(weth_pool(CHEAP, 2_450))])
    before = made.valuation.native_price
    assert before is not None
    dearer = v2(GAS, WMATIC, ETHER * 10**6, 10**6 * 50 * 10**6)
    (step,) = play(made, [chain.mine(dearer, weth_pool(CHEAP, 2_451))])
    (fill,) = step.fills
    cost = Fraction(fill.gas_used * fill.gas_price * before, 2**PRICE_SHIFT)
    assert fill.gas_cost_micro_usd - 1 < cost <= fill.gas_cost_micro_usd
    play(made, [chain.mine() for _ in range(WINDOW_BLOCKS)])
    after = made.valuation.native_price
    assert after is not None
    assert after > 50 * before


def test_a_decision_under_way_settles_at_the_prices_before_its_block_not_at_its_own() -> None:
    """Gas gets ten times as dear between the decision and the block before it is included."""
    first, chain = keyframe(), SmallChain(keyframe())
    reality = Reality(value=ValueModel(window_blocks=1))
    made = threshold_engine(first, settings(latency_blocks=3), reality=reality)
    play(made, [chain.mine(weth_pool(CHEAP, 2_450)), chain.mine()])
    dearer = v2(GAS, WMATIC, ETHER * 4 * 10**6, 4 * 10**6 * 5 * 10**6)
    settled = play(made, [chain.mine(dearer), chain.mine()])[-1]
    (fill,) = settled.fills
    # 145,410 gas at 60 gwei, with 5 USD for a WMATIC.
    assert fill.gas_used == 145_410
    assert fill.gas_cost_micro_usd in (43_623, 43_624)


def test_a_keyframe_that_changes_only_pools_counts_no_block_twice() -> None:
    """Of three block ends one was wrong, and the pools changed at that one."""
    first = market(ReferencePool(DEAR, USDC, 1))
    chain, reality = SmallChain(first), Reality(value=ValueModel(window_blocks=3))
    made = threshold_engine(first, settings(), reality=reality)
    play(made, [chain.mine(), chain.mine(weth_pool(DEAR, 9_000))])
    before = made.valuation.price(WETH)
    fewer = tuple(pool for pool in made.market.pools.values() if pool.key != THIRD)
    made.step(replace(made.market.keyframe(), seq=9, pools=fewer))
    assert made.valuation.price(WETH) == before
    assert made.valuation.micro_usd(WETH, ETHER) == pytest.approx(2_500 * 10**6, abs=1)
    play(made, [chain.mine()])
    assert made.valuation.micro_usd(WETH, ETHER) == pytest.approx(9_000 * 10**6, abs=1)


@given(amount=st.integers(-(10**40), 10**40), micro_usd=st.integers(0, 10**18))
def test_gains_are_never_rounded_up_and_costs_never_down(amount: int, micro_usd: int) -> None:
    valuation = VALUE.valuation(Market(keyframe()))
    price = valuation.price(WETH)
    assert price is not None
    exact = Fraction(amount * price, 2**PRICE_SHIFT)
    worth, cost = valuation.micro_usd(WETH, amount), valuation.cost_micro_usd(WETH, amount)
    assert worth is not None
    assert cost is not None
    assert exact - 1 < worth <= exact <= cost < exact + 1
    bought = valuation.amount(WETH, micro_usd)
    assert bought is not None
    assert bought * price <= micro_usd << PRICE_SHIFT < (bought + 1) * price


def test_the_numeraire_is_a_dollar() -> None:
    valuation = VALUE.valuation(Market(keyframe()))
    assert valuation.micro_usd(USDC, 123) == valuation.cost_micro_usd(USDC, 123) == 123
    assert valuation.amount(USDC, 123) == 123


def test_without_the_numeraire_among_the_tokens_nothing_has_a_price() -> None:
    """It does not tell its decimals, say: the rest of the market is there all the same."""
    first = keyframe()
    tokens = tuple(token for token in first.tokens if token.address != USDC)
    valuation = VALUE.valuation(Market(replace(first, tokens=tokens)))
    for token in (USDC, WETH, WMATIC):
        assert not valuation.price(token)
        assert not valuation.amount(token, 10**6)
