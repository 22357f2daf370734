"""Bids by evidence: just above what took a cycle lately, within their bounds."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dexarb.config.plugins import StrategyTypes
from dexarb.core.pool import PoolKey
from dexarb.core.token import Address
from dexarb.core.trade import Opportunity
from dexarb.trading.decide.custom import Books, MarketView, Rival
from dexarb.trading.decide.outbid import ANSWER_BLOCKS, Outbid
from dexarb.trading.decide.own_strategies import OwnStrategies
from dexarb.trading.models.reality import REALITY
from tests.oracles.outbidding import Seen, bid
from tests.support.worlds.blocks import GWEI
from tests.support.worlds.small_chain import (
    CHEAP,
    SmallChain,
    keyframe,
    threshold_engine,
    weth_pool,
)
from tests.support.worlds.small_chain import settings as small_settings
from tests.trading.test_rivals import arbitrage, in_one_transaction

ROUTES = ("a", "b")
NO_BOOKS = cast(Books, None)


def opportunity(route: str, profit: int = 10**9) -> Opportunity:
    cycle = SimpleNamespace(pools=(PoolKey(route + "2"), PoolKey(route + "1")), start_token="usd")
    made = SimpleNamespace(cycle=cycle, profit=profit, gas_units=100_000)
    return cast(Opportunity, made)


def market(number: int, took: Sequence[tuple[str, int, str]] = (), floor: int = 0) -> MarketView:
    """A coin is worth a dollar, and so are a million units of the start token."""
    rivals = tuple(
        Rival((PoolKey(route + "1"), PoolKey(route + "2")), tip, Address(who))
        for route, tip, who in took
    )
    made = SimpleNamespace(
        block=SimpleNamespace(number=number),
        rivals=lambda: rivals,
        tip_floor=floor,
        native="coin",
        micro_usd=lambda token, amount: amount if token == "usd" else amount // 10**12,
    )
    return cast(MarketView, made)


def bids(strategy: Outbid, now: Seen, floor: int = 0) -> Mapping[str, int | None]:
    offered = [opportunity(route) for route in now.wanted]
    choices = strategy.decide(market(now.number, now.took, floor), offered, NO_BOOKS)
    return dict(zip(now.wanted, (each.priority_fee for each in choices), strict=True))


def test_one_step_above_the_highest_that_took_it_within_its_bounds() -> None:
    strategy = Outbid(most_gwei=100, least_gwei=5, blocks=10)
    assert bids(strategy, Seen(1, [], ["a"])) == {"a": 5 * GWEI}
    took = [("a", 40 * GWEI, "x"), ("a", 30 * GWEI, "y"), ("b", 100 * GWEI, "y")]
    assert bids(strategy, Seen(2, took, ["a", "b"])) == {"a": 41 * GWEI, "b": 5 * GWEI}
    assert bids(strategy, Seen(11, [], ["a"])) == {"a": 41 * GWEI}
    assert bids(strategy, Seen(12, [], ["a"])) == {"a": 5 * GWEI}  # long ago
    assert bids(strategy, Seen(13, [], ["a"]), floor=30 * GWEI) == {"a": 30 * GWEI}


def test_no_more_than_a_share_of_the_gain() -> None:
    """100,000 gas at 41 gwei are 0.0041 coins, so 4,100 micro-USD."""
    strategy = Outbid(most_gwei=100, most_percent=50)
    took = [("a", 40 * GWEI, "x")]
    for profit, expected in ((8_200, 41 * GWEI), (8_199, 0)):
        view = market(1, took)
        (choice,) = strategy.decide(view, [opportunity("a", profit)], NO_BOOKS)
        assert choice.priority_fee == expected


def test_a_rival_who_stays_ahead_is_left_alone() -> None:
    strategy = Outbid(most_gwei=1_000, losses=2, blocks=100)
    bids(strategy, Seen(1, [], ["a"]))
    assert bids(strategy, Seen(2, [("a", 40 * GWEI, "x")], ["a"])) == {"a": 41 * GWEI}
    assert bids(strategy, Seen(3, [("a", 50 * GWEI, "x")], ["a"])) == {"a": 0}
    assert bids(strategy, Seen(4, [("b", 50 * GWEI, "y")], ["b"])) == {"b": 51 * GWEI}


TAKEN = st.tuples(st.sampled_from(ROUTES), st.integers(1, 9), st.sampled_from("xy"))
BLOCK = st.tuples(
    st.lists(TAKEN, max_size=2), st.lists(st.sampled_from(ROUTES), unique=True), st.booleans()
)


@settings(max_examples=200)
@given(st.lists(BLOCK, max_size=14), st.integers(1, 3))
def test_as_one_question_at_a_time(course: list[Any], losses: int) -> None:
    """Through restarts at any block."""
    bounds: dict[str, Any] = {"most_gwei": 8, "least_gwei": 2, "blocks": 6, "losses": losses}
    strategy, past = Outbid(**bounds), list[Seen]()
    for number, (took, wanted, restarts) in enumerate(course, 1):
        now = Seen(number, [(name, tip * GWEI, who) for name, tip, who in took], wanted)
        if restarts:
            kept = json.loads(json.dumps(strategy.state()))
            strategy = Outbid(**bounds)
            strategy.resume(kept)
        found = bids(strategy, now)
        assert found == {
            route: bid(
                past, now, route, least=2 * GWEI, most=8 * GWEI, step=GWEI, blocks=6,
                losses=losses, answer=ANSWER_BLOCKS,
            )
            for route in wanted
        }  # fmt: skip
        past.append(now)


@pytest.mark.parametrize(
    "parameters",
    [{"most_gwei": 1, "least_gwei": 2}, {"most_gwei": 1, "most_percent": 101},
     {"most_gwei": 1, "losses": 0}],
)  # fmt: skip
def test_what_it_refuses(parameters: dict[str, float]) -> None:
    assert "refuses its parameters" in (
        StrategyTypes().check("outbid", json.dumps(parameters)) or ""
    )


def test_in_the_engine_it_outbids_who_took_the_spread_before() -> None:
    first = keyframe()
    own = small_settings(
        "outbid", kind="outbid", parameters='{"most_gwei": 500}', min_profit_micro_usd=1,
        max_gas_price=1_000 * GWEI,
    )  # fmt: skip
    made, chain = threshold_engine(first), SmallChain(first)
    running = OwnStrategies(StrategyTypes(), REALITY)
    running.use([own])
    made.use([running])
    (decision,) = made.step(chain.mine(weth_pool(CHEAP, 2_450))).decisions
    assert decision.priority_fee == 0
    pools = made.market.pools
    took = arbitrage(pools[CHEAP], *[each for key, each in pools.items() if key != CHEAP][:1])
    made.step(in_one_transaction(chain.mine(), *took, priority_fee=77 * GWEI))
    made.step(chain.mine(weth_pool(CHEAP, 2_500)))
    (again,) = made.step(chain.mine(weth_pool(CHEAP, 2_450))).decisions
    assert again.priority_fee == 78 * GWEI
