"""Pools come and go while trading: what passes none of them goes on as if nothing had happened."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from dexarb.amm.uniswap_v2 import UniswapV2Pool
from dexarb.core.block import Block, BlockRef
from dexarb.core.market import Break, Entry, PoolsChanged
from dexarb.core.pool import Pool, PoolKey
from dexarb.core.trade import Decision, DecisionId
from dexarb.trading.engine import Engine
from dexarb.trading.models.value import ValueModel
from dexarb.trading.seams import Step
from tests.support.scripted import Scripted
from tests.support.worlds.engines import engine, scanned_anew
from tests.support.worlds.pools import token
from tests.support.worlds.pools import v2 as plain_pool
from tests.support.worlds.random_chain import RandomChain
from tests.support.worlds.small_chain import (
    CHEAP,
    DEAR,
    GAS,
    USDC,
    WETH,
    WMATIC,
    SmallChain,
    keyframe,
    settings,
    threshold_engine,
    v2,
    weth_pool,
)

THIRD = PoolKey("0x" + "a4" * 20)
OUTCOMES = ("filled", "reverted", "lost", "expired", "reorged", "open")


def at(block: Block) -> BlockRef:
    return BlockRef(block.number, block.hash)


def changed(
    made: Engine, *, joined: tuple[Pool, ...] = (), left: tuple[PoolKey, ...] = ()
) -> PoolsChanged:
    return PoolsChanged(made.seq + 1, at(made.market.block), (), joined, left)


def told(step: Step) -> dict[str, object]:
    """All that a step says but the number of its entry."""
    return {each.name: getattr(step, each.name) for each in fields(step) if each.name != "seq"}


# -- decisions -------------------------------------------------------------------------------------


def test_decisions_through_a_pool_that_leaves_are_void_and_no_others() -> None:
    first = keyframe()
    made, chain = threshold_engine(first), SmallChain(first)
    decision = made.step(chain.mine(weth_pool(CHEAP, 2_450))).decisions[0]
    assert not made.step(changed(made, left=(GAS,))).voided
    step = made.step(changed(made, left=(DEAR,)))
    assert step.voided == (decision,)
    assert (step.block, step.stale, step.fills) == (made.market.block, False, ())
    assert made.ledger.value(settings().hash, "reorged") == 1
    assert made.ledger.value(settings().hash, "open_capital_micro_usd") == 0
    assert not made.ledger.busy([CHEAP]).any()
    assert not made.step(chain.mine(weth_pool(CHEAP, 2_500))).fills


def test_a_corrected_pool_voids_what_was_decided_on_its_wrong_state() -> None:
    first = keyframe()
    made, chain = threshold_engine(first), SmallChain(first)
    decision = made.step(chain.mine(weth_pool(CHEAP, 2_450))).decisions[0]
    entry = changed(made, joined=(weth_pool(DEAR, 2_450),), left=(DEAR,))
    assert made.step(entry).voided == (decision,)
    assert made.market.pools[DEAR] == weth_pool(DEAR, 2_450)
    # By the right state there was no spread, so the next one is another one.
    step = made.step(chain.mine(weth_pool(DEAR, 2_500)))
    assert not step.fills
    assert step.decisions


def test_a_pool_that_joins_is_traded_through_from_the_next_block_on() -> None:
    first = keyframe()
    made, chain = threshold_engine(first), SmallChain(first)
    made.step(chain.mine())
    step = made.step(changed(made, joined=(weth_pool(THIRD, 2_450),)))
    assert (step.decisions, step.opportunities) == ((), ())
    assert made.episodes.by_id().keys() == made.scan.open_cycles.keys()
    assert set(made.episodes.by_id().values()) == {101}
    decisions = made.step(chain.mine()).decisions
    assert decisions
    assert all(THIRD in decision.cycle.pools for decision in decisions)


def test_a_reorganisation_behind_a_leave_does_not_open_its_decisions_again() -> None:
    """One was void when the pool left, the fill of another is undone only now."""
    first = keyframe()
    made, chain = threshold_engine(first), SmallChain(first)
    filled = made.step(chain.mine(weth_pool(CHEAP, 2_450))).decisions[0]
    fork_point = chain.tip
    assert made.step(chain.mine(weth_pool(CHEAP, 2_500))).fills
    open_still = made.step(chain.mine(weth_pool(CHEAP, 2_450))).decisions[0]
    assert made.step(changed(made, left=(DEAR,))).voided == (open_still,)
    made.step(chain.mine())
    step = made.step(chain.mine(weth_pool(CHEAP, 2_400), parent=fork_point, branch="b"))
    assert [fill.decision for fill in step.undone] == [filled]
    assert step.voided == (filled,)
    assert not step.fills
    assert DEAR not in made.market.pools
    ledger = made.ledger
    assert [ledger.value(settings().hash, name) for name in OUTCOMES] == [0, 0, 0, 0, 2, 0]


def test_a_reorganisation_behind_a_join_voids_what_was_decided_through_it() -> None:
    first = keyframe()
    made, chain = threshold_engine(first), SmallChain(first)
    made.step(chain.mine())
    fork_point = chain.tip
    made.step(chain.mine())
    made.step(changed(made, joined=(weth_pool(THIRD, 2_450),)))
    decision = made.step(chain.mine()).decisions[0]
    assert made.step(chain.mine()).fills
    step = made.step(chain.mine(parent=fork_point, branch="b"))
    assert [fill.decision for fill in step.undone] == [decision]
    assert step.voided == (decision,)
    assert THIRD not in made.market.pools
    assert not made.scan.open_cycles


# -- everything else -------------------------------------------------------------------------------


def play(seed: int, *, with_changes: bool) -> tuple[list[Step], Engine]:
    """Trading with reorganisations. The changes are of a pool that no cycle passes."""
    chain = RandomChain("unrelated", seed, noise=0.01)
    made = engine(chain.first, [Scripted({"a": {}, "b": {"latency_ms": 1_500}})])
    rng = np.random.default_rng(seed)
    aside = plain_pool(99, (token(7), token(8)), 10**20, 10**20)
    branch, steps = [chain.first.block], []
    for number in range(60):
        if number % 6 == 5:
            del branch[max(1, len(branch) - int(rng.integers(1, 4))) :]
        update = chain.mine(parent=branch[-1])
        branch.append(update.block)
        steps.append(made.step(update))
        kind = rng.choice(["nothing", "leave", "state"])
        if with_changes and kind != "nothing":
            there = aside.key in made.market.pools
            moved = replace(aside, reserve0=10**20 + number)  # type: ignore[type-var]
            joined = (moved,) if kind == "state" else ()
            left = (aside.key,) if there else ()
            step = made.step(PoolsChanged(0, at(made.market.block), (), joined, left))
            assert told(step) == told(Step(0, made.market.block))
    return steps, made


@pytest.mark.parametrize("seed", range(4))
def test_pools_that_no_cycle_passes_change_nothing(seed: int) -> None:
    steps, made = play(seed, with_changes=False)
    others, other = play(seed, with_changes=True)
    assert sum(len(step.fills) for step in steps) > 10
    assert any(step.undone for step in steps)
    assert list(map(told, steps)) == list(map(told, others))
    for name in ("sent", *OUTCOMES, "profit_micro_usd", "band_low_micro_usd"):
        assert (made.ledger.column(name) == other.ledger.column(name)).all()
    assert made.episodes.by_id() == other.episodes.by_id()


@pytest.mark.parametrize("seed", range(6))
def test_when_a_pool_leaves_the_decisions_through_others_settle_as_if_it_had_not(seed: int) -> None:
    """Nothing is decided after it, and the blocks since are reorganised once."""
    slow = {"slow": lambda made: made._replace(deadline_block=made.first_block + 4)}
    chain = RandomChain("leaves", seed, noise=0.02)
    stays, leaves = (engine(chain.first, [Scripted({"now": {}, **slow})]) for _ in "ab")
    under_way: dict[DecisionId, Decision] = {}
    for _ in range(12):
        update = chain.mine()
        for decision in stays.step(update).decisions:
            under_way[decision.id] = decision
        settled = leaves.step(update).fills
        for fill in settled:
            del under_way[fill.decision.id]
    fork_point = chain.tip
    gone = max(chain.first.pools, key=lambda pool: sum(
        pool.key in each.cycle.pools for each in under_way.values()
    )).key  # fmt: skip
    stays.deciding = leaves.deciding = False
    step = leaves.step(changed(leaves, left=(gone,)))
    voided = {decision.id for decision in step.voided}
    through = {key for key, each in under_way.items() if gone in each.cycle.pools}
    assert voided == through
    for parent in (fork_point, None, None, fork_point, None, None, None, None, None):
        update = chain.mine(parent=parent)
        whole, less = stays.step(update), leaves.step(update)
        for name in ("fills", "undone"):
            expected = [f for f in getattr(whole, name) if gone not in f.decision.cycle.pools]
            assert list(getattr(less, name)) == expected
        assert not less.voided
        assert less.dead_blocks == whole.dead_blocks
        assert list(less.evidence) == [e for e in whole.evidence if gone not in e.cycle.pools]


@pytest.mark.parametrize("seed", range(6))
def test_after_any_changes_and_reorganisations_the_search_is_a_new_ones_and_the_books_add_up(
    seed: int,
) -> None:
    chain = RandomChain("any", seed, noise=0.02)
    rng = np.random.default_rng(seed)
    first = replace(chain.first, pools=chain.first.pools[:6])
    made = engine(first, [Scripted({"a": {}, "b": {"first_block": 10**6}})])
    branch = [first.block]
    kinds = set()
    for _ in range(80):
        if rng.random() < 0.2:
            del branch[max(1, len(branch) - int(rng.integers(1, 6))) :]
        update = chain.mine(parent=branch[-1])
        branch.append(update.block)
        entries: list[Entry] = [update]
        while entries:
            step = made.step(entries.pop())
            assert not made.is_lost
            there = made.market.pools
            assert all(set(each.cycle.pools) <= there.keys() for each in step.decisions)
            assert all(set(each.cycle.pools) <= there.keys() for each in step.evidence)
            assert all(set(each.decision.cycle.pools) <= there.keys() for each in step.fills)
            fresh = scanned_anew(made.market, made.valuation)
            assert made.scan.open_cycles == fresh.open_cycles
            assert made.scan.opportunities == fresh.opportunities
            assert made.episodes.by_id().keys() == fresh.open_cycles.keys()
            columns = {name: made.ledger.column(name) for name in ("sent", *OUTCOMES)}
            assert (columns["sent"] == sum(columns[name] for name in OUTCOMES)).all()
            kinds |= {name for name in ("undone", "voided", "fills") if getattr(step, name)}
        if rng.random() < 0.4:
            truth = chain.states_at(update.block)
            left = tuple(a for a in sorted(made.market.pools) if rng.random() < 0.1)
            absent = [a for a in sorted(truth) if a not in made.market.pools or a in left]
            joined = tuple(truth[a] for a in absent if rng.random() < 0.4)
            entries.append(changed(made, joined=joined, left=left))
            made.step(entries.pop())
            fresh = scanned_anew(made.market, made.valuation)
            assert made.scan.opportunities == fresh.opportunities
        for name, pool in made.market.pools.items():
            assert chain.states_at(update.block)[name] == pool
    assert kinds == {"undone", "voided", "fills"}


# -- prices ----------------------------------------------------------------------------------------


def price_of(made: Engine) -> int | None:
    """Of a WETH in micro-USD, rounded down."""
    return made.valuation.micro_usd(WETH, 10**18)


def test_what_a_pool_said_that_has_left_leaves_the_price_as_the_blocks_go_by() -> None:
    first = keyframe()
    made, chain = threshold_engine(first), SmallChain(first)
    for _ in range(3):
        made.step(chain.mine(weth_pool(DEAR, 2_500)))
    price = price_of(made)
    made.step(changed(made, left=(DEAR,)))
    for _ in range(ValueModel().window_blocks - 1):
        assert price_of(made) == price
        made.step(chain.mine())
    assert price_of(made) is None
    made.step(changed(made, joined=(weth_pool(DEAR, 2_600),)))
    assert price_of(made) == 2_600 * 10**6 - 1


def test_a_price_from_before_a_leave_is_not_carried_on_behind_a_reorganisation() -> None:
    first = keyframe()
    made, chain = threshold_engine(first), SmallChain(first)
    made.step(chain.mine(weth_pool(DEAR, 2_500)))
    fork_point = chain.tip
    made.step(chain.mine())
    made.step(changed(made, left=(DEAR,)))
    made.step(chain.mine(parent=fork_point, branch="b"))
    for _ in range(ValueModel().window_blocks):
        made.step(chain.mine(branch="b"))
    assert price_of(made) is None


def test_a_corrected_reference_pool_begins_a_new_window_and_the_others_keep_theirs() -> None:
    first = keyframe()
    made, chain = threshold_engine(first), SmallChain(first)
    dear_gas: UniswapV2Pool = v2(GAS, WMATIC, 4_000_000 * 10**18, 4_000_000 * 10**6)
    for _ in range(5):
        made.step(chain.mine(weth_pool(DEAR, 2_500)))
    made.step(chain.mine(weth_pool(DEAR, 2_500), dear_gas))
    gas = made.valuation.price(WMATIC)
    made.step(changed(made, joined=(weth_pool(DEAR, 2_600),), left=(DEAR,)))
    assert price_of(made) == 2_600 * 10**6 - 1
    assert made.valuation.price(WMATIC) == gas
    assert made.valuation.price(USDC) is not None


# -- evidence --------------------------------------------------------------------------------------


def test_what_became_of_a_spread_through_a_pool_that_left_is_never_told() -> None:
    first = keyframe()
    made, chain = threshold_engine(first), SmallChain(first)
    assert made.step(chain.mine(weth_pool(CHEAP, 2_450))).decisions
    fork_point = chain.tip
    made.step(chain.mine(weth_pool(CHEAP, 2_440)))
    made.step(changed(made, left=(DEAR,)))
    made.step(changed(made, joined=(weth_pool(DEAR, 2_500),)))
    assert not made.step(chain.mine(weth_pool(CHEAP, 2_500))).evidence
    assert not made.step(chain.mine(parent=fork_point, branch="b")).evidence


# -- episodes --------------------------------------------------------------------------------------


def test_what_a_pool_that_left_had_open_is_not_told_of_the_pool_in_its_place() -> None:
    """Open from block 1 to 3; a reorganisation opens it again, were the pool still there."""
    first = keyframe()
    made, chain = engine(first, []), SmallChain(first)
    blocks = [
        chain.mine(weth_pool(CHEAP, 2_450)),
        chain.mine(),
        chain.mine(weth_pool(CHEAP, 2_500)),
    ]
    for update in blocks[:2]:
        made.step(update)
    assert set(made.episodes.by_id().values()) == {blocks[0].block.number}
    made.step(blocks[2])
    assert not len(made.episodes)
    made.step(changed(made, left=(CHEAP,)))
    made.step(Break(made.seq + 1, at(blocks[1].block), "a test"))
    # Of as many tokens, so that it takes the place that is free.
    third = weth_pool(THIRD, 2_450)
    made.step(changed(made, joined=(third,)))
    assert {pool for cycle, _ in made.episodes.items() for pool in cycle.pools} == {THIRD, DEAR}
    assert set(made.episodes.by_id().values()) == {blocks[1].block.number}
