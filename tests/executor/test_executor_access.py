"""Who may do what with an executor, and what it refuses to start."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

import pytest

from dexarb.amm.abi import encode
from dexarb.amm.uniswap_v2 import UniswapV2Pool
from dexarb.core.route import Cycle, Hop
from dexarb.core.token import Address, address_from_word
from dexarb.ends.executor_contract import (
    NATIVE_COIN,
    artifact,
    deploy_data,
    execute_data,
    revert_reason,
    withdraw_data,
)
from tests.amm.evm_world import OWNER, selector
from tests.executor.arena import STOCK, Arena, Trade
from tests.executor.attackers import (
    STRANGER,
    SWAP_V2,
    V2_CALLBACK,
    V3_CALLBACK,
    Habit,
    Stop,
    WaywardToken,
    call,
    route,
)
from tests.executor.chains import OPERATOR, Receipt, Request, RevmChain


@pytest.fixture(scope="module")
def built() -> Arena:
    return Arena(RevmChain(), Random(7), pools_per_pair=2)


@pytest.fixture
def arena(built: Arena) -> Iterator[Arena]:
    """An arena as it was built."""
    with built.chain.undone():
        yield built


def send(arena: Arena, sender: Address, data: bytes) -> Receipt:
    return arena.chain.mine(Request(sender, arena.executor, data))[0]


def winner(arena: Arena) -> Trade:
    """A cycle of two hops that pays."""
    while True:
        trade = arena.any_trade(2)
        if trade.amount_out > trade.amount_in:
            return trade


HOT = [Address("0x" + digit * 40) for digit in "abcd"]


@pytest.mark.parametrize("operators", [HOT[:1], HOT])
def test_roles_are_who_was_named_for_good(arena: Arena, operators: list[Address]) -> None:
    for owner in (OWNER, STRANGER):
        executor = arena.chain.deploy(deploy_data(owner, operators))
        assert address_from_word(arena.chain.read(executor, selector("OWNER()"))) == owner
        reply = arena.chain.read(executor, selector("operators()"))
        named = [address_from_word(reply[place : place + 32]) for place in range(0, 128, 32)]
        assert named == [*operators, *[NATIVE_COIN] * (4 - len(operators))]


def test_an_executor_without_owner_or_with_an_owner_who_runs_cannot_be_created(
    arena: Arena,
) -> None:
    for owner, operator in ((NATIVE_COIN, STRANGER), (OWNER, OWNER)):
        data = encode(artifact().bytecode, owner, operator, 0, 0, 0)
        with pytest.raises(RuntimeError, match="Revert"):
            arena.chain.deploy(data)


def test_every_operator_executes_and_nobody_else(arena: Arena) -> None:
    """The zero address stands in the places that are left, and nobody can send from it."""
    trade = winner(arena)
    executor = arena.chain.deploy(deploy_data(OWNER, HOT))
    arena.pay(trade.cycle.start_token, executor, STOCK)
    for flash in (False, True):
        data = arena.execution(trade, 1, flash=flash).data
        for sender in (*HOT, OWNER, STRANGER, OPERATOR):
            with arena.chain.undone():
                receipt = arena.chain.mine(Request(sender, executor, data))[0]
            assert receipt.succeeded == (sender in HOT)
            assert receipt.succeeded or revert_reason(receipt.output) == "not operator"


def test_nobody_but_the_owner_withdraws(arena: Arena) -> None:
    arena.chain.give(arena.executor, 10**18)
    for sender in (STRANGER, OPERATOR):
        for token in (*arena.tokens, NATIVE_COIN):
            refused = send(arena, sender, withdraw_data(token, 1))
            assert not refused.succeeded
            assert revert_reason(refused.output) == "not owner"


def test_the_owner_withdraws_tokens(arena: Arena) -> None:
    token = arena.tokens[0]
    before = arena.balance(token, OWNER)
    assert send(arena, OWNER, withdraw_data(token, STOCK - 5)).succeeded
    assert arena.balance(token, OWNER) == before + STOCK - 5
    assert arena.balance(token, arena.executor) == 5
    assert not send(arena, OWNER, withdraw_data(token, 6)).succeeded


def test_the_owner_withdraws_native_coins_that_were_forced_in(arena: Arena) -> None:
    chain = arena.chain
    assert isinstance(chain, RevmChain)
    chain.give(arena.executor, 10**18)
    before = chain.evm.get_balance(OWNER)
    assert send(arena, OWNER, withdraw_data(NATIVE_COIN, 10**18 - 1)).succeeded
    assert chain.evm.get_balance(OWNER) == before + 10**18 - 1
    assert chain.evm.get_balance(arena.executor) == 1


def test_native_coins_are_not_taken(arena: Arena) -> None:
    assert isinstance(arena.chain, RevmChain)
    with pytest.raises(RuntimeError, match="Revert"):
        arena.chain.evm.message_call(OWNER, arena.executor, b"", value=1)


@pytest.mark.parametrize("habit", [Habit.RETURNS_NOTHING, Habit.NONE])
def test_tokens_that_return_nothing_are_withdrawn(arena: Arena, habit: Habit) -> None:
    token = WaywardToken(arena)
    arena.pay(token.address, arena.executor, 100)
    token.behave(habit)
    assert send(arena, OWNER, withdraw_data(token.address, 60)).succeeded
    assert arena.balance(token.address, OWNER) == 60


def test_tokens_that_return_false_are_an_error(arena: Arena) -> None:
    token = WaywardToken(arena)
    arena.pay(token.address, arena.executor, 100)
    token.behave(Habit.RETURNS_FALSE)
    assert not send(arena, OWNER, withdraw_data(token.address, 60)).succeeded


def test_a_token_without_code_is_an_error(arena: Arena) -> None:
    assert not send(arena, OWNER, withdraw_data(STRANGER, 0)).succeeded


@pytest.mark.parametrize("sender", [STRANGER, OWNER])
def test_callbacks_outside_a_run_are_refused(arena: Arena, sender: Address) -> None:
    for amounts in ((0, 0), (1, 0), (0, 1)):
        calls = [
            call(V3_CALLBACK, *amounts, 96, 0),
            call(V2_CALLBACK, sender, *amounts, 128, 0),
        ]
        for data in calls:
            refused = send(arena, sender, data)
            assert not refused.succeeded
            assert revert_reason(refused.output) == "not called"


def test_a_real_pair_sent_by_a_stranger_is_refused(arena: Arena) -> None:
    """Anyone can make a pair send the executor tokens and call it back."""
    pair = next(pool for pool in arena.pools.values() if isinstance(pool, UniswapV2Pool))
    data = call(SWAP_V2, 1000, 0, arena.executor, 128, 1, tail=b"f".ljust(32, b"\0"))
    refused = arena.chain.mine(Request(STRANGER, pair.address, data))[0]
    assert not refused.succeeded
    assert revert_reason(refused.output) == "not called"


def test_the_deadline_is_the_last_block(arena: Arena) -> None:
    trade = winner(arena)
    for blocks_left, in_time in ((1, True), (0, False)):
        deadline = arena.chain.block_number + blocks_left
        pools = arena.pools.__getitem__
        data = execute_data(trade.cycle, pools, trade.amount_in, 1, deadline)
        with arena.chain.undone():
            receipt = send(arena, OPERATOR, data)
        assert receipt.succeeded == in_time
        assert in_time or revert_reason(receipt.output) == "too late"


def test_a_minimum_profit_is_kept(arena: Arena) -> None:
    trade = winner(arena)
    profit = trade.amount_out - trade.amount_in
    for min_profit, kept in ((profit, True), (profit + 1, False)):
        data = execute_data(
            trade.cycle,
            arena.pools.__getitem__,
            trade.amount_in,
            1,
            arena.chain.block_number + 1,
            min_profit=min_profit,
        )
        with arena.chain.undone():
            receipt = send(arena, OPERATOR, data)
        assert receipt.succeeded == kept
        assert kept or revert_reason(receipt.output) in ("moved", "too little received")


def test_cycles_are_two_to_four_hops_long(arena: Arena) -> None:
    trade = winner(arena)
    hops = [Stop(Address(hop.pool), hop.token_in, 0) for hop in trade.cycle.hops]
    alone = send(arena, OPERATOR, route(hops[:1], 1000))
    assert revert_reason(alone.output) == "no cycle"
    assert not send(arena, OPERATOR, route([], 1000)).succeeded
    assert not send(arena, OPERATOR, route(hops * 3, 1000)).succeeded
    long = Cycle(tuple(Hop(h.pool, h.token_in, h.token_out) for h in trade.cycle.hops * 3))
    with pytest.raises(ValueError, match="2 to 4 hops"):
        execute_data(long, arena.pools.__getitem__, 1, 1, 1)


@pytest.mark.parametrize("kind", [2, 255])
def test_kinds_of_pools_that_it_does_not_know_are_refused(arena: Arena, kind: int) -> None:
    """In any place of the route, before anything is read or moved there."""
    trade = winner(arena)
    for odd in range(2):
        stops = [
            Stop(
                Address(hop.pool),
                hop.token_in,
                kind if place == odd else int(arena.is_v3(Address(hop.pool))),
            )
            for place, hop in enumerate(trade.cycle.hops)
        ]
        refused = send(arena, OPERATOR, route(stops, trade.amount_in))
        assert not refused.succeeded
        assert revert_reason(refused.output) == "unknown kind"


def test_nothing_is_approved(arena: Arena) -> None:
    """No event of the executor's own, nor of a token about an approval that it gave."""
    approval = selector("Approval(address,address,uint256)")
    withdrawal = Request(OWNER, arena.executor, withdraw_data(arena.tokens[0], 1))
    for flash in (False, True):
        trade = winner(arena)
        for request in (arena.execution(trade, 1, flash=flash), withdrawal):
            receipt = arena.chain.mine(request)[0]
            assert receipt.succeeded
            arena.follow(receipt)
            for log in receipt.logs:
                assert log.address != arena.executor
                assert log.topics[0][:4] != approval
