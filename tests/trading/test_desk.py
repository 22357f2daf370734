"""What the desk puts into a single decision, and the rules that hold a single trade back.

Short and direct: every figure is written out, so that a sign the other way round shows here, and
not only in a long run against another implementation.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from dexarb.core.market import Keyframe, Market
from dexarb.core.pool import PoolKey
from dexarb.core.trade import Decision, Funding
from dexarb.search.result import Dust, any_gain
from dexarb.trading.decide.threshold import ThresholdStrategies
from dexarb.trading.engine import Engine
from dexarb.trading.models.competition import toss_ppm
from dexarb.trading.models.reality import REALITY
from dexarb.trading.models.value import ValueModel
from dexarb.trading.strategy import StrategySettings
from tests.oracles.simple import SimpleScanner
from tests.support.worlds.engines import engine
from tests.support.worlds.small_chain import (
    CHAIN_ID,
    CHEAP,
    DEAR,
    PROFILE,
    USDC,
    WETH,
    SmallChain,
    keyframe,
    settings,
    threshold_engine,
    v2,
    weth_pool,
)

USD = 10**6
THIRD = PoolKey("0x" + "a4" * 20)


def offered(*strategies: StrategySettings, first: Keyframe | None = None) -> list[Decision]:
    """What these send in block 101, when WETH falls to 2,450 USDC in one pool of two."""
    first = first or keyframe()
    made = threshold_engine(first, *strategies)
    return list(made.step(SmallChain(first).mine(weth_pool(CHEAP, 2_450))).decisions)


def sent(**changes: object) -> Decision:
    (decision,) = offered(settings("test", **changes))
    return decision


def reasons(made: Engine) -> dict[str, int]:
    return {skip.reason.value: skip.times for skip in made.skips.drain(hour=1)}


def refused(**changes: object) -> dict[str, int]:
    """The reason why nothing was sent."""
    first = keyframe()
    made = threshold_engine(first, settings("test", **changes))
    assert not made.step(SmallChain(first).mine(weth_pool(CHEAP, 2_450))).decisions
    return reasons(made)


# -- the decision ------------------------------------------------------------------------------


def test_the_deadline_is_behind_the_first_block_and_that_behind_the_decision() -> None:
    decision = sent(latency_blocks=2, deadline_blocks=3)
    assert (decision.block.number, decision.first_block, decision.deadline_block) == (101, 103, 106)
    decision = sent()
    assert (decision.first_block, decision.deadline_block) == (102, 102)


def test_a_flash_swap_binds_no_capital_and_own_funds_bind_the_input() -> None:
    own, flash = offered(settings("own"), settings("flash", funding=Funding.FLASH))
    assert own.cycle.start_token == flash.cycle.start_token == USDC
    assert own.capital_micro_usd == own.amount_in == 2_000 * USD
    assert (flash.capital_micro_usd, flash.amount_in) == (0, 2_000 * USD)


def test_what_capital_is_bound_is_in_the_books_until_it_settles() -> None:
    first, chain = keyframe(), SmallChain(keyframe())
    own, flash = settings("own"), settings("flash", funding=Funding.FLASH)
    made = threshold_engine(first, own, flash)
    made.step(chain.mine(weth_pool(CHEAP, 2_450)))
    bound = [made.ledger.value(each.hash, "open_capital_micro_usd") for each in (own, flash)]
    assert bound == [2_000 * USD, 0]
    made.step(chain.mine())
    assert not made.ledger.column("open_capital_micro_usd").any()


def test_the_minimum_on_chain_is_added_to_the_input() -> None:
    """USDC are micro-USD. What slippage leaves is less here, so it does not count."""
    decision = sent(max_slippage_ppm=1_000_000, min_profit_onchain_micro_usd=5 * USD)
    assert decision.min_amount_out == decision.amount_in + 5 * USD
    assert sent(max_slippage_ppm=1_000_000).min_amount_out == decision.amount_in


def test_the_minimum_on_chain_is_the_least_amount_that_is_worth_the_money() -> None:
    first = replace(keyframe(), profile=replace(PROFILE, start_tokens=(WETH,)))
    wanted = settings(max_slippage_ppm=1_000_000, min_profit_onchain_micro_usd=5 * USD)
    (decision,) = offered(wanted, first=first)
    assert decision.cycle.start_token == WETH
    demanded = decision.min_amount_out - decision.amount_in
    valuation = ValueModel().valuation(Market(first))
    worth = [valuation.micro_usd(WETH, amount) for amount in (demanded - 1, demanded)]
    assert worth == [5 * USD - 1, 5 * USD]


def test_slippage_lets_so_much_less_come_out_and_is_rounded_against_itself() -> None:
    decision = sent(max_slippage_ppm=1_000)
    assert decision.min_amount_out == -(-decision.amount_out * 999 // 1_000)
    assert decision.amount_in < decision.min_amount_out < decision.amount_out


def test_a_haircut_takes_its_share_of_the_profit_rounded_up() -> None:
    whole = sent(gas_cost_micro_usd=0)
    profit = whole.amount_out - whole.amount_in
    assert whole.expected_net_micro_usd == profit > 0
    assert profit % 20
    less = sent(gas_cost_micro_usd=0, slippage_haircut_ppm=150_000)
    assert less.expected_net_micro_usd == profit - (profit * 3 + 19) // 20


# -- the rules ---------------------------------------------------------------------------------


def test_a_spread_below_the_least_one_is_let_pass() -> None:
    """2500 / 2450 after 0.3 % twice is 1.0142949: 14,294 ppm."""
    assert sent(min_spread_ppm=14_294)
    assert refused(min_spread_ppm=14_295) == {"spread": 1}


def test_gas_is_paid_out_of_the_gas_balance() -> None:
    """Twice 145,410 gas at 100 gwei, with half a dollar for a WMATIC, is 14,541 micro-USD."""
    reserve = sent().gas_reserve_micro_usd
    assert reserve in (14_541, 14_542)  # the price is a float
    assert sent(gas_balance_micro_usd=reserve)
    assert refused(gas_balance_micro_usd=reserve - 1) == {"capital": 1}


def test_a_trade_is_never_more_than_the_capital() -> None:
    assert sent(capital_micro_usd=2_000 * USD)
    assert refused(capital_micro_usd=2_000 * USD - 1) == {"capital": 1}


def two_cycles(**changes: object) -> tuple[Engine, SmallChain, list[Decision]]:
    """A second pool is cheap as well: two cycles sell in the same dear one."""
    first = keyframe()
    first = replace(first, pools=(*first.pools, weth_pool(THIRD, 2_500)))
    made, chain = threshold_engine(first, settings("test", **changes)), SmallChain(first)
    opened = made.step(chain.mine(weth_pool(CHEAP, 2_450), weth_pool(THIRD, 2_455)))
    assert len(opened.opportunities) == 2
    return made, chain, list(opened.decisions)


def test_a_pool_is_used_once_by_the_better_cycle_and_again_when_that_has_closed() -> None:
    made, chain, (first,) = two_cycles(capital_micro_usd=10_000 * USD)
    assert first.cycle.pools == (CHEAP, DEAR)
    assert reasons(made) == {"pool_busy": 1}
    # Settled, and still open: its pools stay busy.
    settled = made.step(chain.mine())
    assert settled.fills
    assert not settled.decisions
    (second,) = made.step(chain.mine(weth_pool(CHEAP, 2_500))).decisions
    assert second.cycle.pools == (THIRD, DEAR)


@pytest.mark.parametrize(("short", "reason"), [(0, "pool_busy"), (1, "capital")])
def test_what_is_under_way_is_taken_off_the_gas_balance(short: int, reason: str) -> None:
    """Room for two reserves, or a micro-USD less: by what was sent in this block and before."""
    balance = 2 * sent().gas_reserve_micro_usd - short
    made, chain, (decision,) = two_cycles(
        gas_balance_micro_usd=balance, latency_blocks=2, capital_micro_usd=10_000 * USD
    )
    assert 2 * made.ledger.value(decision.strategy, "open_gas_micro_usd") == balance + short
    assert reasons(made) == {reason: 1}
    # Now the third pool is cheap beside both others.
    assert not made.step(chain.mine(weth_pool(CHEAP, 2_500))).decisions
    assert reasons(made) == {reason: 2}


# -- the coin ----------------------------------------------------------------------------------


def test_a_cycle_that_opens_again_is_another_toss_of_the_coin() -> None:
    """It opens in block 101, closes in 102 and opens in 103: what was decided first says nothing of
    the second time."""
    cycle = sent().cycle
    tosses = [toss_ppm(CHAIN_ID, cycle.id, number) for number in (101, 103)]
    assert tosses[0] != tosses[1]
    first, chain = keyframe(), SmallChain(keyframe())
    made = threshold_engine(first, settings(competition_rate_ppm=max(tosses)))
    lost = []
    for price in (2_450, 2_500, 2_450):
        lost += [
            each.competition_lost
            for each in made.step(chain.mine(weth_pool(CHEAP, price))).decisions
        ]
    assert lost == [toss < max(tosses) for toss in tosses]


def test_a_cycle_open_at_the_keyframe_has_opened_there_and_was_seen_by_nobody() -> None:
    """Its coin is that of the keyframe's block; `seen` counts what opens while one takes part."""
    first = keyframe(cheap=2_450)
    cycle = sent().cycle
    tosses = [toss_ppm(CHAIN_ID, cycle.id, number) for number in (100, 101)]
    for rate in (tosses[0], tosses[0] + 1):
        strategy = settings(competition_rate_ppm=rate)
        made, chain = threshold_engine(first, strategy), SmallChain(first)
        assert made.episodes.by_id() == {cycle.id: 100}
        (decision,) = made.step(chain.mine()).decisions
        assert decision.competition_lost is (tosses[0] < rate)
        assert made.ledger.value(strategy.hash, "seen") == 0
        made.step(chain.mine(weth_pool(CHEAP, 2_500)))
        made.step(chain.mine(weth_pool(CHEAP, 2_450)))
        assert made.ledger.value(strategy.hash, "seen") == 1
        assert made.episodes.by_id() == {cycle.id: 103}
    assert tosses[0] != tosses[1]


