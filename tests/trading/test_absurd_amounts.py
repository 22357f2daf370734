"""Amounts and prices that no chain can mean: they must neither stop the trader nor wrap round."""

from __future__ import annotations

from dataclasses import replace

from msgspec import structs

from dexarb.core.pool import PoolKey
from dexarb.core.profile import ReferencePool
from dexarb.core.trade import FillStatus, Position
from dexarb.core.units import PPM
from dexarb.trading.decide.quotes import QUOTES_KEPT
from dexarb.trading.decide.threshold import ThresholdStrategies
from dexarb.trading.models.order import BlockPlaces, block_end
from dexarb.trading.models.value import MOST_MICRO_USD
from tests.support.worlds.small_chain import (
    CHEAP,
    DEAR,
    PROFILE,
    USDC,
    WETH,
    SmallChain,
    keyframe,
    play,
    settings,
    threshold_engine,
    v2,
    weth_pool,
)

ABSURD = v2(CHEAP, WETH, 1_000 * 10**18, 5 * 10**33)
"""Pays five billion billion billion USDC for a WETH: somebody has minted them."""


def test_what_is_worth_more_than_all_money_has_no_price() -> None:
    strategy = settings(max_trade_size_micro_usd=10**15, capital_micro_usd=10**15)
    made = threshold_engine(keyframe(), strategy)
    chain = SmallChain(keyframe())
    step = made.step(chain.mine(ABSURD))
    assert step.opportunities
    assert step.opportunities[0].profit > 2**63
    assert not step.decisions
    (skip,) = made.skips.drain(hour=1)
    assert (skip.reason.value, skip.times) == ("no_price", 1)
    # When it is over, trading goes on.
    assert made.step(chain.mine(weth_pool(CHEAP, 2_450))).decisions


def test_a_result_beyond_all_money_is_booked_as_the_most_there_can_be() -> None:
    """The decision was sound; what it meets is not."""
    strategy = settings(position=Position.BOTTOM)
    made = threshold_engine(keyframe(), strategy)
    chain = SmallChain(keyframe())
    opened, met = play(made, [chain.mine(weth_pool(CHEAP, 2_550)), chain.mine(ABSURD)])
    assert opened.decisions
    (fill,) = met.fills
    assert fill.status is FillStatus.FILLED
    assert fill.profit > 2**63
    assert fill.net_micro_usd == MOST_MICRO_USD == fill.band_micro_usd[1]
    assert made.ledger.value(strategy.hash, "profit_micro_usd") == MOST_MICRO_USD


def test_quotes_of_a_cycle_that_stays_open_do_not_pile_up() -> None:
    """Its pools rest while the price of its start token moves, and with it every size."""
    sizes = [settings(f"s{n}", max_trade_size_micro_usd=10**8 + n) for n in range(900)]
    first = keyframe(cheap=2_450)
    prices = PoolKey("0x" + "a4" * 20)
    profile = replace(
        PROFILE,
        start_tokens=(WETH,),
        reference_pools={**PROFILE.reference_pools, WETH: (ReferencePool(prices, USDC, 1),)},
    )
    pools = (*first.pools, weth_pool(prices, 2_500))
    first = replace(first, profile=profile, pools=pools)
    made = threshold_engine(first, *sizes)
    chain = SmallChain(first)
    (strategies,) = made._strategies
    assert isinstance(strategies, ThresholdStrategies)
    most = []
    for number in range(40):
        made.step(chain.mine(weth_pool(prices, 2_500 + number)))
        quotes = strategies._judge.desk._quotes._known.values()
        most.append(max(len(each.by_size) for each in quotes))
    assert max(most) > 10 * len(sizes)  # they are kept while it is worth it
    assert max(most) <= QUOTES_KEPT + len(sizes)


def test_a_place_counts_the_transactions_of_the_block_also_where_some_are_missing() -> None:
    made = threshold_engine(keyframe(), settings())
    chain = SmallChain(keyframe())
    update = chain.mine(weth_pool(CHEAP, 2_450), weth_pool(DEAR, 2_501))
    first, second = update.transactions
    system = structs.replace(first, index=3, effective_gas_price=0)
    gappy = replace(update, transactions=(system, structs.replace(second, index=7)))
    made.step(gappy)
    assert block_end(gappy) == 8
    places = BlockPlaces(made.market, gappy, made.valuation)
    assert places.of(Position.BOTTOM, 0, lambda _: 0) == 8
    # Nobody comes before the chain's own, whatever the bid.
    assert places.of(Position.FEE, 10**6 * PPM, lambda _: 0) == 4
