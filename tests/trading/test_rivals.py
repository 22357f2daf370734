"""Who comes before us in a block, and what that costs."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from dexarb.amm.uniswap_v2 import UniswapV2Pool
from dexarb.core.block import BlockUpdate
from dexarb.core.market import Market
from dexarb.core.pool import Pool
from dexarb.core.token import Address
from dexarb.core.trade import Fill, FillStatus, Position
from dexarb.core.traffic import Change, Flow, SwapCount, Traffic
from dexarb.trading.models.rivals import arbitrages, rivals
from dexarb.trading.strategy import StrategySettings
from tests.support.scripted import Scripted
from tests.support.worlds.blocks import GWEI, TRADER, transaction
from tests.support.worlds.engines import engine, plain
from tests.support.worlds.events import state_log
from tests.support.worlds.small_chain import (
    CHEAP,
    DEAR,
    PROFILE,
    USDC,
    WETH,
    WMATIC,
    SmallChain,
    keyframe,
    settings,
    threshold_engine,
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
        logs.append(structs.replace(state_log(pool), log_index=number))
    paid = transaction(0, effective_gas_price=30 * GWEI + priority_fee)
    return replace(update, logs=tuple(logs), transactions=(paid,))


def play(
    strategy: StrategySettings, priority_fee: int, *, rival: bool
) -> tuple[FillStatus, int, tuple[int, int]]:
    """We decide on a spread; in the next block somebody takes it, or a plain trader trades."""
    first = keyframe()
    made, chain = threshold_engine(first, strategy), SmallChain(first)
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


@pytest.mark.parametrize(
    ("position", "ordering", "has_receipts", "place", "known"),
    [
        (Position.FEE, "fee", False, 1, False),
        (Position.CONTESTED, "fee", False, 1, False),
        (Position.FEE, "unknown", True, 1, False),
        (Position.CONTESTED, "unknown", True, 1, False),
        (Position.TOP, "unknown", False, 0, True),
        (Position.BOTTOM, "unknown", False, 1, True),
        (Position.FEE, "fee", True, 0, True),
    ],
)
def test_a_place_is_known_only_by_fees_of_a_chain_that_orders_by_them(
    position: Position, ordering: str, has_receipts: bool, place: int, known: bool
) -> None:
    profile = replace(PROFILE, ordering=ordering)  # type: ignore[arg-type]
    first = replace(keyframe(), profile=profile)
    made, chain = (
        threshold_engine(first, settings(priority_fee=60 * GWEI, position=position)),
        SmallChain(first),
    )
    made.step(chain.mine(weth_pool(CHEAP, 2_450)))
    update = chain.mine(weth_pool(CHEAP, 2_470))
    if not has_receipts:
        update = replace(update, transactions=(), has_receipts=False)
    fill = made.step(update).fills[0]
    assert (fill.place, fill.place_known) == (place, known)


def test_failed_transactions_count_for_the_order_only() -> None:
    first = keyframe()
    made, chain = threshold_engine(first, settings(priority_fee=25 * GWEI)), SmallChain(first)
    made.step(chain.mine(weth_pool(CHEAP, 2_450)))
    update = chain.mine()
    failed = transaction(0, succeeded=False)
    fill = made.step(replace(update, transactions=(failed,))).fills[0]
    assert (fill.place, fill.status) == (1, FillStatus.FILLED)


# -- system transactions -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("prices", "ours", "place"),
    [
        # Effective gas prices in gwei, base fee 30; what comes before our bid.
        ([0, 60, 35, 0], 10, 2),
        ([0, 0, 60, 35], 90, 2),  # nobody overtakes those that the block begins with
        ([60, 0, 35], 30, 1),  # one in the middle is no bid
        ([60, 35, 0], 0, 2),  # nor is one at the end
        ([29, 35], 30, 1),  # below the base fee: the chain's own
        ([60, 30, 30], 0, 3),  # exactly the base fee: a tie with no bid
        ([60, 30, 30], 1, 1),
    ],
)
def test_system_transactions_keep_their_place_and_count_as_no_bid(
    prices: list[int], ours: int, place: int
) -> None:
    strategy = settings(priority_fee=ours * GWEI, max_gas_price=1_000 * GWEI, position=Position.FEE)
    first = keyframe()
    made, chain = threshold_engine(first, strategy), SmallChain(first)
    made.step(chain.mine(weth_pool(CHEAP, 2_450)))
    paid = tuple(
        transaction(index, effective_gas_price=price * GWEI) for index, price in enumerate(prices)
    )
    assert made.step(replace(chain.mine(), transactions=paid)).fills[0].place == place


# -- what is taken for an arbitrage --------------------------------------------------------------


def market_after(*pools: Pool) -> Market:
    """A dear and a cheap pool, after one transaction that left these behind it."""
    first = keyframe(cheap=2_450)
    market, chain = Market(first), SmallChain(first)
    market.apply(in_one_transaction(chain.mine(), *pools, priority_fee=0))
    return market


def test_a_gain_that_is_mixed_with_an_order_cannot_be_valued_and_comes_first() -> None:
    first = keyframe(cheap=2_450)
    pools = {pool.key: pool for pool in first.pools}
    cheap, dear = arbitrage(pools[CHEAP], pools[DEAR])
    sold = dear.swap(WETH, 10**18).pool
    (found,) = arbitrages(market_after(cheap, dear, sold))
    assert not found.gains
    assert found.gain_micro_usd(threshold_engine(first).valuation) is None


def test_adding_liquidity_beside_it_hides_no_arbitrage() -> None:
    first = keyframe(cheap=2_450)
    pools = {pool.key: pool for pool in first.pools}
    cheap, dear = arbitrage(pools[CHEAP], pools[DEAR])
    assert isinstance(dear, UniswapV2Pool)
    more = replace(dear, reserve0=dear.reserve0 * 2, reserve1=dear.reserve1 * 2)
    (found,) = arbitrages(market_after(cheap, dear, more))
    (plain,) = arbitrages(market_after(cheap, dear))
    assert found.gains == plain.gains


def test_a_split_order_is_no_arbitrage() -> None:
    first = keyframe(cheap=2_450)
    pools = {pool.key: pool for pool in first.pools}
    assert not arbitrages(
        market_after(pools[CHEAP].swap(USDC, SIZE).pool, pools[DEAR].swap(USDC, SIZE).pool)
    )


def test_one_leg_alone_is_no_arbitrage_we_could_know_of() -> None:
    first = keyframe(cheap=2_450)
    pools = {pool.key: pool for pool in first.pools}
    assert not arbitrages(market_after(pools[CHEAP].swap(USDC, SIZE).pool))


# -- what flows tell -----------------------------------------------------------------------------

ELSEWHERE = Address("0x" + "e1" * 20)
OTHER = Address("0x" + "07" * 20)


def with_flow(
    update: BlockUpdate, gained: dict[Address, int], *, index: int = 0, is_closed: bool = True
) -> BlockUpdate:
    """The transaction also passed a pool that is not collected, and this is what it brought."""
    swaps = SwapCount(Address(CHEAP), "v2", 1), SwapCount(ELSEWHERE, "curve", 1)
    told = tuple(Change(token, str(amount)) for token, amount in gained.items())
    flow = Flow(index, (0, 1), is_closed, (), told)
    return replace(update, traffic=Traffic(swaps, (flow,)))


def half(gained: dict[Address, int], **changes: bool) -> tuple[Market, BlockUpdate]:
    """One leg in our cheap pool, the other one elsewhere."""
    first = keyframe(cheap=2_450)
    market, chain = Market(first), SmallChain(first)
    bought = market.pools[CHEAP].swap(USDC, SIZE).pool
    update = in_one_transaction(chain.mine(), bought, priority_fee=0)
    update = with_flow(update, gained, **changes)
    market.apply(update)
    return market, update


def test_an_arbitrage_that_closes_elsewhere_is_a_rival_by_its_flow() -> None:
    market, update = half({USDC: 60 * 10**6})
    assert arbitrages(market) == ()
    (found,) = rivals(market, update)
    assert (found.transaction_index, found.gains) == (0, {USDC: 60 * 10**6})
    assert [swap.pool.key for swap in found.swaps] == [CHEAP]


def test_a_trade_a_purchase_with_coins_and_what_is_not_known_are_none() -> None:
    assert rivals(*half({USDC: -SIZE, WETH: 10**18})) == ()
    assert rivals(*half({WETH: 10**18}, is_closed=False)) == ()
    market, update = half({USDC: 1})
    assert rivals(market, replace(update, traffic=None)) == ()


def test_who_did_not_move_our_pools_is_no_rival() -> None:
    market, update = half({USDC: 1})
    assert rivals(market, with_flow(update, {USDC: 1}, index=1)) == ()


def test_what_our_pools_tell_comes_before_what_a_flow_tells() -> None:
    first = keyframe(cheap=2_450)
    market, chain = Market(first), SmallChain(first)
    after = arbitrage(market.pools[CHEAP], market.pools[DEAR])
    update = with_flow(in_one_transaction(chain.mine(), *after, priority_fee=0), {USDC: 5})
    market.apply(update)
    assert rivals(market, update) == arbitrages(market) != ()


def test_we_are_no_rivals_of_ours() -> None:
    """Neither by the operator nor by the executor, neither by our pools nor by the flow."""
    first = keyframe(cheap=2_450)
    executor = Address("0x" + "e0" * 20)
    for own, is_ours in ((OTHER, False), (TRADER, True), (executor, True)):
        market = Market(replace(first, profile=replace(PROFILE, own=(own,))))
        after = arbitrage(market.pools[CHEAP], market.pools[DEAR])
        for pools in (after, after[:1]):
            chain = SmallChain(first)
            update = in_one_transaction(chain.mine(), *pools, priority_fee=0)
            called = structs.replace(update.transactions[0], to=executor)
            update = with_flow(replace(update, transactions=(called,)), {USDC: 5})
            again = Market(replace(first, profile=replace(PROFILE, own=(own,))))
            again.apply(update)
            assert (rivals(again, update) == ()) is is_ours


@pytest.mark.parametrize(
    ("has_flow", "gwei", "place"), [(False, 60, 0), (True, 60, 1), (True, 10**7, 0)]
)
def test_such_a_rival_comes_first_when_contested(*, has_flow: bool, gwei: int, place: int) -> None:
    """He pays 20 gwei and gains 60 USD."""
    strategy = settings(
        priority_fee=gwei * GWEI, max_gas_price=10**8 * GWEI, min_profit_micro_usd=-(10**12)
    )
    first = keyframe()
    made, chain = threshold_engine(first, strategy), SmallChain(first)
    made.step(chain.mine(weth_pool(CHEAP, 2_450)))
    bought = made.market.pools[CHEAP].swap(USDC, SIZE).pool
    update = in_one_transaction(chain.mine(), bought, priority_fee=20 * GWEI)
    update = with_flow(update, {USDC: 60 * 10**6}) if has_flow else update
    assert made.step(update).fills[0].place == place


# -- no bid beats frozen rivals ------------------------------------------------------------------


BIDS = st.one_of(
    st.integers(0, 10**12), st.integers(0, 62).map(lambda power: 2**power), st.integers(0, 2**63)
)
"""Wei per gas; a configuration knows no higher gas price. The gain is worth some 10**15."""


class Frozen:
    """A spread that a rival takes at its best size, in the block in which we are included."""

    def __init__(self) -> None:
        self.first = keyframe()
        self.chain = SmallChain(self.first)
        self.opened = self.chain.mine(weth_pool(CHEAP, 2_450))
        found = threshold_engine(self.first).step(self.opened).opportunities
        (self.best,) = (each for each in found if each.cycle.start_token == USDC)
        assert self.best.cycle.pools == (CHEAP, DEAR)
        market = Market(self.first)
        market.apply(self.opened)
        bought = market.pools[CHEAP].swap(USDC, self.best.amount_in)
        sold = market.pools[DEAR].swap(WETH, bought.amount_out)
        self.taken = in_one_transaction(
            self.chain.mine(), bought.pool, sold.pool, priority_fee=10 * GWEI
        )

    def fill(self, bid: int, **changes: object) -> Fill:
        bidding = {"priority_fee": bid, "max_base_fee": 10**30, "position": Position.CONTESTED}
        made = engine(self.first, [Scripted({"s": bidding | changes})], scanner=plain)
        made.step(self.opened)
        (fill,) = made.step(self.taken).fills
        return fill


FROZEN = Frozen()


@given(BIDS, st.sampled_from([None, 1, 10**5, 10**12]), st.sampled_from([10**5, 10**7]))
def test_a_sweep_over_bids_never_beats_a_frozen_rival(
    bid: int, fixed: int | None, gas_units: int
) -> None:
    """Neither by the bid, nor by a fixed cost that hides it, nor by what gas it claims to use."""
    fill = FROZEN.fill(bid, fixed_gas_cost_micro_usd=fixed, gas_units=gas_units)
    assert fill.net_micro_usd <= 0
    assert (fill.place == 0) == (fill.status is FillStatus.FILLED)


def test_the_bid_that_comes_first_is_the_first_above_his_gain_by_one_wei() -> None:
    gain = FROZEN.best.profit
    low, high = 0, 2**63
    while high - low > 1:
        middle = (low + high) // 2
        if FROZEN.fill(middle).place == 0:
            high = middle
        else:
            low = middle
    first, behind = FROZEN.fill(high), FROZEN.fill(low)
    price = threshold_engine(FROZEN.first).valuation.price(WMATIC)
    assert price is not None
    assert (first.place, behind.place) == (0, 1)
    # USDC is micro-USD here.
    assert first.gas_used * high * price > gain << 96 >= first.gas_used * low * price
    assert first.net_micro_usd < 0


def test_who_pays_exactly_his_gain_comes_behind_him() -> None:
    gain = FROZEN.best.profit  # in micro-USD
    for paid, place in ((gain, 1), (gain + 1, 0)):
        fill = FROZEN.fill(2**63, fixed_gas_cost_micro_usd=paid)
        assert (fill.place, fill.gas_cost_micro_usd) == (place, paid)


def test_what_has_no_price_to_us_comes_before_any_bid() -> None:
    """The rival gains in a token without reference pools."""
    first = replace(
        FROZEN.first,
        profile=replace(PROFILE, reference_pools={WMATIC: PROFILE.reference_pools[WMATIC]}),
    )
    market = Market(first)
    market.apply(FROZEN.opened)
    bought = market.pools[CHEAP].swap(USDC, FROZEN.best.amount_in)
    (paid_back, sold) = (
        market.pools[DEAR].swap_exact_out(USDC, FROZEN.best.amount_in),
        bought.amount_out,
    )
    assert paid_back.amount_in < sold  # he keeps WETH
    update = in_one_transaction(FROZEN.taken, bought.pool, paid_back.pool, priority_fee=10 * GWEI)
    made = engine(
        first,
        [
            Scripted(
                {
                    "s": {
                        "priority_fee": 2**63,
                        "max_base_fee": 10**30,
                        "position": Position.CONTESTED,
                    }
                }
            )
        ],
        scanner=plain,
    )
    made.step(FROZEN.opened)
    (fill,) = made.step(update).fills
    assert fill.place == 1
