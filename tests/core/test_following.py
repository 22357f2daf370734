"""What each entry of a history means for who follows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from msgspec import structs

from dexarb.core.block import BlockHash, BlockRef
from dexarb.core.following import Follower, Move, MoveKind
from dexarb.core.market import Break, Entry, PoolsChanged
from dexarb.errors import MarketError, NotNextBlock, PoolError, RewindTooDeep
from tests.support.worlds import arrivals

BLOCKS = arrivals.fork_behind(10**9, 200)


def follower(*entries: Entry) -> tuple[Follower, list[Move]]:
    made = Follower()
    return made, [made.take(entry) for entry in (arrivals.first_keyframe(), *entries)]


def kinds(moves: Sequence[Move]) -> list[MoveKind]:
    return [move.kind for move in moves]


def ref(index: int) -> BlockRef:
    block = BLOCKS[index].block
    return BlockRef(block.number, block.hash)


def test_blocks_are_applied_and_name_the_pools_they_touched() -> None:
    made, moves = follower(*BLOCKS[:5])
    assert kinds(moves) == [MoveKind.ANEW, *[MoveKind.APPLIED] * 5]
    assert made.market is not None
    assert made.market.pools == arrivals.market_after(BLOCKS[:5]).pools
    assert all(
        move.touched <= {log.address for log in u.logs}
        for move, u in zip(moves[1:], BLOCKS, strict=False)
    )


def test_a_reorganisation_names_what_it_went_back_to_and_what_changed_on_the_way() -> None:
    *_, before, dead, fork = arrivals.fork_behind(20, 20)
    made, moves = follower(*arrivals.fork_behind(20, 20))
    assert moves[-1].kind is MoveKind.APPLIED
    assert moves[-1].rewound_to == before.block.hash == dead.block.parent_hash
    assert moves[-1].touched >= moves[-2].touched
    assert made.market is not None
    assert made.market.block == fork.block


@pytest.mark.parametrize("index", [0, 2, 4])
def test_a_block_that_is_on_the_branch_is_not_taken_twice(index: int) -> None:
    made, moves = follower(*BLOCKS[:5], BLOCKS[index])
    assert moves[-1].kind is MoveKind.REPEATED
    assert made.market is not None
    assert made.market.block == BLOCKS[4].block
    assert made.take(BLOCKS[5]).kind is MoveKind.APPLIED


def test_a_block_that_died_and_came_back_is_taken_again() -> None:
    one, two = BLOCKS[:2]
    other = replace(two, block=replace(two.block, hash=BlockHash("0x0e")))
    _, moves = follower(one, two, other, two)
    assert kinds(moves[1:]) == [MoveKind.APPLIED] * 4


def test_a_keyframe_of_the_market_as_it_is_changes_nothing() -> None:
    made, _ = follower(*BLOCKS[:5])
    market = made.market
    assert market is not None
    assert made.take(market.keyframe()).kind is MoveKind.REPEATED
    assert made.market is market


def test_a_keyframe_of_the_same_block_names_the_pools_that_are_other_ones() -> None:
    made, _ = follower(*BLOCKS[:5])
    assert made.market is not None
    wrong = made.market.pools[arrivals.V2_ONE]
    right = replace(wrong, reserve0=1_000_000)  # type: ignore[type-var]
    kept = made.market.pools[arrivals.V2_TWO]
    keyframe = replace(made.market.keyframe(), pools=(right, kept))
    move = made.take(keyframe)
    assert (move.kind, move.touched) == (
        MoveKind.RESTATED,
        frozenset({arrivals.V2_ONE, arrivals.V3}),
    )
    assert made.market.pools == {arrivals.V2_ONE: right, arrivals.V2_TWO: kept}


def test_another_profile_restates_the_market() -> None:
    made, _ = follower(*BLOCKS[:5])
    assert made.market is not None
    profile = replace(arrivals.PROFILE, default_priority_fee=7)
    move = made.take(replace(made.market.keyframe(), profile=profile))
    assert (move.kind, move.touched) == (MoveKind.RESTATED, frozenset())


def test_a_keyframe_of_an_unknown_block_starts_anew() -> None:
    made, _ = follower(*BLOCKS[:5])
    move = made.take(arrivals.market_after(BLOCKS[:9]).keyframe())
    assert move.kind is MoveKind.ANEW
    assert made.take(BLOCKS[9]).kind is MoveKind.APPLIED


def test_a_keyframe_behind_the_head_takes_the_blocks_since_then_back() -> None:
    made, _ = follower(*BLOCKS[:9])
    behind = arrivals.market_after(BLOCKS[:5])
    move = made.take(behind.keyframe())
    assert (move.kind, move.rewound_to) == (MoveKind.BROKEN, behind.block.hash)
    assert made.market is not None
    assert made.market.pools == behind.pools


def test_a_break_goes_back_to_the_fork_point() -> None:
    made, _ = follower(*BLOCKS[:9])
    move = made.take(Break(11, ref(4), "why"))
    assert (move.kind, move.rewound_to) == (MoveKind.BROKEN, ref(4).hash)
    assert made.market is not None
    assert made.market.pools == arrivals.market_after(BLOCKS[:5]).pools


@pytest.mark.parametrize("fork_point", [None, ref(0)])
def test_a_break_that_goes_too_far_back_leaves_nothing_until_the_next_keyframe(
    fork_point: BlockRef | None,
) -> None:
    made, _ = follower(*BLOCKS[:150])
    lost = made.take(Break(152, fork_point, "why"))
    assert (lost.kind, made.market) == (MoveKind.LOST, None)
    assert lost.error is not None
    assert made.take(BLOCKS[150]) == Move(BLOCKS[150], MoveKind.LOST)
    assert made.take(arrivals.first_keyframe()).kind is MoveKind.ANEW


def test_what_cannot_follow_leaves_nothing_and_says_why() -> None:
    made, _ = follower(*BLOCKS[:3])
    move = made.take(BLOCKS[4])
    assert move.kind is MoveKind.LOST
    assert isinstance(move.error, RewindTooDeep | NotNextBlock)
    made, _ = follower(*BLOCKS[:3])
    log = structs.replace(BLOCKS[3].logs[0], data=b"\1")
    move = made.take(replace(BLOCKS[3], logs=(log,)))
    assert isinstance(move.error, PoolError)
    assert made.market is None


def test_pools_that_join_and_leave_are_named() -> None:
    made, _ = follower(*BLOCKS[:5])
    market = made.market
    assert market is not None
    two, three = market.pools[arrivals.V2_TWO], market.pools[arrivals.V3]
    move = made.take(PoolsChanged(7, ref(4), left=(arrivals.V2_TWO, arrivals.V3)))
    assert (move.kind, move.touched) == (
        MoveKind.CHANGED,
        frozenset({arrivals.V2_TWO, arrivals.V3}),
    )
    move = made.take(PoolsChanged(8, ref(4), joined=(three,)))
    assert (move.kind, move.touched, move.rewound_to) == (
        MoveKind.CHANGED,
        frozenset({arrivals.V3}),
        None,
    )
    assert made.market is market
    assert list(market.pools) == [arrivals.V2_ONE, arrivals.V3]
    assert made.take(BLOCKS[5]).kind is MoveKind.APPLIED
    again = made.take(replace(BLOCKS[4], block=replace(BLOCKS[4].block, hash=BlockHash("0x0e"))))
    assert (again.kind, again.rewound_to) == (MoveKind.APPLIED, BLOCKS[3].block.hash)
    assert arrivals.V3 in again.touched
    assert list(market.pools) == [arrivals.V2_ONE]
    assert two.key not in again.touched


def test_pools_that_change_at_another_block_than_the_markets_leave_nothing_and_say_why() -> None:
    made, _ = follower(*BLOCKS[:5])
    move = made.take(PoolsChanged(7, ref(3), left=(arrivals.V3,)))
    assert move.kind is MoveKind.LOST
    assert isinstance(move.error, MarketError)
    assert "the market is at 5005" in str(move.error)
    assert made.market is None
    assert made.take(PoolsChanged(8, ref(4))) == Move(PoolsChanged(8, ref(4)), MoveKind.LOST)
