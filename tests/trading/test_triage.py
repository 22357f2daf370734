"""Triage changes what the search does, and nothing that is decided, filled or counted."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from hypothesis import given, settings
from hypothesis import strategies as st

from dexarb.core.token import Address
from dexarb.core.trade import SkipCount
from dexarb.trading.decide.threshold import ThresholdStrategies
from dexarb.trading.decide.triage import NOBODY
from dexarb.trading.engine import Engine
from dexarb.trading.models.reality import REALITY
from dexarb.trading.strategy import StrategySettings
from tests.support.worlds import small_chain
from tests.support.worlds.engines import engine, thorough
from tests.support.worlds.pools import rng_of
from tests.support.worlds.random_trading import keyframe, random_block, settings_drawn
from tests.support.worlds.small_chain import USDC


def with_triage(seed: int, drawn: list[StrategySettings]) -> Engine:
    made: list[Engine] = []
    strategies = ThresholdStrategies(drawn, REALITY)

    def min_gross(token: Address) -> int:
        if not made:
            return NOBODY
        return strategies.least_gross(token, made[0].market, made[0].valuation)

    made.append(
        engine(keyframe(seed), [strategies], scanner=partial(thorough, min_gross=min_gross))
    )
    return made[0]


def counted(made: Engine) -> dict[tuple[str, str], SkipCount]:
    return {(each.strategy, each.reason.value): each for each in made.skips.drain(hour=1)}


@settings(max_examples=30)
@given(
    seed=st.integers(0, 10**6),
    drawn=st.lists(settings_drawn, min_size=1, max_size=6, unique_by=lambda each: each.hash),
)
def test_triage_changes_no_decision_no_fill_and_no_count(
    seed: int, drawn: list[StrategySettings]
) -> None:
    rng = rng_of("history", seed)
    some = with_triage(seed, drawn)
    everything = engine(keyframe(seed), [ThresholdStrategies(drawn, REALITY)], scanner=thorough)
    for _ in range(8):
        update = random_block(some.market, rng, moved=int(rng.integers(0, 5)))
        one, other = some.step(update), everything.step(update)
        assert one.decisions == other.decisions
        assert one.fills == other.fills
        assert some.scan.open_cycles == everything.scan.open_cycles
        assert len(one.opportunities) <= len(other.opportunities)
    for name in some.ledger.rows:
        assert some.ledger.value(name, "seen") == everything.ledger.value(name, "seen")
    left, right = counted(some), counted(everything)
    assert left.keys() == right.keys()
    for key, skip in left.items():
        assert (skip.times, skip.needed) == (right[key].times, right[key].needed)
        if skip.best is not None:
            best = right[key].best
            assert best is not None
            # Exact, or without it what it could be at most: never less, and never enough.
            assert best <= skip.best
            assert skip.needed is not None
            assert skip.best < skip.needed


def least(*strategies: StrategySettings, base_fee: int | None = None) -> int:
    made = small_chain.threshold_engine(small_chain.keyframe(), *strategies)
    if base_fee is not None:
        made.market.block = replace(made.market.block, base_fee_per_gas=base_fee)
    columns = ThresholdStrategies(strategies, REALITY)
    return columns.least_gross(USDC, made.market, made.valuation)


def test_the_least_gross_is_the_least_of_all_minima_and_the_gas() -> None:
    # 60 gwei at 0.50 USD: two V2 hops cost a few thousandths of a dollar.
    eager = small_chain.settings(min_profit_micro_usd=2_000_000)
    strict = small_chain.settings(min_profit_micro_usd=50_000_000)
    alone = least(strict)
    assert 50_000_000 < alone < 50_100_000
    assert 2_000_000 < least(strict, eager) < 2_100_000
    assert least(strict, eager, base_fee=10**6 * 10**9) > 10 * least(strict, eager)


def test_a_negative_minimum_wants_everything() -> None:
    assert least(small_chain.settings(min_profit_micro_usd=-1_000_000)) == 1


def test_a_share_of_the_profit_has_to_be_earned_as_well() -> None:
    half = small_chain.settings(min_profit_micro_usd=10_000_000, bid_ppm=500_000)
    assert least(half) > 20_000_000
    assert least(small_chain.settings(bid_ppm=1_000_000)) == NOBODY


def test_nobody_wants_nothing() -> None:
    made = small_chain.threshold_engine(small_chain.keyframe())
    nobody = ThresholdStrategies((), REALITY)
    assert nobody.least_gross(USDC, made.market, made.valuation) == NOBODY


def test_what_the_triage_drops_is_still_a_near_miss() -> None:
    strict = small_chain.settings(min_profit_micro_usd=10**9)
    first = small_chain.keyframe()
    scanner = partial(thorough, min_gross=lambda _token: NOBODY)
    made = engine(first, [ThresholdStrategies((strict,), REALITY)], scanner=scanner)
    chain = small_chain.SmallChain(first)
    step = made.step(chain.mine(small_chain.weth_pool(small_chain.CHEAP, 2_450)))
    assert not step.opportunities
    (skip,) = made.skips.drain(hour=1)
    assert (skip.reason.value, skip.times, skip.needed) == ("profit", 1, 10**9)
    assert skip.best is not None
    # 2 % between two pools of 2.5 million dollars each, 0.6 % of fees.
    assert 10_000_000 < skip.best < 100_000_000
