"""A pool through which trades revert on and on rests, for longer each time, and in a replay too."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from dexarb.core.block import BlockHash, BlockRef
from dexarb.core.pool import PoolKey
from dexarb.core.route import Cycle
from dexarb.core.sending import (
    Control,
    ControlKind,
    Difference,
    Outcome,
    Rest,
    TransactionHash,
    Twin,
    avoided,
)
from dexarb.core.trade import DecisionId, FillStatus
from dexarb.ends.live.back_off import LONGEST, MEMORY, PATIENCE, SHORTEST, BackOff
from tests.ends.end_world import EndWorld, end_world
from tests.ends.live_world import LiveWorld
from tests.support.worlds.small_chain import CHEAP, DEAR

FILLED, REVERTED, EXPIRED = FillStatus.FILLED, FillStatus.REVERTED, FillStatus.EXPIRED
_, DECISION = LiveWorld().open_spread()
POOLS = [PoolKey(f"0x{each}") for each in "abcd"]


def twin(
    number: int,
    pools: tuple[PoolKey, PoolKey],
    status: FillStatus = REVERTED,
    block: int | None = None,
    difference: Difference = Difference.NONE,
) -> Twin:
    """number: of its decision."""
    hops = [replace(hop, pool=pool) for hop, pool in zip(DECISION.cycle.hops, pools, strict=True)]
    decision = DECISION._replace(id=DecisionId(str(number)), cycle=Cycle(tuple(hops)))
    outcome = Outcome(status, 0, 30_000, -1)
    here = BlockRef(number if block is None else block, BlockHash("0x"))
    return Twin(decision, TransactionHash("0x"), here, 0, outcome, outcome, difference)


def row_of(course: list[Twin], pool: PoolKey) -> int:
    """Of the newest: reverts in sight since the last fill, by looking back."""
    found = set()
    for each in reversed(course):
        if pool not in each.decision.cycle.pools or each.difference is Difference.MODEL:
            continue
        if each.live.status is FILLED:
            break
        if each.live.status is REVERTED and each.block.number > course[-1].block.number - MEMORY:
            found.add(each.decision.id)
    return len(found)


pairs = st.permutations(POOLS).map(lambda each: (each[0], each[1]))
statuses = st.sampled_from([REVERTED] * 8 + [FILLED, EXPIRED])
steps = st.tuples(st.integers(0, 3), pairs, statuses, st.sampled_from([1] * 20 + [MEMORY]))


@given(st.lists(steps, max_size=60))
def test_rows_are_those_that_one_sees_looking_back(
    course: list[tuple[int, tuple[PoolKey, PoolKey], FillStatus, int]],
) -> None:
    """Whatever the trades went through, also where one is brought in once more."""
    back_off, taken, block = BackOff(), list[Twin](), 0
    for at, (back, pools, status, later) in enumerate(course):
        block += later
        taken.append(twin(max(at - back, 0), pools, status, block))
        rows = {pool: row_of(taken, pool) for pool in pools} if status is REVERTED else {}
        assert {rest.pool: times for rest, times in back_off.take(taken[-1])} == {
            pool: times for pool, times in rows.items() if times >= PATIENCE
        }
    assert BackOff(taken).take(twin(-1, (POOLS[0], POOLS[1]), block=block)) == back_off.take(
        twin(-1, (POOLS[0], POOLS[1]), block=block)
    )


def test_it_rests_for_twice_as_long_each_time_up_to_a_bound() -> None:
    back_off, rests = BackOff(), list[int]()
    for number in range(40):
        rests += [
            rest.until - number
            for rest, _ in back_off.take(twin(number, (POOLS[0], POOLS[1])))
            if rest.pool == POOLS[0]
        ]
    assert len(rests) == 40 - PATIENCE + 1
    assert rests[:3] == [SHORTEST, 2 * SHORTEST, 4 * SHORTEST]
    assert all(after in (2 * before, LONGEST) for before, after in pairwise(rests))
    assert rests[-1] == LONGEST


def test_what_came_to_something_else_than_its_twin_is_no_revert_of_these() -> None:
    back_off = BackOff()
    model = [twin(at, (POOLS[0], POOLS[1]), difference=Difference.MODEL) for at in range(9)]
    assert [*map(back_off.take, model)] == [[]] * 9


def test_what_rests_and_what_is_avoided() -> None:
    a, b = POOLS[:2]
    controls = [
        Control(5, ControlKind.REST, "it rests", Rest(a, 20).subject),
        Control(6, ControlKind.AVOID, "it lied", b),
        Control(7, ControlKind.REST, "it rests", Rest(b, 20).subject),
    ]
    assert avoided(controls, 4, 10) == {}
    assert avoided(controls, 5, 19) == {a: "it rests"}
    assert avoided(controls, 9, 19) == {a: "it rests", b: "it lied"}
    assert avoided(controls, 9, 20) == {b: "it lied"}
    controls += [Control(8, ControlKind.TRUST, "", each) for each in (a, b)]
    assert avoided(controls, 9, 19) == {}


def revert(world: EndWorld, price: int) -> None:
    """Sent, and overtaken in the next block."""
    assert len(world.step(world.spread(price)).decisions) == 1
    world.offered()
    signed = world.journal.signed()[-1]
    world.step(world.overtaken(signed))
    world.node.nonces[world.lanes[0]] = signed.nonce + 1


def test_a_route_that_reverts_on_and_on_is_left_alone_for_a_while(tmp_path: Path) -> None:
    with end_world(tmp_path, limits={"max_reverts_in_a_row": 100}) as world:
        world.ready()
        for at in range(PATIENCE):
            revert(world, 2_450 - at)
        rests = [each for each in world.journal.controls() if each.kind is ControlKind.REST]
        until = world.chain.tip.number + SHORTEST
        assert {each.subject for each in rests} == {f"{pool} {until}" for pool in (CHEAP, DEAR)}
        assert (
            rests[0].reason
            == f"{PATIENCE} trades through it in a row reverted: until block {until}"
        )
        world.end_it()
        world.begin()  # it is not forgotten
        world.ready()
        tried = 0
        while world.chain.tip.number < until - 1:
            tried += 1
            assert world.step(world.spread(2_440 - tried)).decisions == []
        revert(world, 2_420)
        rests = [each for each in world.journal.controls() if each.kind is ControlKind.REST]
        until = world.chain.tip.number + 2 * SHORTEST
        assert rests[-1].subject.endswith(f" {until}")
        assert tried >= SHORTEST - 2
        assert world.disarmed_by is None
        world.assert_replays()
