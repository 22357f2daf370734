"""The live executor: a fold over blocks and the journal's records, and each trade's twin."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dexarb.core.saved import NounReader, NounWriter
from dexarb.core.sending import Control, ControlKind, Difference, Terms
from dexarb.core.trade import FillStatus, SkipReason
from dexarb.core.units import PPM
from dexarb.ends.live.live_executor import LiveExecutor
from dexarb.trading.models.reality import REALITY
from dexarb.trading.models.value import rounded_up
from dexarb.trading.seams import View
from dexarb.trading.settle.chances import PRIOR_PPM
from tests.ends.live_world import LANES, LiveWorld
from tests.support.worlds.blocks import transaction
from tests.support.worlds.small_chain import CHEAP, settings, weth_pool


def gain_of(world: LiveWorld) -> int:
    """What our integers say that the open cycle gives, at the size decided."""
    (decision,) = world.executor.open_decisions
    return decision.amount_out - decision.amount_in


def test_a_fill_is_what_the_block_says_and_its_twin_agrees() -> None:
    world = LiveWorld()
    _, decision = world.open_spread()
    signed = world.signed[-1]
    step = world.step(world.including(signed, decision, gain=gain_of(world)))
    (fill,) = step.fills
    assert fill.status is FillStatus.FILLED
    assert (fill.amount_in, fill.amount_out) == (decision.amount_in, decision.amount_out)
    assert (fill.gas_used, fill.place) == (145_000, 0)
    (twin,) = world.results.twins
    assert twin.difference is Difference.NONE
    assert twin.twin is not None
    assert twin.live.amount_out == twin.twin.amount_out
    assert world.executor.open_decisions == ()


@pytest.mark.parametrize(
    ("more", "gas_used", "difference"),
    [(1, 145_000, Difference.MODEL), (0, 400_000, Difference.GAS)],
)
def test_a_wei_more_is_a_model_error_and_other_gas_is_told(
    more: int, gas_used: int, difference: Difference
) -> None:
    world = LiveWorld()
    _, decision = world.open_spread()
    signed = world.signed[-1]
    gain = gain_of(world) + more
    world.step(world.including(signed, decision, gain=gain, gas_used=gas_used))
    (twin,) = world.results.twins
    assert twin.difference is difference


def test_a_revert_where_paper_fills_is_a_model_error_and_pays_its_gas() -> None:
    world = LiveWorld()
    _, decision = world.open_spread()
    signed = world.signed[-1]
    (fill,) = world.step(world.including(signed, decision)).fills
    assert (fill.status, fill.amount_out) == (FillStatus.REVERTED, 0)
    assert fill.net_micro_usd == -fill.gas_cost_micro_usd < 0
    assert world.results.twins[0].difference is Difference.MODEL


def test_of_a_block_that_is_not_proven_nothing_follows() -> None:
    world = LiveWorld()
    _, decision = world.open_spread()
    signed = world.signed[-1]
    world.step(replace(world.including(signed, decision), witnesses=0))
    assert world.results.twins[0].difference is Difference.UNKNOWN


def test_what_lands_behind_its_deadline_has_a_twin_that_reverts() -> None:
    world = LiveWorld()
    _, decision = world.open_spread()
    while world.chain.tip.number < decision.deadline_block:
        assert world.step(world.chain.mine()).fills == []
    signed = world.signed[-1]
    (fill,) = world.step(world.including(signed, decision, gas_used=28_810)).fills
    assert fill.status is FillStatus.REVERTED
    assert world.results.twins[0].difference is Difference.NONE


def test_a_trade_whose_nonce_is_used_by_the_next_one_expires() -> None:
    """Its own strategy waits for it, another one does not."""
    small = settings("small", max_trade_size_micro_usd=500_000_000, deadline_blocks=1)
    world = LiveWorld(settings("large", deadline_blocks=1), small)
    _, first = world.open_spread()
    taken = world.signed[-1]
    world.signing = False
    world.step(world.chain.mine(weth_pool(CHEAP, 2_500)))  # somebody has closed it
    while world.chain.tip.number < first.deadline_block:
        world.step(world.chain.mine())
    _, second = world.open_spread(2_440)
    (intent,) = world.results.intents
    replacing = world.sign(intent, nonce=taken.nonce)
    (_, decided) = world.executor.open_decisions
    gain = decided.amount_out - decided.amount_in
    fills = world.step(world.including(replacing, second, gain=gain)).fills
    assert [(each.decision.id, each.status) for each in fills] == [
        (first.id, FillStatus.EXPIRED),
        (second.id, FillStatus.FILLED),
    ]
    assert fills[0].gas_cost_micro_usd == 0


def test_what_is_dropped_expires_with_the_entry_from_which_that_holds() -> None:
    world = LiveWorld()
    world.signing = False
    step, decision = world.open_spread()
    world.records.add_control(Control(step.seq + 2, ControlKind.DROP, "late", decision.id))
    assert world.step(world.chain.mine()).fills == []
    (fill,) = world.step(world.chain.mine()).fills
    assert (fill.decision.id, fill.status) == (decision.id, FillStatus.EXPIRED)


def test_a_transaction_that_nobody_here_signed_is_a_surprise() -> None:
    world = LiveWorld()
    world.open_spread()
    strange = transaction(0, hash="0xstrange", sender=LANES[0])
    world.step(replace(world.chain.mine(), transactions=(strange,)))
    (surprise,) = world.results.surprises
    assert (surprise.hash, surprise.lane) == ("0xstrange", LANES[0])


def test_a_reorganisation_leads_back_from_included_to_open() -> None:
    world = LiveWorld()
    opened, decision = world.open_spread()
    signed = world.signed[-1]
    gain = gain_of(world)
    (first,) = world.step(world.including(signed, decision, gain=gain)).fills
    back = world.step(world.chain.mine(parent=opened.block, branch="b"))
    assert list(back.undone) == [first]
    assert world.executor.open_decisions == (decision,)
    assert world.executor.nonces == {}
    (again,) = world.step(world.including(signed, decision, gain=gain)).fills
    assert (again.status, again.amount_out) == (first.status, first.amount_out)
    assert again.block.hash != first.block.hash


def test_nothing_is_decided_while_nobody_has_armed() -> None:
    world = LiveWorld(armed=False)
    step = world.step(world.chain.mine(weth_pool(CHEAP, 2_450)))
    assert list(step.decisions) == []
    (skip,) = [each for each in world.engine.skips.drain(0) if each.reason is SkipReason.NOT_ARMED]
    assert skip.times == 1


def test_an_avoided_pool_is_not_traded_until_it_is_trusted() -> None:
    world = LiveWorld()
    world.records.add_control(Control(0, ControlKind.AVOID, "a test", CHEAP))
    assert list(world.step(world.chain.mine(weth_pool(CHEAP, 2_450))).decisions) == []
    assert SkipReason.AVOIDED in {each.reason for each in world.engine.skips.drain(0)}
    world.records.add_control(Control(0, ControlKind.TRUST, "a test", CHEAP))
    assert len(world.step(world.chain.mine()).decisions) == 1


def test_two_strategies_that_want_the_same_pools_send_one_trade() -> None:
    """Whatever each would have done alone: the one that is worth more goes."""
    small = settings("small", max_trade_size_micro_usd=500_000_000, deadline_blocks=1)
    large = settings("large", max_trade_size_micro_usd=2_000_000_000, deadline_blocks=1)
    world = LiveWorld(small, large, lanes=2)
    step = world.step(world.chain.mine(weth_pool(CHEAP, 2_450)))
    (decision,) = step.decisions
    assert decision.strategy == large.hash
    (skip,) = [each for each in world.engine.skips.drain(0) if each.reason is SkipReason.BOT_BUSY]
    assert skip.strategy == small.hash


def test_going_on_from_its_state_at_any_block_comes_to_the_same() -> None:
    whole = LiveWorld()
    _, decision = whole.open_spread()
    nouns = NounWriter()
    state = whole.executor.state(nouns)
    resumed = LiveExecutor(REALITY, whole.records, whole.lanes)
    resumed.resume(state, NounReader(nouns.nouns))
    assert resumed.open_decisions == (decision,)
    signed = whole.signed[-1]
    update = whole.including(signed, decision, gain=gain_of(whole))
    valuation = whole.engine.valuation
    (expected,) = whole.step(update).fills
    (fill,) = resumed.settle(whole.engine.market, update, valuation)
    assert (fill.decision.id, fill.status, fill.amount_out) == (
        expected.decision.id,
        expected.status,
        expected.amount_out,
    )
    again = NounWriter()
    assert resumed.state(again) == whole.executor.state(NounWriter())


def test_a_trade_has_to_be_worth_its_misses() -> None:
    """On a chain without evidence 2 % of them are thought to be filled."""
    world = LiveWorld()
    terms = Terms(1_000_000, 0, 0)
    world.records.add_control(Control(0, ControlKind.EXPECT, "a test", terms.subject))
    assert list(world.step(world.chain.mine(weth_pool(CHEAP, 2_450))).decisions) == []
    (skip,) = [each for each in world.engine.skips.drain(0) if each.reason is SkipReason.EXPECTED]
    assert skip.times == 1
    held = terms._replace(least_expected=-1_000_000_000).subject
    world.records.add_control(Control(0, ControlKind.EXPECT, "a test", held))
    assert len(world.step(world.chain.mine()).decisions) == 1


def test_what_a_trade_is_worth_written_out() -> None:
    """p x (gain - landed) - (1 - p) x (gas of a run that is not started + missed)."""
    world = LiveWorld()
    world.records.add_control(Control(0, ControlKind.EXPECT, "a test", "-999999999 7 11"))
    step, decision = world.open_spread()
    engine = world.engine
    view = View(
        engine.market, engine.valuation, engine.ledger, engine.scan, engine.episodes, stale=False
    )
    native = engine.valuation.native_price
    assert native is not None
    gas = REALITY.gas.under(engine.market.next_gas_schedule)
    moved = gas.before_run([engine.market.pools[pool].gas for pool in decision.cycle.pools])
    miss = rounded_up(moved * (step.block.base_fee_per_gas + decision.priority_fee) * native) + 11
    gain = decision.expected_net_micro_usd - 7
    expected = (PRIOR_PPM * gain - (PPM - PRIOR_PPM) * miss) // PPM
    assert world.executor.expected(decision, view) == expected
