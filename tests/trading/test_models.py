"""The model of reality: each of its models is the one that is asked, and says which it is."""

from __future__ import annotations

import json
from dataclasses import FrozenInstanceError, replace
from fractions import Fraction
from math import ceil

import pytest

from dexarb.amm import POOL_TYPES
from dexarb.core.gas_schedule import ScheduleName
from dexarb.core.market import Market
from dexarb.core.profile import ScheduleChange
from dexarb.core.trade import Decision, Fill, FillStatus, Position
from dexarb.trading.models.gas import GasModel
from dexarb.trading.models.least_gas import LeastGas
from dexarb.trading.models.reality import REALITY, Reality
from dexarb.trading.models.value import ValueModel
from tests.support.models import (
    AlwaysFirst,
    AlwaysFull,
    AlwaysLost,
    FixedPrices,
    FlatGas,
    LaterBlocks,
)
from tests.support.worlds.blocks import GWEI
from tests.support.worlds.engines import engine
from tests.support.worlds.small_chain import (
    CHEAP,
    GAS,
    PROFILE,
    WMATIC,
    SmallChain,
    keyframe,
    play,
    settings,
    threshold_engine,
    v2,
    weth_pool,
)

CHICAGO: ScheduleName = "polygon-chicago"
CHEAPER = (ScheduleChange(0, CHICAGO), ScheduleChange(103, "ethereum"))
FORK = (ScheduleChange(103, CHICAGO),)

OTHERS = {
    "gas": Reality(gas=FlatGas()),
    "latency": Reality(latency=LaterBlocks()),
    "room": Reality(room=AlwaysFull()),
    "order": Reality(order=AlwaysFirst()),
    "competition": Reality(competition=AlwaysLost()),
    "value": Reality(value=FixedPrices()),
}


def traded(reality: Reality, position: Position = Position.CONTESTED) -> tuple[Decision, Fill]:
    """A spread that opens in block 101; a transaction of every later block touches its pools."""
    first = keyframe()
    chain = SmallChain(first)
    made = threshold_engine(first, settings(position=position), reality=reality)
    (decision,) = made.step(chain.mine(weth_pool(CHEAP, 2_450))).decisions
    fills: list[Fill] = []
    while not fills:
        fills += made.step(chain.mine(weth_pool(CHEAP, 2_451))).fills
    return decision, fills[0]


def test_gas_is_what_the_gas_model_says() -> None:
    decision, fill = traded(OTHERS["gas"])
    assert (decision.gas_units, fill.gas_used) == (77_777, 77_777)
    decision, fill = traded(REALITY)
    assert decision.gas_units > 77_777
    assert fill.gas_used > 77_777


def test_a_decision_is_included_when_the_latency_model_says() -> None:
    for reality, after in ((REALITY, 1), (OTHERS["latency"], 3)):
        decision, fill = traded(reality)
        assert fill.status is FillStatus.FILLED
        assert fill.block.number == decision.block.number + after


def test_a_decision_expires_where_the_room_model_has_none() -> None:
    for reality, status in ((REALITY, FillStatus.FILLED), (OTHERS["room"], FillStatus.EXPIRED)):
        assert traded(reality)[1].status is status


def test_its_place_is_where_the_order_model_says() -> None:
    for reality, place in ((REALITY, 1), (OTHERS["order"], 0)):
        assert traded(reality, position=Position.BOTTOM)[1].place == place


def test_a_spread_is_lost_where_the_competition_model_says() -> None:
    for reality, status in ((REALITY, FillStatus.FILLED), (OTHERS["competition"], FillStatus.LOST)):
        decision, fill = traded(reality)
        assert fill.status is status
        assert decision.competition_lost is (status is FillStatus.LOST)


def test_a_token_is_worth_what_the_value_model_says() -> None:
    """A dollar for a WMATIC, which its pool gives for half a dollar."""
    for reality, cents in ((REALITY, 50), (OTHERS["value"], 100)):
        _, fill = traded(reality)
        wei = fill.gas_used * fill.gas_price
        assert abs(fill.gas_cost_micro_usd - ceil(Fraction(wei * cents * 10**4, 10**18))) <= 1


def test_the_window_of_the_value_model_is_a_parameter() -> None:
    """Two blocks of a wrong price are the median of two, and not of thirty."""
    first = keyframe()
    for reality, is_fooled in (
        (Reality(value=ValueModel(window_blocks=2)), True),
        (REALITY, False),
    ):
        chain, made = SmallChain(first), threshold_engine(first, settings(), reality=reality)
        before = made.valuation.native_price
        play(made, [chain.mine() for _ in range(5)])
        dear = v2(GAS, WMATIC, 10**24, 50 * 10**12)
        play(made, [chain.mine(dear), chain.mine()])
        assert (made.valuation.native_price != before) is is_fooled


@pytest.mark.parametrize(("model", "other"), OTHERS.items())
def test_the_spec_tells_realities_apart_and_which_model_it_is(model: str, other: Reality) -> None:
    assert other.hash != REALITY.hash
    assert other.changes(REALITY.canonical) == REALITY.changes(other.canonical) == (model,)
    assert Reality().changes(REALITY.canonical) == ()


def test_a_parameter_is_part_of_the_spec() -> None:
    dearer = Reality(gas=GasModel(executor=14_201))
    assert dearer.changes(REALITY.canonical) == ("gas",)
    assert dearer.spec["gas"]["name"] == REALITY.spec["gas"]["name"]


