"""Own strategies: they choose, the desk trades; one that fails ends its own trading alone."""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from itertools import repeat
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dexarb.core.trade import DecisionId, Opportunity
from dexarb.trading.decide.custom import Books, Choice, Factories, MarketView
from dexarb.trading.decide.own_strategies import OwnStrategies
from dexarb.trading.decide.skips import SkipTally
from dexarb.trading.decide.threshold import ThresholdStrategies
from dexarb.trading.engine import Engine
from dexarb.trading.models.reality import REALITY
from dexarb.trading.seams import Step, View
from dexarb.trading.strategy import StrategySettings
from tests.support.worlds import random_trading
from tests.support.worlds.blocks import GWEI
from tests.support.worlds.engines import engine, thorough
from tests.support.worlds.pools import rng_of
from tests.support.worlds.random_trading import random_block, settings_drawn
from tests.support.worlds.small_chain import (
    CHEAP,
    DEAR,
    USDC,
    SmallChain,
    keyframe,
    threshold_engine,
    weth_pool,
)
from tests.support.worlds.small_chain import settings as small_settings


class Everything:
    """Wants all it is offered."""

    def decide(
        self,
        market: MarketView,  # noqa: ARG002
        opportunities: Sequence[Opportunity],
        ledger: Books,  # noqa: ARG002
    ) -> Iterable[Choice]:
        return [Choice(each) for each in reversed(opportunities)]


Answer = Callable[[MarketView, Sequence[Opportunity], Books], object]


