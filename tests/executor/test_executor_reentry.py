"""Runs that are started inside a run, by whoever has stolen an operator's key.

An operator can be an account with code (EIP-7702), so it can be called in the middle of a run and
call the executor back. Inside is a route that would run at any other time, and leave a trace.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest
from eth_account import Account

from dexarb.core.token import Address, to_address
from dexarb.ends.executor_contract import revert_reason
from tests.executor.arena import STOCK
from tests.executor.attackers import (
    GO,
    LOCK,
    MOVING,
    SWAP_V3,
    WITNESS,
    Act,
    Habit,
    Puppet,
    Stage,
    Stop,
    Wayward,
    deltas,
    deploy_executor,
    encoded,
    route,
    transfer,
    v3_callback,
)
from tests.executor.chains import OPERATOR, Receipt, anvil_chain

PAID, SENT = 10**9, 2 * 10**9


def new_puppet(stage: Stage) -> Puppet:
    puppet = Puppet(stage.arena)
    for token in (stage.a, stage.b):
        stage.arena.pay(token, puppet.address, STOCK)
    return puppet


def plays(
    puppet: Puppet, executor: Address, tokens: tuple[Address, Address], paid: int, *acts: Act
) -> Stop:
    """An honest pool, which does something else when it is done."""
    amounts = deltas(*tokens, paid, SENT)
    duty = transfer(tokens[1], executor, SENT), v3_callback(executor, *amounts)
    puppet.learn(SWAP_V3, *duty, *acts, answer=encoded(*amounts))
    return Stop(puppet.address, tokens[0], 1)


def inner_route(stage: Stage, executor: Address) -> bytes:
    """A route of its own, whose last pool leaves a trace."""
    a, b = stage.a, stage.b
    trace = transfer(a, WITNESS, 1)
    stops = [
        plays(new_puppet(stage), executor, (a, b), PAID),
        plays(new_puppet(stage), executor, (b, a), SENT, trace),
    ]
    return route(stops, PAID)


Start = Callable[[], Receipt]
Attack = Callable[[Stage, Address, list[Act]], Start]
"""The run that is made, and in which puppets[0], which has a key, does these acts."""


def from_a_pool(stage: Stage, executor: Address, acts: list[Act]) -> Start:
    first, second = stage.puppets[0], new_puppet(stage)
    stops = [
        plays(first, executor, (stage.a, stage.b), PAID, *acts),
        plays(second, executor, (stage.b, stage.a), SENT),
    ]
    return lambda: stage.run(executor, route(stops, PAID))


def from_a_pool_inside_a_flash_callback(stage: Stage, executor: Address, acts: list[Act]) -> Start:
    """The first pool waits for its callback to return while the second one is called."""
    first, second = new_puppet(stage), stage.puppets[0]
    stops = [
        plays(first, executor, (stage.a, stage.b), PAID),
        plays(second, executor, (stage.b, stage.a), SENT, *acts),
    ]
    return lambda: stage.run(executor, route(stops, PAID, flash=True))


def from_a_token(stage: Stage, executor: Address, acts: list[Act]) -> Start:
    return moved_token(stage, executor, acts, flash=False)


def from_a_token_in_a_flash_swap(stage: Stage, executor: Address, acts: list[Act]) -> Start:
    return moved_token(stage, executor, acts, flash=True)


def moved_token(stage: Stage, executor: Address, acts: list[Act], *, flash: bool) -> Start:
    """In ways in which the token moves while no pool is waiting to be paid."""
    wayward = Wayward(stage)
    start = wayward.token.address if flash else stage.a
    trade = wayward.winner(start, pair_first=not flash)
    stage.puppets[0].learn(MOVING, *acts)
    wayward.token.behave(Habit.NONE, hook=stage.puppets[0].address)
    request = stage.arena.execution(trade, trade.amount_out, flash=flash, executor=executor)
    return lambda: stage.arena.chain.mine(request)[0]


ATTACKS: list[Attack] = [
    from_a_pool,
    from_a_pool_inside_a_flash_callback,
    from_a_token,
    from_a_token_in_a_flash_swap,
]


def outcome(stage: Stage, executor: Address, start: Start) -> dict[Address, int]:
    """What the executor has gained of each token; the run succeeds."""
    before = stage.arena.balances(executor)
    receipt = start()
    assert receipt.succeeded, revert_reason(receipt.output)
    now = stage.arena.balances(executor)
    return {token: now[token] - before[token] for token in now}


@pytest.mark.parametrize("attack", ATTACKS, ids=[attack.__name__ for attack in ATTACKS])
def test_a_run_inside_a_run_with_a_stolen_key_comes_to_nothing(
    stage: Stage, attack: Attack
) -> None:
    assert_comes_to_nothing(stage, attack)


def test_nor_does_one_by_an_operator_who_carries_code_on_a_real_node() -> None:
    """An account with a key, which a pool calls in the middle of a run (EIP-7702)."""
    thief = Account.from_key(b"\x07" * 32)
    with anvil_chain() as chain:
        stage = Stage(chain)
        chain.delegate(thief, stage.puppets[0].address)
        lent = to_address(thief.address)
        assert chain.code(lent) == b"\xef\x01\x00" + bytes.fromhex(stage.puppets[0].address[2:])
        stage.puppets[0] = Puppet(stage.arena, lent)
        for token in stage.arena.tokens:
            stage.arena.pay(token, lent, STOCK)
        assert_comes_to_nothing(stage, from_a_pool)


def assert_comes_to_nothing(stage: Stage, attack: Attack) -> None:
    """The run around it comes out as if nobody had tried. Without the lock the inner one runs."""
    keys = [OPERATOR, stage.puppets[0].address]
    gains = []
    for without, tries in (((), False), ((), True), ((LOCK,), True)):
        with stage.arena.chain.undone():
            executor = deploy_executor(stage.arena, *without, operators=keys)
            inner = Act(executor, inner_route(stage, executor))
            pools, stage.arena.rng = dict(stage.arena.pools), Random(1)
            start = attack(stage, executor, [inner] if tries else [])
            gains.append(outcome(stage, executor, start))
            assert stage.arena.balance(stage.a, WITNESS) > 0 or not without
            assert stage.arena.balance(stage.a, WITNESS) == 0 or without
        stage.arena.pools = pools
    assert gains[0] == gains[1] != gains[2]
    assert min(gains[0].values()) >= 0


def test_a_stolen_key_makes_runs_one_after_the_other_in_one_transaction(stage: Stage) -> None:
    """The lock is open again behind a run: it is one run at a time, not one a transaction."""
    operator = stage.puppets[0]
    executor = deploy_executor(stage.arena, operators=[operator.address])
    inner = Act(executor, inner_route(stage, executor))
    operator.learn(GO, inner, inner)
    assert operator.play(GO).succeeded
    assert stage.arena.balance(stage.a, WITNESS) == 2