def test_the_spec_is_plain_json_and_the_same_text_every_time() -> None:
    assert Reality().canonical == REALITY.canonical
    assert json.loads(REALITY.canonical) == REALITY.spec
    for model, spec in REALITY.spec.items():
        assert spec.keys() == {"name", "version", "parameters"}, model
        assert spec["version"] >= 1


def test_a_model_of_an_earlier_ledger_that_is_gone_is_no_change_of_those_that_are_there() -> None:
    older = json.loads(REALITY.canonical) | {"weather": {"name": "rain"}}
    del older["order"]
    assert REALITY.changes(json.dumps(older)) == ("order",)


def test_models_do_not_change() -> None:
    with pytest.raises(FrozenInstanceError):
        REALITY.value.window_blocks = 3  # type: ignore[misc]
    with pytest.raises(FrozenInstanceError):
        REALITY.gas = FlatGas()  # type: ignore[misc]
    assert replace(REALITY) == REALITY


def test_the_version_of_the_gas_model_stands_for_the_gas_of_the_kinds() -> None:
    """Other figures are another reality: raise GasModel.VERSION and put them here. A new kind is
    none, since nothing was traded through it: put it here."""
    assert GasModel.VERSION == 2
    assert {kind: tuple(pool.gas) for kind, pool in POOL_TYPES.items()} == {
        "uniswap_v2": (
            ((53_500, 6_250, 10_400, 31_800), (76_180, 9_610, 15_440, 38_520)),
            False,
            False,
        ),
        "uniswap_v3": (
            ((55_700, 9_600, 0, 10_800), (72_500, 16_320, 0, 9_960)),
            True,
            True,
        ),
    }


def test_where_the_schedule_is_ethereums_the_spec_says_nothing_of_it() -> None:
    assert REALITY.on(PROFILE).canonical == REALITY.canonical
    assert "schedules" not in REALITY.canonical


def test_the_gas_schedules_of_the_chain_are_part_of_the_spec() -> None:
    """From another block, or with other figures, it is another reality."""
    specs = set()
    for block in (200, 300):
        on = REALITY.on(replace(PROFILE, gas_schedules=(ScheduleChange(block, CHICAGO),)))
        assert on.changes(REALITY.canonical) == REALITY.changes(on.canonical) == ("gas",)
        ((from_block, figures),) = on.spec["gas"]["parameters"]["schedules"]
        assert (from_block, figures["schedule"], figures["crossed_tick"]) == (
            block,
            CHICAGO,
            34_620,
        )
        specs.add(on.hash)
    assert len(specs) == 2


def test_gas_is_that_of_the_schedule_that_holds_in_the_block() -> None:
    """The decision expects what the next block charges, the fill pays what its own does, although
    no pool has moved in between."""
    first = replace(keyframe(), profile=replace(PROFILE, gas_schedules=FORK))
    chain = SmallChain(first)
    made = threshold_engine(first, settings(latency_blocks=2, max_trade_size_micro_usd=10**9))
    fills: list[Fill] = []
    (before,) = made.step(chain.mine(weth_pool(CHEAP, 2_450))).decisions  # block 101
    fills += made.step(chain.mine()).fills
    fills += made.step(chain.mine()).fills
    assert (before.gas_units, fills[0].gas_used) == (145_410, 193_290)
    assert before.first_block == fills[0].block.number == FORK[0].from_block


def test_what_does_not_pay_can_pay_behind_a_fork_though_no_pool_has_moved() -> None:
    first = replace(keyframe(), profile=replace(PROFILE, gas_schedules=CHEAPER))
    chain = SmallChain(first)
    made = threshold_engine(first, settings(min_profit_micro_usd=25_295_500, bid_ppm=0))
    steps = play(made, [chain.mine(weth_pool(CHEAP, 2_450)), chain.mine()])
    gas_units = [[each.gas_units for each in step.decisions] for step in steps]
    assert gas_units == [[], [145_410]]


def test_what_was_quoted_before_a_fork_is_quoted_anew() -> None:
    """It was not sent then, for the base fee was above the strategy's limit."""
    first = replace(keyframe(), profile=replace(PROFILE, gas_schedules=CHEAPER))
    chain, made = SmallChain(first), threshold_engine(first, settings())
    dear = chain.mine(weth_pool(CHEAP, 2_450), base_fee=200 * GWEI)
    steps = play(made, [dear, chain.mine()])
    gas_units = [[each.gas_units for each in step.decisions] for step in steps]
    assert gas_units == [[], [145_410]]


def test_the_least_gas_of_a_market_is_that_of_the_next_block() -> None:
    first = replace(keyframe(), profile=replace(PROFILE, gas_schedules=CHEAPER))
    chain, market, least = SmallChain(first), Market(first), LeastGas(REALITY.gas)
    seen = [least.of(market)]
    for update in (chain.mine(), chain.mine()):
        market.apply(update)
        seen.append(least.of(market))
    assert seen == [(193_290, 210_150), (193_290, 210_150), (145_410, 158_910)]


def test_what_stays_open_over_a_fork_is_offered_at_its_new_gas() -> None:
    first = replace(keyframe(), profile=replace(PROFILE, gas_schedules=FORK))
    chain = SmallChain(first)
    updates = [chain.mine(weth_pool(CHEAP, 2_450)), chain.mine(), chain.mine()]
    updates.append(chain.mine(parent=updates[0].block, branch="b"))  # and back before it
    updates.append(chain.mine(weth_pool(CHEAP, 2_450), parent=first.block, branch="c"))
    made = engine(first, [])
    offered = [[each.gas_units for each in step.opportunities] for step in play(made, updates)]
    assert offered == [[145_410], [193_290], [193_290], [193_290], [145_410]]