class Answering:
    """Answers what a test says."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    def decide(
        self, market: MarketView, opportunities: Sequence[Opportunity], ledger: Books
    ) -> Iterable[Choice]:
        return self._answer(market, opportunities, ledger)  # type: ignore[return-value]


def own(name: str = "own", kind: str = "own", **changes: Any) -> StrategySettings:
    return small_settings(name, kind=kind, **changes)


BUILT_IN = small_settings("built-in", max_slippage_ppm=7_000)


def trading(factories: Factories, *strategies: StrategySettings) -> tuple[Engine, OwnStrategies]:
    """Own strategies beside a built-in one."""
    made = threshold_engine(keyframe(), BUILT_IN)
    running = OwnStrategies(factories, REALITY)
    running.use(strategies)
    made.use([ThresholdStrategies((BUILT_IN,), REALITY), running])
    return made, running


def answering(answer: Answer, **changes: Any) -> tuple[Engine, StrategySettings]:
    strategy = own(**changes)
    return trading({"own": lambda: Answering(answer)}, strategy)[0], strategy


def spread(made: Engine) -> tuple[SmallChain, Step]:
    """The first block, with a spread of 2 % in it."""
    chain = SmallChain(keyframe())
    return chain, made.step(chain.mine(weth_pool(CHEAP, 2_450)))


def reasons(made: Engine, strategy: StrategySettings) -> dict[str, int]:
    found: Counter[str] = Counter()
    for each in made.skips.drain(hour=1):
        if each.strategy == strategy.hash:
            found[each.reason.value] += each.times
    return dict(found)


# -- choosing ------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(
    seed=st.integers(0, 10**6),
    drawn=st.lists(settings_drawn, min_size=1, max_size=4, unique_by=lambda each: each.hash),
)
def test_one_that_wants_everything_trades_as_the_built_in_one(
    seed: int, drawn: list[StrategySettings]
) -> None:
    mine = [replace(each, kind="everything") for each in drawn]
    names = {one.hash: other.hash for one, other in zip(mine, drawn, strict=True)}

    running = OwnStrategies({"everything": Everything}, REALITY)
    running.use(mine)
    rng = rng_of("history", seed)
    made = engine(random_trading.keyframe(seed), [running], scanner=thorough)
    other = engine(
        random_trading.keyframe(seed), [ThresholdStrategies(drawn, REALITY)], scanner=thorough
    )
    for _ in range(6):
        update = random_block(made.market, rng, moved=int(rng.integers(0, 5)))
        step, expected = made.step(update), other.step(update)
        assert not step.incidents
        assert [
            each._replace(strategy=names[each.strategy], id=DecisionId(""))
            for each in step.decisions
        ] == [each._replace(id=DecisionId("")) for each in expected.decisions]


def test_it_can_take_less_and_bid_its_own() -> None:
    made, _ = answering(
        lambda _market, offered, _books: [Choice(offered[0], 10**8, 7 * GWEI)],
        max_trade_size_micro_usd=2_000_000_000,
    )
    _, step = spread(made)
    (decision,) = (each for each in step.decisions if each.strategy != BUILT_IN.hash)
    assert (decision.amount_in, decision.priority_fee) == (10**8, 7 * GWEI)
    assert decision.max_base_fee == 93 * GWEI


def test_it_can_not_take_more_than_its_table_allows() -> None:
    made, _ = answering(
        lambda _market, offered, _books: [Choice(offered[0], 10**30)],
        max_trade_size_micro_usd=500_000_000,
    )
    _, step = spread(made)
    (decision,) = (each for each in step.decisions if each.strategy != BUILT_IN.hash)
    assert decision.amount_in == 500_000_000


@pytest.mark.parametrize(
    ("changes", "choice", "reason"),
    [
        ({"max_daily_trades": 0}, {}, "daily_trades"),
        ({"capital_micro_usd": 1_000_000}, {}, "capital"),
        ({"gas_balance_micro_usd": 1}, {}, "capital"),
        ({"min_profit_micro_usd": 10_000_000}, {"amount_in": 10**6}, "profit"),
        ({"max_gas_price": 60 * GWEI}, {"priority_fee": 31 * GWEI}, "gas_price"),
    ],
)
def test_the_limits_hold_for_what_it_chose(
    changes: dict[str, Any], choice: dict[str, int], reason: str
) -> None:
    made, strategy = answering(
        lambda _market, offered, _books: [Choice(each, **choice) for each in offered], **changes
    )
    _, step = spread(made)
    assert {each.strategy for each in step.decisions} == {BUILT_IN.hash}
    assert reasons(made, strategy) == {reason: 1}


def test_what_it_does_not_want_is_declined() -> None:
    made, strategy = answering(lambda _market, _offered, _books: ())
    spread(made)
    assert reasons(made, strategy) == {"declined": 1}


def test_it_is_not_offered_what_is_busy_or_out_of_scope_or_below_its_minimum() -> None:
    offered: list[int] = []

    def answer(
        _market: MarketView, opportunities: Sequence[Opportunity], _books: Books
    ) -> list[Choice]:
        offered.append(len(opportunities))
        return [Choice(each) for each in opportunities]

    made, strategy = answering(answer)
    chain, _ = spread(made)
    made.step(chain.mine())
    assert offered == [1, 0]
    assert reasons(made, strategy) == {"pool_busy": 1}
    others: tuple[dict[str, Any], ...] = (
        {"max_hops": 1},
        {"dexes": ("QuickSwap",)},
        {"min_profit_micro_usd": 10**12},
    )
    for changes in others:
        offered.clear()
        spread(answering(answer, **changes)[0])
        assert offered == [0]


def test_it_looks_at_the_market_and_at_its_own_books() -> None:
    looked: list[tuple[object, ...]] = []

    def answer(
        market: MarketView, opportunities: Sequence[Opportunity], books: Books
    ) -> list[Choice]:
        looked.append((market.block.number, books["sent"], books["open"], len(opportunities)))
        assert market.pool(CHEAP).dex == "QuickSwap"
        assert market.token(USDC).decimals == 6
        assert market.micro_usd(USDC, 5) == 5
        assert [market.open_since(each) for each in opportunities] == [market.block.number] * len(
            opportunities
        )
        return [Choice(each) for each in opportunities]

    made, _ = answering(answer)
    chain, _ = spread(made)
    step = made.step(chain.mine())
    assert not step.incidents
    assert looked == [(101, 0, 0, 1), (102, 1, 0, 0)]


def test_a_bid_beyond_64_bits_is_refused() -> None:
    made, strategy = answering(lambda _market, o, _books: [Choice(o[0], priority_fee=10**40)])
    _, step = spread(made)
    assert not step.incidents
    assert {each.strategy for each in step.decisions} == {BUILT_IN.hash}
    assert reasons(made, strategy) == {"profit": 1}


def test_a_choice_is_what_it_was_when_it_was_checked() -> None:
    made, _ = answering(lambda _market, offered, _books: [Shifting(offered[0])])
    _, step = spread(made)
    (decision,) = (each for each in step.decisions if each.strategy != BUILT_IN.hash)
    assert decision.amount_in == 10**8


def test_the_users_wish_to_stop_is_no_failure() -> None:
    def interrupted(*_given: object) -> None:
        raise KeyboardInterrupt

    made, _ = answering(interrupted)
    with pytest.raises(KeyboardInterrupt):
        spread(made)


# -- failing -------------------------------------------------------------------------------------


ANY: Any = "all"
HALF: Any = 0.5


def forever(_market: MarketView, offered: Sequence[Opportunity], _books: Books) -> Iterator[Choice]:
    return map(Choice, repeat(offered[0]))


def breaking(
    _market: MarketView, offered: Sequence[Opportunity], _books: Books
) -> Iterator[Choice]:
    yield Choice(offered[0])
    raise RuntimeError("in the middle")


class Stop(BaseException):
    """What `except Exception` does not catch."""


def stopping(_market: MarketView, _offered: Sequence[Opportunity], _books: Books) -> None:
    raise Stop("all of you")


@dataclass(frozen=True)
class Shifting(Choice):
    """Says something else each time it is asked."""

    asked: list[int] = field(default_factory=list)

    def __getattribute__(self, name: str) -> Any:
        if name == "amount_in":
            self.asked.append(1)
            return 10**8 if len(self.asked) == 1 else "all"
        return super().__getattribute__(name)


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (stopping, "all of you"),
        (lambda _m, _o, _b: 1 // 0, "ZeroDivisionError"),
        (lambda _m, _o, _b: sys.exit(), "SystemExit"),
        (lambda _m, _o, _b: None, "TypeError"),
        (lambda _m, _o, _b: 7, "TypeError"),
        (lambda _m, offered, _b: offered, "expected dexarb.Choice"),
        (lambda _m, _o, _b: ["all"], "expected dexarb.Choice, got 'all'"),
        (lambda _m, _o, _b: [Choice(ANY)], "opportunity: expected one that was offered"),
        (lambda _m, o, _b: [Choice(replace(o[0], amount_out=10**30))], "was not offered"),
        (lambda _m, o, _b: [Choice(o[0]), Choice(o[0])], "was chosen twice"),
        (lambda _m, o, _b: [Choice(o[0], -1)], "amount_in: expected an integer from 1 on, got -1"),
        (lambda _m, o, _b: [Choice(o[0], 0)], "amount_in"),
        (lambda _m, o, _b: [Choice(o[0], HALF)], "amount_in"),
        (lambda _m, o, _b: [Choice(o[0], True)], "amount_in"),
        (lambda _m, o, _b: [Choice(o[0], priority_fee=-5)], "priority_fee"),
        (lambda _m, _o, books: books["no such column"], "KeyError"),
        (forever, "was chosen twice"),
        (breaking, "in the middle"),
    ],
)
def test_one_that_fails_is_out_and_the_others_go_on(answer: Answer, told: str) -> None:
    bad, good = own("bad"), own("good", kind="everything")
    made, _ = trading({"own": lambda: Answering(answer), "everything": Everything}, bad, good)
    chain, step = spread(made)
    (incident,) = step.incidents
    assert (incident.strategy, incident.block) == (bad.hash, step.block)
    assert told in incident.problem
    assert {each.strategy for each in step.decisions} == {BUILT_IN.hash, good.hash}
    made.step(chain.mine(weth_pool(CHEAP, 2_500)))
    again = made.step(chain.mine(weth_pool(CHEAP, 2_450)))
    assert not again.incidents
    assert {each.strategy for each in again.decisions} == {BUILT_IN.hash, good.hash}
    assert reasons(made, bad) == {"disabled": 2}


def test_what_it_had_sent_still_settles() -> None:
    calls: list[int] = []

    def answer(_market: MarketView, offered: Sequence[Opportunity], _books: Books) -> list[Choice]:
        calls.append(1)
        if len(calls) > 1:
            raise RuntimeError("too late")
        return [Choice(each) for each in offered]

    made, strategy = answering(answer)
    chain, _ = spread(made)
    assert made.ledger.value(strategy.hash, "open") == 1
    step = made.step(chain.mine())
    assert len(step.incidents) == 1
    assert strategy.hash in {fill.decision.strategy for fill in step.fills}
    assert made.ledger.value(strategy.hash, "filled") == 1
    made.step(chain.mine())
    assert len(calls) == 2


def test_it_stays_out_over_reloads_until_its_parameters_change() -> None:
    def factory(*, works: bool = False) -> Answering | Everything:
        return Everything() if works else Answering(lambda _m, _o, _b: 1 // 0)

    bad = own("bad")
    better = own("bad", parameters=json.dumps({"works": True}))
    changed = replace(bad, code="another version")
    made, running = trading({"own": factory}, bad)
    chain, step = spread(made)
    assert len(step.incidents) == 1
    running.use([])
    running.use([bad, better])
    made.use([running])
    made.step(chain.mine(weth_pool(CHEAP, 2_500)))
    step = made.step(chain.mine(weth_pool(CHEAP, 2_450)))
    assert not step.incidents
    assert [each.strategy for each in step.decisions] == [better.hash]
    running.use([changed])
    made.use([running])
    step = made.step(chain.mine(weth_pool(DEAR, 2_480)))
    assert [each.strategy for each in step.incidents] == [changed.hash]


def test_one_that_stays_keeps_its_state_over_a_reload() -> None:
    class Counting(Everything):
        def __init__(self) -> None:
            self.blocks = 0

        def decide(
            self, market: MarketView, opportunities: Sequence[Opportunity], ledger: Books
        ) -> Iterable[Choice]:
            self.blocks += 1
            assert market.block.number == 100 + self.blocks
            return super().decide(market, opportunities, ledger)

    made, running = trading({"own": Counting}, own())
    chain, _ = spread(made)
    # Out and in again before the next block: the ledger knows of one epoch.
    running.use([])
    running.use([own("renamed"), own("more", kind="nowhere")])
    made.use([running])
    step = made.step(chain.mine())
    (incident,) = step.incidents
    assert "KeyError: 'nowhere'" in incident.problem


def test_a_factory_that_fails_is_an_incident() -> None:
    made, _ = trading({"own": Everything}, own(parameters='{"no_such": 1}'))
    _, step = spread(made)
    (incident,) = step.incidents
    assert "TypeError" in incident.problem
    assert "Everything() takes no arguments" in incident.problem


def test_a_stale_block_offers_nothing() -> None:
    seen: list[tuple[bool, int]] = []

    def answer(market: MarketView, offered: Sequence[Opportunity], _books: Books) -> tuple[()]:
        seen.append((market.stale, len(offered)))
        return ()

    made, strategy = answering(answer)
    update = SmallChain(keyframe()).mine(weth_pool(CHEAP, 2_450))
    late = replace(update, block=replace(update.block, seen_at=update.block.timestamp + 60.0))
    made.step(late)
    assert seen == [(True, 0)]
    assert reasons(made, strategy) == {"stale": 1}


def test_what_it_sees_does_not_depend_on_who_else_trades() -> None:
    """A greedy neighbour makes the search offer more; a strict one still sees its own."""
    strict = own(min_profit_micro_usd=10**9)
    offered: list[int] = []

    def answer(_market: MarketView, found: Sequence[Opportunity], _books: Books) -> tuple[()]:
        offered.append(len(found))
        return ()

    view: list[View] = []

    class Looking(OwnStrategies):
        def decide(self, seen: View, skips: SkipTally):  # type: ignore[no-untyped-def]
            view.append(seen)
            return super().decide(seen, skips)

    running = Looking({"own": lambda: Answering(answer)}, REALITY)
    running.use([strict])
    made = threshold_engine(keyframe(), BUILT_IN)
    made.use([running])
    spread(made)
    assert len(view[0].opportunities) == 1
    assert offered == [0]
