"""Breaks, corrections and late blocks: what the engine makes of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dexarb.core.block import BlockHash, BlockRef
from dexarb.core.market import Break
from dexarb.core.pool import PoolKey
from dexarb.trading.engine import Engine
from tests.support.worlds.small_chain import (
    CHEAP,
    DEAR,
    GAS,
    SmallChain,
    keyframe,
    settings,
    threshold_engine,
    weth_pool,
)


def traded() -> tuple[Engine, SmallChain]:
    """One decision, filled a block later; then one more block."""
    first = keyframe()
    made, chain = threshold_engine(first), SmallChain(first)
    made.step(chain.mine(weth_pool(CHEAP, 2_450)))
    assert made.step(chain.mine()).fills
    made.step(chain.mine())
    return made, chain


def columns(made: Engine) -> dict[str, int]:
    names = ("sent", "filled", "reverted", "open", "profit_micro_usd", "gas_cost_micro_usd")
    return {name: made.ledger.value(settings().hash, name) for name in names}


def test_a_break_undoes_what_a_reorganisation_would() -> None:
    broken, chain = traded()
    forked, other = traded()
    decided = forked.market.block
    fork = BlockRef(101, BlockHash("0x101"))
    step = broken.step(Break(5, fork, "too deep for the collector"))
    assert [fill.block.number for fill in step.undone] == [102]
    assert step.dead_blocks == ("0x102", "0x103")
    assert (step.block.number, step.stale) == (101, False)
    assert columns(broken)["open"] == 1
    assert not broken.step(replace(broken.market.keyframe(), seq=6)).voided
    parent = replace(decided, number=101, hash=BlockHash("0x101"))
    steps = [
        made.step(each.mine(weth_pool(CHEAP, 2_500), parent=parent, branch="b"))
        for made, each in ((broken, chain), (forked, other))
    ]
    assert steps[0].fills == steps[1].fills != []
    assert steps[1].undone == step.undone
    assert columns(broken) == columns(forked)
    assert broken.market.pools == forked.market.pools
    assert broken.valuation.native_price == forked.valuation.native_price


def test_after_a_break_that_goes_too_far_back_nothing_is_known_until_the_keyframe() -> None:
    """And nothing that was filled stands."""
    made, chain = traded()
    made.step(chain.mine(weth_pool(CHEAP, 2_500)))
    decision = made.step(chain.mine(weth_pool(CHEAP, 2_450))).decisions[0]
    assert columns(made)["filled"] == 1
    step = made.step(Break(9, None, "another chain"))
    assert (made.is_lost, step.stale) == (True, True)
    (undone,) = step.undone
    assert step.dead_blocks == ("0x100", "0x101", "0x102", "0x103", "0x104", "0x105")
    assert columns(made) == dict.fromkeys(columns(made), 0) | {"sent": 2, "open": 2}
    lost = made.step(chain.mine(weth_pool(CHEAP, 2_300)))
    assert (lost.stale, lost.decisions, lost.fills) == (True, (), ())
    again = made.step(replace(keyframe(), seq=12))
    assert again.voided == (undone.decision, decision)
    assert not made.is_lost


@pytest.mark.parametrize(("pool", "withdrawn"), [(CHEAP, True), (GAS, False)])
def test_a_corrected_pool_withdraws_the_decisions_that_pass_it_and_no_others(
    pool: PoolKey, withdrawn: bool
) -> None:
    first = keyframe()
    made, chain = threshold_engine(first), SmallChain(first)
    decision = made.step(chain.mine(weth_pool(CHEAP, 2_450))).decisions[0]
    assert set(decision.cycle.pools) == {CHEAP, DEAR}
    now = made.market.keyframe()
    pools = tuple(
        replace(each, reserve0=each.reserve0 + 10**6) if each.key == pool else each  # type: ignore[type-var, attr-defined]
        for each in now.pools
    )
    step = made.step(replace(now, seq=50, pools=pools))
    assert step.voided == ((decision,) if withdrawn else ())
    assert made.market.pools[pool] == next(each for each in pools if each.key == pool)
    assert bool(made.step(chain.mine()).fills) is not withdrawn


def test_a_block_that_comes_twice_is_booked_once() -> None:
    first = keyframe()
    made, chain = threshold_engine(first), SmallChain(first)
    one, two = chain.mine(weth_pool(CHEAP, 2_450)), chain.mine()
    for update in (one, two):
        made.step(update)
    before = columns(made)
    for update in (one, two):
        step = made.step(update)
        assert (step.decisions, step.fills, step.undone) == ((), (), ())
    assert columns(made) == before
    assert made.market.block == two.block


def test_a_block_that_was_fetched_afterwards_is_not_traded_on() -> None:
    first = keyframe()
    made, chain = threshold_engine(first), SmallChain(first)
    step = made.step(replace(chain.mine(weth_pool(CHEAP, 2_450)), backfilled=True))
    assert step.opportunities
    assert step.stale
    assert not step.decisions


def test_a_break_behind_a_restated_market_undoes_what_came_before_that() -> None:
    """The market cannot go back there any more, the books can."""
    made, chain = traded()
    assert columns(made)["filled"] == 1
    now = made.market.keyframe()
    others = tuple(pool for pool in now.pools if pool.key != GAS)
    assert made.step(replace(now, seq=6, pools=others)).undone == ()
    made.step(chain.mine())
    step = made.step(Break(8, BlockRef(101, BlockHash("0x101")), "reorganised"))
    assert made.is_lost
    assert [fill.block.number for fill in step.undone] == [102]
    assert step.dead_blocks == ("0x102", "0x103", "0x104")
    assert (columns(made)["filled"], columns(made)["open"]) == (0, 1)
