"""Hostile pools and tokens in routes of our own: whatever they do, the executor loses nothing.

The executor holds a stock of every token. After a run, however it ended, it must hold no less of
any honest token. Executors that lack one of their guards show that these attacks would succeed.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest

from dexarb.amm.uniswap_v2 import UniswapV2Pool
from dexarb.amm.uniswap_v3 import UniswapV3Pool
from dexarb.core.pool import PoolKey
from dexarb.core.token import Address
from dexarb.ends.executor_contract import revert_reason, withdraw_data
from tests.amm.evm_world import selector
from tests.executor.arena import STOCK
from tests.executor.attackers import (
    ARRIVED,
    ARRIVED_FLASH,
    GO,
    MINIMUM,
    MUST_CALL_BACK,
    ONCE,
    OWNER_CHECK,
    SWAP_V2,
    SWAP_V3,
    Act,
    Stage,
    Stop,
    deltas,
    deploy_executor,
    encoded,
    route,
    transfer,
    v2_callback,
    v3_callback,
)
from tests.executor.chains import OPERATOR, Receipt

AMOUNT = 10**9


Attack = Callable[[Stage, Address], Receipt]


def honest_puppet(stage: Stage, executor: Address, flash: bool = False) -> Receipt:
    """No attack: a puppet that pays what it says and collects what it is due."""
    paid, sent = AMOUNT, 2 * AMOUNT
    answer = deltas(stage.a, stage.b, paid, sent)
    stage.puppets[0].learn(
        SWAP_V3,
        transfer(stage.b, executor, sent),
        v3_callback(executor, *answer),
        answer=encoded(*answer),
    )
    stage.puppets[1].learn(
        SWAP_V3,
        transfer(stage.a, executor, sent),
        v3_callback(executor, *deltas(stage.b, stage.a, sent, sent)),
        answer=encoded(*deltas(stage.b, stage.a, sent, sent)),
    )
    stops = [
        Stop(stage.puppets[0].address, stage.a, True),
        Stop(stage.puppets[1].address, stage.b, True),
    ]
    return stage.run(executor, route(stops, AMOUNT, flash=flash))


def sends_nothing(stage: Stage, executor: Address) -> Receipt:
    """The first pool lies about its output, and the executor would sell its own stock."""
    claim = deltas(stage.a, stage.b, AMOUNT, STOCK >> 60)
    puppet = stage.puppets[0]
    puppet.learn(SWAP_V3, v3_callback(executor, *claim), answer=encoded(*claim))
    stops = [Stop(puppet.address, stage.a, True), stage.real(UniswapV3Pool, stage.b, stage.a)]
    return stage.run(executor, route(stops, AMOUNT))


def sends_nothing_ahead(stage: Stage, executor: Address) -> Receipt:
    """The same in a flash swap, from a V3 pool."""
    claim = deltas(stage.a, stage.b, AMOUNT, STOCK >> 60)
    puppet = stage.puppets[0]
    puppet.learn(SWAP_V3, v3_callback(executor, *claim), answer=encoded(*claim))
    stops = [Stop(puppet.address, stage.a, True), stage.real(UniswapV3Pool, stage.b, stage.a)]
    return stage.run(executor, route(stops, AMOUNT, flash=True))


def pair_sends_nothing_ahead(stage: Stage, executor: Address) -> Receipt:
    """The same in a flash swap, from a V2 pair."""
    puppet = stage.puppets[0]
    # So much is offered that the run starts.
    reserves = (1 << 60, 1 << 111) if stage.a < stage.b else (1 << 111, 1 << 60)
    puppet.learn("getReserves()", answer=encoded(*reserves, 0))
    puppet.learn(SWAP_V2, v2_callback(executor, STOCK >> 60, 0))
    stops = [Stop(puppet.address, stage.a, False), stage.real(UniswapV2Pool, stage.b, stage.a)]
    return stage.run(executor, route(stops, AMOUNT, flash=True))


def keeps_the_input(stage: Stage, executor: Address) -> Receipt:
    """The last pool takes its input and sends nothing."""
    puppet = stage.puppets[0]
    claim = deltas(stage.b, stage.a, 0, 10 * AMOUNT)
    stops = [stage.real(UniswapV2Pool, stage.a, stage.b), Stop(puppet.address, stage.b, True)]
    asked = quoted(stage, stops[0], AMOUNT)
    puppet.learn(
        SWAP_V3,
        v3_callback(executor, *deltas(stage.b, stage.a, asked, 10 * AMOUNT)),
        answer=encoded(*claim),
    )
    return stage.run(executor, route(stops, AMOUNT))


def collects_twice(stage: Stage, executor: Address) -> Receipt:
    """The last pool pays well, and collects its input a second time out of the stock."""
    puppet = stage.puppets[0]
    stops = [stage.real(UniswapV2Pool, stage.a, stage.b), Stop(puppet.address, stage.b, True)]
    asked = quoted(stage, stops[0], AMOUNT)
    claim = deltas(stage.b, stage.a, asked, AMOUNT + 1)
    collect = v3_callback(executor, *claim)
    puppet.learn(
        SWAP_V3,
        transfer(stage.a, executor, AMOUNT + 1),
        collect,
        collect,
        answer=encoded(*claim),
    )
    return stage.run(executor, route(stops, AMOUNT))


def collects_after_the_run(stage: Stage, executor: Address) -> Receipt:
    """The operator is a contract that calls others: a pool collects when the run is over.

    The run itself ends even, because the pool has neither paid nor been paid.
    """
    pool, operator = stage.puppets
    claim = deltas(stage.a, stage.b, AMOUNT, 1)
    pool.learn(SWAP_V3, transfer(stage.b, executor, 1), answer=encoded(*claim))
    pool.learn(GO, v3_callback(executor, *claim))
    pool.learn(SWAP_V2)
    pool.learn("getReserves()", answer=encoded(1 << 100, 1 << 100, 0))
    stops = [Stop(pool.address, stage.a, True), Stop(pool.address, stage.b, False)]
    operator.learn(GO, Act(executor, route(stops, AMOUNT)), Act(pool.address, selector(GO)))
    return operator.play(GO)


def helps_himself(stage: Stage, executor: Address) -> Receipt:
    """Whoever has an operator's key withdraws... if he can; the owner gets it, but not by his own
    will."""
    return stage.run(executor, withdraw_data(stage.a, 1))


ATTACKS: dict[Attack, tuple[str, ...]] = {
    sends_nothing: (ARRIVED,),
    sends_nothing_ahead: (ARRIVED_FLASH,),
    pair_sends_nothing_ahead: (ARRIVED_FLASH,),
    keeps_the_input: (MINIMUM,),
    collects_twice: (ONCE, MUST_CALL_BACK),
    collects_after_the_run: (MUST_CALL_BACK,),
    helps_himself: (OWNER_CHECK,),
}
"""Each with the guards that stand in its way."""


def quoted(stage: Stage, stop: Stop, amount_in: int) -> int:
    return stage.arena.pools[PoolKey(stop.pool)].swap(stop.token_in, amount_in).amount_out


@pytest.mark.parametrize("flash", [False, True])
def test_a_puppet_can_play_a_pool(stage: Stage, flash: bool) -> None:
    """Else the attacks would fail for reasons of their own."""
    executor = stage.arena.executor
    before = stage.arena.balances(executor)
    receipt = honest_puppet(stage, executor, flash)
    assert receipt.succeeded, revert_reason(receipt.output)
    after = stage.arena.balances(executor)
    assert {t: after[t] - before[t] for t in after if after[t] != before[t]} == {stage.a: AMOUNT}


@pytest.mark.parametrize(
    ("attack", "guards"), ATTACKS.items(), ids=[attack.__name__ for attack in ATTACKS]
)
def test_guards_stand_in_the_way(stage: Stage, attack: Attack, guards: tuple[str, ...]) -> None:
    """The attack takes nothing from the executor, and something from one without the guards."""
    operator = stage.puppets[1].address if attack is collects_after_the_run else OPERATOR
    for without in ((), guards):
        executor = deploy_executor(stage.arena, *without, operators=[operator])
        before = stage.arena.balances(executor)
        attack(stage, executor)
        assert bool(stage.lost(executor, before)) == bool(without)
