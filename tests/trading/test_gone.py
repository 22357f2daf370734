"""What was there when deciding and is gone when settling: prices, pools, liquidity, gas."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest

from dexarb.amm.uniswap_v3 import UniswapV3Pool
from dexarb.core.block import BlockHash, BlockUpdate
from dexarb.core.market import Keyframe
from dexarb.core.profile import ReferencePool
from dexarb.core.token import Address
from dexarb.core.trade import Decision, FillStatus, Funding, StrategyHash
from dexarb.errors import InsufficientLiquidity
from dexarb.trading.engine import Engine
from dexarb.trading.seams import Step
from tests.support.scripted import Scripted
from tests.support.worlds import small_chain
from tests.support.worlds.blocks import GWEI, Chain
from tests.support.worlds.engines import engine, plain
from tests.support.worlds.events import swap_log
from tests.support.worlds.pools import RandomPools, rng_of, v3
from tests.support.worlds.random_chain import NATIVE, USD, VALUES, RandomChain
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
    weth_pool,
)

S = StrategyHash("s")


def trader(first: Keyframe, **changes: object) -> Engine:
    return engine(first, [Scripted({"s": changes})], scanner=plain)


# -- prices ------------------------------------------------------------------------------------


def test_a_price_that_is_gone_is_that_of_the_decision() -> None:
    """A keyframe with fewer pools brings a profile in which nothing prices the native token."""
    first = keyframe()
    told, silent = trader(first), trader(first)
    chain = SmallChain(first)
    opening, after = chain.mine(weth_pool(CHEAP, 2_450)), chain.mine(weth_pool(CHEAP, 2_452))
    for made in (told, silent):
        assert made.step(opening).decisions
    market = silent.market
    silent.step(
        Keyframe(
            seq=9,
            block=market.block,
            profile=replace(PROFILE, reference_pools={WETH: PROFILE.reference_pools[WETH]}),
            tokens=first.tokens,
            pools=tuple(pool for pool in market.pools.values() if pool.key != GAS),
        )
    )
    assert silent.valuation.native_price is None
    (fill,) = silent.step(after).fills
    assert (fill,) == tuple(told.step(after).fills)
    assert fill.gas_cost_micro_usd > 0


@pytest.mark.parametrize("without", [(WETH,), (WETH, WMATIC)])
def test_a_start_token_without_a_price_any_more_settles_at_that_of_the_decision(
    without: tuple[Address, ...],
) -> None:
    """Both prices are of one moment: one that is gone takes the other with it."""
    first = keyframe()
    first = replace(first, profile=replace(PROFILE, start_tokens=(WETH,)))
    told, silent = trader(first), trader(first)
    chain = SmallChain(first)
    opening = chain.mine(weth_pool(CHEAP, 2_450))
    for made in (told, silent):
        (decision,) = made.step(opening).decisions
        assert decision.cycle.start_token == WETH
    references = {
        token: pools for token, pools in PROFILE.reference_pools.items() if token not in without
    }
    fewer = replace(first.profile, reference_pools=references)
    silent.step(replace(silent.market.keyframe(), seq=9, profile=fewer))
    assert silent.valuation.price(WETH) is None
    assert (silent.valuation.native_price is None) is (WMATIC in without)
    after = chain.mine(weth_pool(CHEAP, 2_452))
    (fill,) = silent.step(after).fills
    assert (fill,) == tuple(told.step(after).fills)
    assert fill.status is FillStatus.FILLED
    assert fill.net_micro_usd > 0


def test_a_changed_pool_set_keeps_windows_of_prices_and_episodes() -> None:
    first = keyframe()
    made, chain = trader(first), SmallChain(first)
    for price in (2_500, 2_450, 2_450, 2_450):
        made.step(chain.mine(weth_pool(CHEAP, price), weth_pool(DEAR, 2_500)))
    prices = {token: made.valuation.price(token) for token in made.market.tokens}
    opened = made.episodes.by_id()
    assert opened
    # One mispriced block end must not become the only one there is.
    made.step(chain.mine(weth_pool(DEAR, 9_000), weth_pool(CHEAP, 2_450)))
    fewer = [pool for pool in made.market.pools.values() if pool.key != GAS]
    step = made.step(replace(made.market.keyframe(), seq=99, pools=tuple(fewer)))
    assert not step.voided
    assert {token: made.valuation.price(token) for token in prices} == prices
    assert opened.items() <= made.episodes.by_id().items()


# -- pools -------------------------------------------------------------------------------------


def test_a_decision_through_a_pool_that_is_no_longer_collected_is_void() -> None:
    first = keyframe()
    made, chain = trader(first), SmallChain(first)
    assert len(made.step(chain.mine(weth_pool(CHEAP, 2_450))).decisions) == 1
    fewer = tuple(pool for pool in made.market.pools.values() if pool.key != DEAR)
    step = made.step(replace(made.market.keyframe(), seq=9, pools=fewer))
    assert len(step.voided) == 1
    assert (made.ledger.value(S, "reorged"), made.ledger.value(S, "open")) == (1, 0)
    assert made.ledger.value(S, "open_capital_micro_usd") == 0
    assert not made.step(chain.mine()).fills
    assert not made.ledger.busy([CHEAP]).any()


def test_a_decision_through_other_pools_settles_all_the_same() -> None:
    first = keyframe()
    made, chain = trader(first), SmallChain(first)
    made.step(chain.mine(weth_pool(CHEAP, 2_450)))
    fewer = tuple(pool for pool in made.market.pools.values() if pool.key != GAS)
    assert not made.step(replace(made.market.keyframe(), seq=9, pools=fewer)).voided
    (fill,) = made.step(chain.mine()).fills
    assert fill.status is FillStatus.FILLED
    assert fill.gas_cost_micro_usd > 0


def test_a_reorg_behind_a_resync_leaves_the_books_before_it_alone() -> None:
    first = keyframe()
    made, chain = trader(first), SmallChain(first)
    made.step(chain.mine(weth_pool(CHEAP, 2_450)))
    assert made.step(chain.mine()).fills
    far = replace(keyframe(), seq=9, block=replace(chain.tip, number=900, hash=BlockHash("0xfar")))
    made.step(far)
    chain.tip = far.block
    made.step(chain.mine())
    step = made.step(chain.mine(parent=far.block, branch="b"))
    assert not step.undone
    assert len(step.dead_blocks) == 1
    assert made.ledger.value(S, "filled") == 1


# -- liquidity and gas ---------------------------------------------------------------------------


ROOT = 10.0**6 / (VALUES[USD] * VALUES[NATIVE]) ** 0.5
"""Liquidity of a V2 pool with a million USD on each side."""


def two_kinds(
    dearer: float, positions: Sequence[tuple[int, int, int]], *, value: float
) -> tuple[Keyframe, UniswapV3Pool]:
    """A V2 pool of so much value, and a V3 pool in which USD sell for so many times the price."""
    price = VALUES[USD] / VALUES[NATIVE]
    pair = RandomPools(VALUES, rng_of("dry")).pool(70, (USD, NATIVE), noise=0.0, value=value)
    ticked = v3(71, (USD, NATIVE), price * dearer, positions, fee=3000)
    references = {NATIVE: (ReferencePool(pair.key, USD, 1),)}
    first = RandomChain("dry").first
    profile = replace(first.profile, reference_pools=references)
    return replace(first, pools=(pair, ticked), profile=profile), ticked


def ticked_market() -> tuple[Keyframe, BlockUpdate, BlockUpdate]:
    """A V2 and a V3 pool with a spread between them, and a block in which somebody buys all that
    the V3 pool has to sell for USD. It says nothing of what it gives then."""
    first, ticked = two_kinds(1.02, [(-30, 30, int(ROOT * 3))], value=1e6)
    with pytest.raises(InsufficientLiquidity) as whole:
        ticked.swap(USD, 10**30)
    amount_in = whole.value.amount_in
    result = ticked.swap(USD, amount_in)
    assert result.pool.most_out(USD, 1) is None
    log = swap_log(USD, amount_in, result.amount_out, result.pool)
    chain = Chain(first)
    return first, chain.add("0x101"), chain.add("0x102", [log])


@pytest.mark.parametrize("funding", list(Funding))
def test_a_ticked_pool_that_runs_dry_costs_the_gas_limit(funding: Funding) -> None:
    first, quiet, dry = ticked_market()
    made = engine(first, [Scripted({"s": {"funding": funding}})])
    (decision,) = made.step(quiet).decisions
    assert (decision.cycle.hops[0].pool, decision.cycle.start_token) == (
        first.pools[1].key,
        USD,
    )
    (fill,) = made.step(dry).fills
    assert fill.status is FillStatus.REVERTED
    assert fill.gas_used == 2 * decision.gas_units
    assert fill.net_micro_usd == -fill.gas_cost_micro_usd < 0


def spread(**changes: object) -> tuple[Engine, Step, SmallChain]:
    first = keyframe()
    made, chain = trader(first, **changes), SmallChain(first)
    return made, made.step(chain.mine(weth_pool(CHEAP, 2_450))), chain


def test_more_gas_than_the_limit_reverts_and_costs_the_limit() -> None:
    made, opened, chain = spread(gas_units=60_000)
    assert opened.decisions
    (fill,) = made.step(chain.mine()).fills
    assert (fill.status, fill.gas_used) == (FillStatus.REVERTED, 120_000)


def test_the_executor_refuses_a_loss_whatever_the_minimum_says() -> None:
    made, _, chain = spread(min_amount_out=1)
    (fill,) = made.step(chain.mine(weth_pool(CHEAP, 2_500))).fills
    assert fill.status is FillStatus.REVERTED


OWN, FLASH = Funding.OWN, Funding.FLASH


@pytest.mark.parametrize(
    ("funding", "minimum", "status", "gas"),
    [
        (OWN, 1, FillStatus.FILLED, 145_410),
        (FLASH, 1, FillStatus.FILLED, 158_910),
        (OWN, 10**20, FillStatus.REVERTED, 38_210),  # moved: it does not start
        (FLASH, 10**20, FillStatus.REVERTED, 38_210),
    ],
)
def test_gas_of_every_way_to_end(
    funding: Funding, minimum: int, status: FillStatus, gas: int
) -> None:
    """In figures, so that no model is asked twice; test_gas has the sums."""
    made, _, chain = spread(funding=funding, min_amount_out=minimum, gas_units=10**6)
    (fill,) = made.step(chain.mine()).fills
    assert (fill.status, fill.gas_used) == (status, gas)


@pytest.mark.parametrize(("funding", "gas"), [(OWN, 111_710), (FLASH, 96_210)])
def test_a_pool_that_refuses_ends_the_run_early(funding: Funding, gas: int) -> None:
    made, opened, chain = spread(funding=funding)
    (decision,) = opened.decisions
    assert decision.cycle.start_token == USDC
    # The second pool has lost its reserves.
    empty = small_chain.v2(DEAR, WETH, 0, 0)
    (fill,) = made.step(chain.mine(empty)).fills
    assert fill.status is FillStatus.REVERTED
    assert fill.gas_used == gas < decision.gas_units
    assert fill.gas_price == 60 * GWEI


@pytest.mark.parametrize(
    ("funding", "size", "more", "status", "gas"),
    [
        (OWN, 1.0, 0, FillStatus.FILLED, 184_960),
        (FLASH, 1.0, 0, FillStatus.FILLED, 190_760),
        (OWN, 1.0, 1, FillStatus.REVERTED, 187_760),  # a grain less than the minimum
        (FLASH, 1.0, 1, FillStatus.REVERTED, 193_560),
        (OWN, 1.5, -(10**30), FillStatus.REVERTED, 187_760),  # less than went in
        (FLASH, 1.5, -(10**30), FillStatus.REVERTED, 182_760),  # so the first pool is not paid
    ],
)
def test_gas_of_a_run_that_only_the_run_shows_to_be_short(
    funding: Funding, size: float, more: int, status: FillStatus, gas: int
) -> None:
    """A V3 pool cannot tell before what a swap gives that crosses a tick behind which little is.

    more: than comes out has to. A tick is crossed and left: 6,100, 23,700 and 7,550.
    """
    positions = [(-2, 2, int(ROOT * 30)), (-300, 300, int(ROOT * 0.75))]
    first, ticked = two_kinds(1.05, positions, value=1e8)

    def change(made: Decision) -> Decision:
        least = max(1, made.amount_out + more)
        amount_in = int(made.amount_in * size)
        return made._replace(funding=funding, amount_in=amount_in, min_amount_out=least)

    chain = Chain(first)
    made = engine(first, [Scripted({"s": change})])
    (decision,) = made.step(chain.add("0x101")).decisions
    assert decision.cycle.pools[0] == ticked.key
    (fill,) = made.step(chain.add("0x102")).fills
    assert (fill.status, fill.gas_used) == (status, gas)
