"""What a bot holds may become more by anybody's gift, and less only by its own doing."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from random import Random

import pytest

from dexarb.core.block import Block, BlockHash, BlockUpdate, Transaction
from dexarb.core.token import Address
from dexarb.core.traffic import Change, Flow, Traffic
from dexarb.ends.executor_contract import NATIVE_COIN
from dexarb.ends.live.balance_watch import BalanceWatch, Holding, Loss
from tests.ends.end_world import EXECUTOR, MUCH, OWNER, EndWorld, end_world
from tests.support.worlds.blocks import block, block_after, transaction, update_of
from tests.support.worlds.small_chain import USDC, WETH

LANE = Address("0x" + "1a" * 20)
COIN, FUNDS = Holding(LANE, NATIVE_COIN), Holding(EXECUTOR, USDC)
BEFORE = {COIN: 10**18, FUNDS: 10**9}


@dataclass(frozen=True)
class Mined:
    """strange: what others gave or took. held: at its end. parent: None for the first."""

    block: Block
    parent: Mined | None
    strange: dict[Holding, int]
    held: dict[Holding, int]
    by_owner: bool = False


def our_trade(gain: int) -> tuple[Transaction, Flow]:
    ours = transaction(0, sender=LANE, to=EXECUTOR, gas_used=145_000, succeeded=gain > 0)
    return ours, Flow(0, (0, 1), True, (), (Change(USDC, str(gain)),))


def owners_call(index: int) -> Transaction:
    return transaction(index, sender=OWNER, to=EXECUTOR)


def after(
    parent: Mined, own: str, *, gain: int | None = None, by_owner: bool = False, **strange: int
) -> tuple[Mined, BlockUpdate]:
    """gain: of a trade of ours, 0 for one that reverts. strange: coin, funds."""
    made = block_after(parent.block, own)
    others = {COIN: strange.get("coin", 0), FUNDS: strange.get("funds", 0)}
    held = {each: parent.held[each] + others[each] for each in parent.held}
    transactions, flows = [], []
    if gain is not None:
        ours, flow = our_trade(gain)
        transactions, flows = [ours], [flow] if gain else []
        held[COIN] -= ours.gas_used * ours.effective_gas_price
        held[FUNDS] += gain
    if by_owner:
        transactions.append(owners_call(len(transactions)))
    update = replace(
        update_of(made, ()),
        transactions=tuple(transactions),
        traffic=Traffic((), tuple(flows)),
        witnesses=2,
    )
    return Mined(made, parent, others, held, by_owner), update


def first() -> Mined:
    return Mined(block(100, "0x100"), None, {}, BEFORE)


def begun() -> tuple[BalanceWatch, Mined]:
    """It has read what is there."""
    watch = BalanceWatch(EXECUTOR, OWNER, [LANE])
    mined, update = after(first(), "0xa")
    watch.follow(update)
    assert watch.hear(mined.block.hash, mined.held) == []
    return watch, mined


@pytest.mark.parametrize(
    ("what", "losses"),
    [
        ({"gain": 12}, []),
        ({"gain": 0}, []),
        ({"gain": 12, "coin": 1, "funds": 1}, []),
        ({"gain": 12, "funds": -1}, [Loss(FUNDS, 1, False)]),
        ({"gain": 0, "coin": -1}, [Loss(COIN, 1, False)]),
        ({"funds": -5, "by_owner": True}, [Loss(FUNDS, 5, True)]),
        ({"funds": 5, "by_owner": True}, []),
    ],
)
def test_to_the_smallest_unit(what: dict[str, int], losses: list[Loss]) -> None:
    watch, mined = begun()
    now, update = after(mined, "0xb", **what)  # type: ignore[arg-type]
    assert watch.follow(update) == ("by_owner" in what)
    assert watch.hear(now.block.hash, now.held) == losses
    assert watch.hear(now.block.hash, now.held) == []
    assert watch.holds(FUNDS) == now.held[FUNDS]


def test_a_loss_is_told_once() -> None:
    watch, mined = begun()
    for own, strange, found in (("0xb", -7, 7), ("0xc", 0, 0), ("0xd", -1, 1)):
        mined, update = after(mined, own, funds=strange)
        watch.follow(update)
        losses = watch.hear(mined.block.hash, mined.held)
        assert sum(each.missing for each in losses) == found


@pytest.mark.parametrize("blind", [{"witnesses": 0}, {"has_receipts": False}])
def test_behind_a_block_that_is_not_proven_it_begins_anew(blind: dict[str, object]) -> None:
    watch, mined = begun()
    mined, update = after(mined, "0xb", funds=-7)
    watch.follow(replace(update, **blind))  # type: ignore[arg-type]
    assert watch.newest is None
    mined, update = after(mined, "0xc")
    watch.follow(update)
    assert watch.hear(mined.block.hash, mined.held) == []
    assert watch.holds(FUNDS) == mined.held[FUNDS]


def expected(mined: Mined, read: set[BlockHash]) -> list[Loss]:
    """From the reading before it on its own branch, by walking there."""
    by_owner, strange = False, dict.fromkeys(BEFORE, 0)
    each: Mined | None = mined
    while each is not None and each.block.hash not in read:
        by_owner |= each.by_owner
        strange = {holding: strange[holding] + each.strange.get(holding, 0) for holding in strange}
        each = each.parent
    if each is None:
        return []
    return [Loss(holding, -left, by_owner) for holding, left in strange.items() if left < 0]


def branch_of(tip: Mined) -> list[Mined]:
    found, each = [], tip
    while each.parent is not None:
        found.append(each)
        each = each.parent
    return found


@pytest.mark.parametrize("seed", range(20))
def test_on_any_branch_and_with_answers_in_any_order(seed: int) -> None:
    random, watch = Random(seed), BalanceWatch(EXECUTOR, OWNER, [LANE])
    tip, dead = first(), []
    read: set[BlockHash] = set()
    told = 0
    for number in range(120):
        branch = branch_of(tip)
        if random.random() < 0.15 and len(branch) > 4:
            back = random.randint(1, 4)
            dead += branch[:back]
            tip = branch[back]
        gift = random.choice([0, 0, 0, 1, -1])
        tip, update = after(
            tip,
            f"0x{seed}.{number}",
            gain=random.choice([None, None, 0, random.randint(1, 9)]),
            by_owner=random.random() < 0.1,
            **{random.choice(["coin", "funds"]): gift * random.randint(1, 5)},
        )
        watch.follow(update)
        branch = branch_of(tip)
        for each in random.sample([*branch[:6], *dead[-3:]], k=random.randint(0, 2) % len(branch)):
            stands = any(one is each for one in branch)
            newer = branch[: branch.index(each) + 1] if stands else []
            says = stands and not any(one.block.hash in read for one in newer)
            losses = watch.hear(each.block.hash, each.held)
            assert losses == (expected(each, read) if says else [])
            told += len(losses)
            if says:
                read.add(each.block.hash)
    assert told


# -- the bot ------------------------------------------------------------------------------------


def look(world: EndWorld) -> None:
    """A block later, when it is time to: the node has been asked."""
    world.waited_s += 60
    update = world.chain.mine()
    world.step(update)
    world.until(lambda: world.node.read.count(update.block.hash) >= 3, "the balances")


def holds(world: EndWorld, amount: int) -> None:
    world.until(lambda: world.end.balances.executor_holds(USDC) == amount, f"{amount} to be read")


def test_a_gift_changes_nothing_and_a_theft_disarms(tmp_path: Path) -> None:
    with end_world(tmp_path) as world:
        world.ready()
        holds(world, MUCH)
        world.node.held |= {USDC: MUCH + 1, world.lanes[0]: MUCH + 1}
        look(world)
        holds(world, MUCH + 1)
        assert world.disarmed_by is None
        world.node.held[USDC] = MUCH - 2_500_000
        look(world)
        world.until(lambda: world.disarmed_by, "an alarm")
        gone = "2.500001 USDC are gone from the executor, and no trade took them"
        assert world.said.disarmed_by == [gone]
        assert world.step(world.spread()).decisions == []
        world.arm()
        look(world)
        holds(world, MUCH - 2_500_000)
        assert world.disarmed_by is None  # it was told once
        world.assert_replays()


def test_a_trade_explains_its_gas_and_what_an_account_lost_beside_it_disarms(
    tmp_path: Path,
) -> None:
    with end_world(tmp_path) as world:
        world.ready()
        holds(world, MUCH)
        for taken in (0, 1):
            world.step(world.spread(2_450 - taken))
            world.offered()
            signed = world.journal.signed()[-1]
            update = world.including(signed, gain=world.gain_of(signed))
            gas = sum(each.gas_used * each.effective_gas_price for each in update.transactions)
            held, lane = world.node.held, world.lanes[0]
            held[lane] = held.get(lane, MUCH) - gas - taken
            start = world.journal.intents()[-1].decision.cycle.start_token
            held[start] = held.get(start, MUCH) + world.gain_of(signed)
            world.step(update)
            world.node.nonces[lane] = taken + 1
            look(world)
            if taken:
                world.until(lambda: world.disarmed_by, "an alarm")
        one_wei = f"0.000000000000000001 of the chain's coin are gone from {world.lanes[0]}"
        (said,) = world.said.disarmed_by
        assert one_wei in said
        world.assert_replays()


def test_what_the_owner_takes_out_is_seen_at_once_and_is_his(tmp_path: Path) -> None:
    with end_world(tmp_path) as world:
        world.ready()
        holds(world, MUCH)
        world.node.held[USDC] = MUCH - 10**6
        world.step(replace(world.chain.mine(), transactions=(owners_call(0),)))
        world.until(lambda: world.disarmed_by, "word of it")
        assert world.said.disarmed_by == ["its owner took 1.000000 USDC out of the executor"]


def test_neither_a_node_that_lags_nor_a_dead_branch_is_believed(tmp_path: Path) -> None:
    with end_world(tmp_path) as world:
        world.ready()
        holds(world, MUCH)
        before = world.chain.tip
        world.node.held[USDC] = 5
        dead = world.chain.mine()
        world.node.unknown.add(dead.block.hash)
        world.waited_s += 60
        world.step(dead)
        world.until(lambda: dead.block.hash in world.node.read, "a question")
        world.node.held[USDC] = MUCH + 3
        waited_s = world.waited_s
        world.step(world.chain.mine(parent=before, branch="b"))
        holds(world, MUCH + 3)  # asked again at once
        assert world.waited_s < waited_s + 10
        assert world.disarmed_by is None


def test_own_funds_that_are_not_there_are_not_sent(tmp_path: Path) -> None:
    with end_world(tmp_path) as world:
        world.node.held |= {USDC: 1, WETH: 1}
        world.ready()
        holds(world, 1)
        assert len(world.step(world.spread()).decisions) == 1
        assert world.drops == ["the executor holds less of its start token"]
        assert world.node.taken == []
