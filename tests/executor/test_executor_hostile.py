"""Tokens that misbehave in real pools, and pools that try whatever comes to their mind."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random

import pytest

from dexarb.amm.abi import unsigned
from dexarb.amm.uniswap_v2 import UniswapV2Pool
from dexarb.amm.uniswap_v3 import UniswapV3Pool
from dexarb.core.pool import PoolKey
from dexarb.core.token import Address
from dexarb.ends.executor_contract import revert_reason, withdraw_data
from tests.executor.arena import Arena, Trade
from tests.executor.attackers import (
    ARRIVED,
    ARRIVED_FLASH,
    MINIMUM,
    MOVING,
    STRANGER,
    SWAP_V2,
    SWAP_V3,
    WITNESS,
    Act,
    Habit,
    Stage,
    Stop,
    Wayward,
    call,
    deltas,
    deploy_executor,
    encoded,
    route,
    transfer,
    v2_callback,
    v3_callback,
)
from tests.executor.chains import OPERATOR

AMOUNT = 10**9


def everything(executor: Address, trade: Trade) -> list[Act]:
    """What a token may try while it is being moved, and a transfer that shows it was asked."""
    amounts = {trade.amount_in, trade.amount_out, 1}
    return [
        transfer(trade.cycle.start_token, WITNESS, 1),
        Act(executor, withdraw_data(trade.cycle.start_token, 1)),
        Act(executor, route([Stop(STRANGER, trade.cycle.start_token, True)] * 2, 1)),
        *(v3_callback(executor, amount, -amount) for amount in amounts),
        *(v2_callback(executor, amount, 0) for amount in amounts),
    ]


@pytest.mark.parametrize("flash", [False, True])
@pytest.mark.parametrize("pair_first", [False, True])
def test_a_token_that_attacks_while_it_moves_changes_nothing(
    stage: Stage, flash: bool, pair_first: bool
) -> None:
    wayward, arena = Wayward(stage), stage.arena
    trade = wayward.winner(stage.a, pair_first=pair_first)
    stage.puppets[0].learn(MOVING, *everything(arena.executor, trade))
    wayward.token.behave(Habit.NONE, hook=stage.puppets[0].address)
    before = arena.balances(arena.executor)
    request = arena.execution(trade, trade.amount_out, flash=flash)
    receipt = arena.chain.mine(request)[0]
    assert receipt.succeeded, revert_reason(receipt.output)
    assert unsigned(receipt.output, 0) == trade.amount_out
    assert arena.balance(stage.a, WITNESS) >= 1
    assert stage.lost(arena.executor, before) == {}


@pytest.mark.parametrize("flash", [False, True])
@pytest.mark.parametrize("wayward_start", [False, True])
@pytest.mark.parametrize("habit", list(Habit))
def test_tokens_with_bad_habits(
    stage: Stage, habit: Habit, wayward_start: bool, flash: bool
) -> None:
    wayward, arena = Wayward(stage), stage.arena
    start = wayward.token.address if wayward_start else stage.a
    arena.pay(wayward.token.address, arena.executor, 1 << 100)
    trade = wayward.winner(start)
    wayward.token.behave(habit)
    before = arena.balances(arena.executor)
    own = arena.balance(wayward.token.address, arena.executor)
    receipt = arena.chain.mine(arena.execution(trade, 1, flash=flash))[0]
    assert receipt.succeeded == (habit in (Habit.NONE, Habit.RETURNS_NOTHING))
    if receipt.succeeded:
        assert unsigned(receipt.output, 0) == trade.amount_out
    assert stage.lost(arena.executor, before) == {}
    assert arena.balance(wayward.token.address, arena.executor) >= own


def test_a_token_that_lies_about_balances_costs_only_itself(stage: Stage) -> None:
    """The pool is told that it was paid, and the executor that it still has everything."""
    wayward, arena = Wayward(stage), stage.arena
    arena.pay(wayward.token.address, arena.executor, 1 << 100)
    trade = wayward.winner(wayward.token.address)
    wayward.token.pretend(arena.executor, 1 << 120)
    before = arena.balances(arena.executor)
    assert arena.chain.mine(arena.execution(trade, 1, flash=False))[0].succeeded
    assert stage.lost(arena.executor, before) == {}


ROBBERIES: dict[str, Callable[[Address], bytes]] = {
    "skim": lambda thief: call("skim(address)", thief),
    "sync": lambda _: call("sync()"),
    "swap out token0": lambda thief: call(SWAP_V2, 10_000, 0, thief, 128, 0),
    "swap out token1": lambda thief: call(SWAP_V2, 0, 10_000, thief, 128, 0),
}
"""What anyone may do with a pair that has been sent its input and not been swapped yet."""


@pytest.mark.parametrize("name", ROBBERIES)
def test_a_token_that_robs_the_pair_ahead_ends_the_run(stage: Stage, name: str) -> None:
    """Its pool has sent the output on to the pair, and is paid before the pair is swapped."""
    wayward, arena, thief = Wayward(stage), stage.arena, stage.puppets[0]
    arena.pay(wayward.token.address, arena.executor, 1 << 100)
    trade = wayward.winner(wayward.token.address)
    pair = wayward.pools[0]
    assert [hop.pool for hop in trade.cycle.hops] == [wayward.pools[1], pair]
    thief.learn(MOVING, Act(Address(pair), ROBBERIES[name](thief.address)))
    wayward.token.behave(Habit.NONE, hook=thief.address)
    before, loot = arena.balances(arena.executor), arena.balances(thief.address)
    own = arena.balance(wayward.token.address, arena.executor)
    receipt = arena.chain.mine(arena.execution(trade, 1, flash=False))[0]
    assert not receipt.succeeded
    assert stage.lost(arena.executor, before) == {}
    assert arena.balance(wayward.token.address, arena.executor) >= own
    assert arena.balances(thief.address) == loot
    # It was the robbery that ended the run.
    wayward.token.behave(Habit.NONE)
    assert arena.chain.mine(arena.execution(trade, 1, flash=False))[0].succeeded


class Improviser:
    """Makes up routes in which some pools are puppets, and what these do when they are called."""

    def __init__(self, stage: Stage, rng: Random, executor: Address) -> None:
        self.stage, self.rng, self.executor = stage, rng, executor
        self.arena: Arena = stage.arena

    def run(self) -> str:
        """One made-up run: how it ended."""
        rng, arena = self.rng, self.arena
        hops = rng.randint(2, 4)
        path = [rng.choice(arena.tokens)]
        while len(path) < hops or path[-1] == path[0]:
            path = path[: hops - 1]
            path.append(rng.choice([token for token in arena.tokens if token != path[-1]]))
        ends = [*path[1:], path[0]]
        places = rng.sample(range(hops), rng.randint(1, 2))
        fakes = dict(zip(places, self.stage.puppets, strict=False))
        stops = []
        for place, (token_in, token_out) in enumerate(zip(path, ends, strict=True)):
            if place in fakes:
                stops.append(Stop(fakes[place].address, token_in, rng.random() < 0.7))
            else:
                kind = rng.choice([UniswapV2Pool, UniswapV3Pool])
                stops.append(self.stage.real(kind, token_in, token_out))
        flash = rng.random() < 0.5
        amount_in = amount = int(AMOUNT * 2 ** rng.uniform(0, 20))
        for place, stop in enumerate(stops):
            if place in fakes:
                amount = self.teach(stops, ends, place, amount, flash)
            else:
                amount = (
                    arena.pools[PoolKey(stop.pool)].swap(stop.token_in, max(1, amount)).amount_out
                )
        receipt = self.stage.run(self.executor, route(stops, amount_in, flash=flash))
        return "ran" if receipt.succeeded else revert_reason(receipt.output) or "no reason"

    def teach(
        self, stops: list[Stop], ends: list[Address], place: int, paid: int, flash: bool
    ) -> int:
        """Tell a puppet what to do as this hop; returns what it says it sends."""
        rng, stop, token_out = self.rng, stops[place], ends[place]
        puppet = next(each for each in self.stage.puppets if each.address == stop.pool)
        ratio = 2 ** rng.uniform(-2, 6)
        sent = max(1, int(paid * ratio))
        ahead = flash and place == 0
        if not stop.kind:
            kept = paid * 997_000
            reserve_out = int((1 << 90) * ratio)
            sent = kept * reserve_out // ((1 << 90) * 1_000_000 + kept)
            lower = stop.token_in < token_out
            reserves = (1 << 90, reserve_out) if lower else (reserve_out, 1 << 90)
            puppet.learn("getReserves()", answer=encoded(*reserves, 0))
        amounts = deltas(stop.token_in, token_out, paid, sent)
        following = stops[place + 1] if place + 1 < len(stops) else None
        direct = following is not None and not following.kind and not (ahead and not stop.kind)
        receiver = following.pool if direct and following else self.executor
        acts = [self.whim(stops, paid, sent) for _ in range(rng.choice([0, 0, 1, 2]))]
        # Most of the time it does its duty, so that the run goes on.
        if rng.random() < 0.9 and (stop.kind or ahead):
            outs = (sent, 0) if amounts[0] < 0 else (0, sent)
            duty = v3_callback(self.executor, *amounts)
            acts.insert(0, duty if stop.kind else v2_callback(self.executor, *outs))
        if rng.random() < 0.8:
            acts.insert(0, transfer(token_out, receiver, sent))
        if rng.random() < 0.2:
            rng.shuffle(acts)
        puppet.learn(SWAP_V3 if stop.kind else SWAP_V2, *acts, answer=encoded(*amounts))
        return sent

    def whim(self, stops: list[Stop], paid: int, sent: int) -> Act:
        rng, executor = self.rng, self.executor
        amounts = rng.choices([0, paid, -paid, sent, -sent, 1 << 90, -(1 << 90)], k=2)
        token = rng.choice(self.arena.tokens)
        pair = rng.choice([p for p in self.arena.pools.values() if isinstance(p, UniswapV2Pool)])
        return rng.choice(
            [
                v3_callback(executor, *amounts),
                v2_callback(executor, *map(abs, amounts)),
                transfer(token, executor, abs(amounts[0])),
                transfer(token, pair.address, abs(amounts[0])),
                Act(executor, withdraw_data(token, 1)),
                Act(executor, route(stops, paid)),
                Act(token, call("transferFrom(address,address,uint256)", executor, STRANGER, 1)),
                Act(pair.address, call(SWAP_V2, 1000, 0, executor, 128, 1) + b"f".ljust(32, b"\0")),
            ]
        )


@pytest.mark.parametrize("seed", range(3))
def test_nothing_is_lost_whatever_pools_make_up(stage: Stage, seed: int) -> None:
    improvise(stage, seed)


@pytest.mark.fuzz
def test_nothing_is_lost_whatever_pools_make_up_in_a_long_run(built: Stage) -> None:
    for seed in range(100, 160):
        with built.arena.chain.undone():
            improvise(built, seed)


def improvise(stage: Stage, seed: int) -> None:
    """The pools have stolen keys of operators."""
    keys = [OPERATOR, *(puppet.address for puppet in stage.puppets)]
    executor = deploy_executor(stage.arena, operators=keys)
    improviser = Improviser(stage, Random(seed), executor)
    tally: Counter[str] = Counter()
    for _ in range(200):
        before = stage.arena.balances(executor)
        tally[improviser.run()] += 1
        assert stage.lost(executor, before) == {}, tally
    assert tally["ran"] >= 20, tally
    for reason in ("unpaid hop", "no callback", "too little received"):
        assert tally[reason] >= 5, tally


def test_pools_that_make_things_up_find_the_holes(stage: Stage) -> None:
    """Without its checks of what arrived the same attacks cost the executor something."""
    executor = deploy_executor(stage.arena, ARRIVED, ARRIVED_FLASH, MINIMUM)
    improviser = Improviser(stage, Random(1), executor)
    losses = 0
    for _ in range(100):
        before = stage.arena.balances(executor)
        with stage.arena.chain.undone():
            improviser.run()
            losses += bool(stage.lost(executor, before))
    assert losses >= 10
