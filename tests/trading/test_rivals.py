"""Who comes before us in a block, and what that costs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dexarb.amm.uniswap_v2 import UniswapV2Pool
from dexarb.core.block import BlockUpdate, Transaction
from dexarb.core.market import Market
from dexarb.core.pool import Pool
from dexarb.core.trade import FillStatus, Position
from dexarb.trading.rivals import arbitrages
from dexarb.trading.strategy import StrategySettings
from support.small_chain import (
    CHEAP,
    DEAR,
    GWEI,
    USDC,
    WETH,
    SmallChain,
    engine,
    keyframe,
    settings,
    sync,
    transaction,
    weth_pool,
)

SIZE = 8_500 * 10**6


def arbitrage(cheap: Pool, dear: Pool) -> tuple[Pool, Pool]:
    """Both pools after somebody has bought WETH in one and sold it in the other."""
    bought = cheap.swap(USDC, SIZE)
    return bought.pool, dear.swap(WETH, bought.amount_out).pool


def in_one_transaction(update: BlockUpdate, *pools: Pool, priority_fee: int) -> BlockUpdate:
    logs = []
    for number, pool in enumerate(pools):
        assert isinstance(pool, UniswapV2Pool)
        logs.append(replace(sync(pool), log_index=number))
    paid = replace(transaction(0), effective_gas_price=30 * GWEI + priority_fee)
    return replace(update, logs=tuple(logs), transactions=(paid,))


def play(
    strategy: StrategySettings, priority_fee: int, *, rival: bool
) -> tuple[FillStatus, int, tuple[int, int]]:
    """We decide on a spread; in the next block somebody takes it, or a plain trader trades."""
    first = keyframe()
    made, chain = engine(first, strategy), SmallChain(first)
    opened = made.step(chain.mine(weth_pool(CHEAP, 2_450)))
    assert len(opened.decisions) == 1
    pools = made.market.pools
    after = arbitrage(pools[CHEAP], pools[DEAR]) if rival else (weth_pool(CHEAP, 2_470),)
    update = in_one_transaction(chain.mine(), *after, priority_fee=priority_fee)
    fill = made.step(update).fills[0]
    return fill.status, fill.place, fill.band_micro_usd


def test_an_arbitrage_is_known_by_what_it_leaves_over() -> None:
    first = keyframe(cheap=2_450)
    market, chain = Market(first), SmallChain(first)
    after = arbitrage(market.pools[CHEAP], market.pools[DEAR])
    market.apply(in_one_transaction(chain.mine(), *after, priority_fee=0))
    (found,) = arbitrages(market)
    assert found.gains.keys() == {USDC}
    bought = first.pools[0].swap(USDC, SIZE)
    assert found.gains[USDC] == first.pools[1].swap(WETH, bought.amount_out).amount_out - SIZE


def test_a_losing_round_trip_and_a_burn_are_no_arbitrage() -> None:
    first = keyframe()
    market, chain = Market(first), SmallChain(first)
    after = arbitrage(market.pools[CHEAP], market.pools[DEAR])
    market.apply(in_one_transaction(chain.mine(), *after, priority_fee=0))
    assert arbitrages(market) == ()
    smaller = (weth_pool(CHEAP, 2_500, weth=900), weth_pool(DEAR, 2_500, weth=900))
    market.apply(in_one_transaction(chain.mine(), *smaller, priority_fee=0))
    assert arbitrages(market) == ()


@pytest.mark.parametrize(
    ("position", "ours", "theirs", "place"),
    [
        (Position.TOP, 1, 500, 0),
        (Position.BOTTOM, 500, 1, 1),
        (Position.FEE, 40, 30, 0),
        (Position.FEE, 30, 30, 1),
        (Position.FEE, 30, 31, 1),
        (Position.CONTESTED, 40, 30, 0),
        (Position.CONTESTED, 30, 31, 1),
    ],
)
def test_place_beside_a_plain_trader(
    position: Position, ours: int, theirs: int, place: int
) -> None:
    strategy = settings(position=position, priority_fee=ours * GWEI, max_gas_price=1_000 * GWEI)
    assert play(strategy, theirs * GWEI, rival=False)[1] == place


@pytest.mark.parametrize(
    ("position", "status"),
    [
        (Position.FEE, FillStatus.FILLED),
        (Position.CONTESTED, FillStatus.REVERTED),
        (Position.TOP, FillStatus.FILLED),
    ],
)
def test_a_rival_who_paid_less_still_comes_first_when_contested(
    position: Position, status: FillStatus
) -> None:
    strategy = settings(position=position, priority_fee=60 * GWEI, max_gas_price=1_000 * GWEI)
    found, _, (low, high) = play(strategy, 20 * GWEI, rival=True)
    assert found is status
    assert low < 0 < high  # whoever is first in this block wins, whoever is second reverts


def test_only_a_bid_above_his_gain_comes_before_a_rival() -> None:
    """He gains 60 USD; at 0.5 USD a MATIC that is what half a million gwei a gas come to."""
    for gwei, status in ((10_000, FillStatus.REVERTED), (10**7, FillStatus.FILLED)):
        strategy = settings(
            priority_fee=gwei * GWEI,
            max_gas_price=10**8 * GWEI,
            min_profit_micro_usd=-(10**12),
        )
        assert play(strategy, 20 * GWEI, rival=True)[0] is status


def test_without_receipts_the_end_of_the_block_counts() -> None:
    first = keyframe()
    made, chain = engine(first, settings(priority_fee=60 * GWEI)), SmallChain(first)
    made.step(chain.mine(weth_pool(CHEAP, 2_450)))
    update = chain.mine(weth_pool(CHEAP, 2_470))
    fill = made.step(replace(update, transactions=(), has_receipts=False)).fills[0]
    assert fill.place == 1


def test_failed_transactions_count_for_the_order_only() -> None:
    first = keyframe()
    made, chain = engine(first, settings(priority_fee=25 * GWEI)), SmallChain(first)
    made.step(chain.mine(weth_pool(CHEAP, 2_450)))
    update = chain.mine()
    failed: Transaction = replace(transaction(0), succeeded=False)
    fill = made.step(replace(update, transactions=(failed,))).fills[0]
    assert (fill.place, fill.status) == (1, FillStatus.FILLED)