# -- sizes -------------------------------------------------------------------------------------


def sold_by_the_piece() -> Keyframe:
    """A token without decimals, 2,500 USD each, with which cycles begin."""
    pools = tuple(v2(key, WETH, 10**6, 2_500 * 10**12) for key in (CHEAP, DEAR))
    profile = replace(PROFILE, start_tokens=(WETH,))
    return replace(keyframe(), profile=profile, pools=(*pools, keyframe().pools[2]))


@pytest.mark.parametrize(
    ("wanted", "is_offered", "said"),
    [(1, True, {}), (10**12, True, {"profit": 1}), (10**12, False, {"profit": 1})],
)
def test_a_size_that_is_worth_one_unit_buys_it_and_a_millionth_less_does_not(
    wanted: int, is_offered: bool, said: dict[str, int]
) -> None:
    """One sells in one pool for what buys two in the other. Taken, refused, and where the search
    has not even offered it."""
    first = sold_by_the_piece()
    unit = ValueModel().valuation(Market(first)).cost_micro_usd(WETH, 1)
    assert unit in (2_500 * USD, 2_500 * USD + 1)  # the price is a float
    for size, reason in ((unit - 1, {"size": 1}), (unit, said)):
        strategy = settings(max_trade_size_micro_usd=size, min_profit_micro_usd=wanted)

        def scanner(market: Market, _dust: Dust) -> SimpleScanner:
            return SimpleScanner(
                market,
                start_tokens=(WETH,),
                gas_units=REALITY.gas.units,
                min_gross=any_gain if is_offered else lambda _token: 10**9,
            )

        made = engine(first, [ThresholdStrategies([strategy], REALITY)], scanner=scanner)
        step = made.step(SmallChain(first).mine(v2(CHEAP, WETH, 10**6, 1_000 * 10**12)))
        assert len(step.opportunities) == is_offered
        amounts = [(each.amount_in, each.amount_out) for each in step.decisions]
        assert amounts == ([] if reason else [(1, 2)])
        assert reasons(made) == reason
