"""Balances against trades: what is missing is told, a gift is not, and who lags tells nothing."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from dexarb.core.block import BlockHash, BlockUpdate
from dexarb.core.token import Address
from dexarb.core.traffic import Change, Flow, SwapCount, Traffic
from dexarb.ends.executor_contract import NATIVE_COIN
from dexarb.ends.live.balances import Balances, Missing, Reading
from tests.ends.end_world import end_world
from tests.support.worlds.blocks import block, transaction

EXECUTOR, LANE, OTHER, USDC = (Address("0x" + byte * 20) for byte in ("ee", "e1", "0f", "02"))
BOTH = (SwapCount(Address("0xp"), "v2", 2),)


def update(number: int, gain: int | None, parent: str | None = None, own: str = "") -> BlockUpdate:
    """gain: of a trade of ours; None: nothing of ours is in it."""
    sender = OTHER if gain is None else LANE
    trade = transaction(0, sender=sender, gas_used=100, effective_gas_price=7)
    flow = Flow(0, (0, 0), True, (), (Change(USDC, str(gain or 5)),))
    of = block(number, f"0x{own}{number}", parent or f"0x{number - 1}")
    return BlockUpdate(number, of, (), (trade,), traffic=Traffic(BOTH, (flow,)))


def reading(of: BlockUpdate, usdc: int, native: int) -> Reading:
    held = {(EXECUTOR, USDC): usdc, (LANE, NATIVE_COIN): native}
    return Reading(of.block.hash, held)


def test_what_trades_do_not_explain() -> None:
    balances = Balances(EXECUTOR, [LANE])
    first, second, third = update(1, None), update(2, 40), update(3, None)
    balances.follow(first)
    assert balances.compare(reading(first, 1_000, 10_000)) == ()
    assert balances.compare(reading(second, 0, 0)) is None  # ahead of us
    balances.follow(second)
    assert balances.compare(reading(second, 1_040, 9_300)) == []
    balances.follow(third)
    assert balances.compare(reading(third, 1_039, 9_299)) == [
        Missing(EXECUTOR, USDC, 1),
        Missing(LANE, NATIVE_COIN, 1),
    ]
    assert balances.compare(reading(third, 1_039, 9_299)) == []  # told once


def test_a_gift_is_no_trouble_and_hides_nothing_afterwards() -> None:
    balances = Balances(EXECUTOR, [LANE])
    blocks = [update(number, None) for number in (1, 2, 3)]
    for each in blocks:
        balances.follow(each)
    assert balances.compare(reading(blocks[0], 1_000, 0)) == ()
    assert balances.compare(reading(blocks[1], 1_001, 1)) == []
    assert balances.compare(reading(blocks[2], 1_000, 1)) == [Missing(EXECUTOR, USDC, 1)]


def test_of_a_branch_that_died_and_behind_a_gap_nothing_is_said() -> None:
    balances = Balances(EXECUTOR, [LANE])
    first, dead, alive = update(1, None), update(2, 40), update(2, None, own="b")
    balances.follow(first)
    balances.follow(dead)
    assert balances.compare(reading(dead, 1_040, 300)) == ()
    balances.follow(alive)
    assert balances.compare(reading(alive, 1_000, 1_000)) == []  # the trade was taken back
    balances.follow(update(9, None))
    assert balances.compare(reading(alive, 0, 0)) is None
    assert balances.compare(Reading(BlockHash("0x9"), {})) == ()


@given(
    st.lists(st.tuples(st.one_of(st.none(), st.integers(-50, 50)), st.booleans()), max_size=12),
    st.integers(0, 3),
)
def test_whenever_one_looks_the_sum_is_the_same(
    course: list[tuple[int | None, bool]], stolen: int
) -> None:
    """However often balances were read, in the end exactly what was stolen is missing."""
    balances = Balances(EXECUTOR, [LANE])
    usdc, native = 1_000_000, 1_000_000
    balances.follow(update(1, None))
    balances.compare(reading(update(1, None), usdc, native))
    for number, (gain, is_read) in enumerate(course, 2):
        of = update(number, gain)
        balances.follow(of)
        usdc += gain or 5 if gain is not None else 0
        native -= 0 if gain is None else 700
        if is_read:
            assert balances.compare(reading(of, usdc, native)) == []
    last = update(len(course) + 2, None)
    balances.follow(last)
    expected = [Missing(EXECUTOR, USDC, stolen)] if stolen else []
    assert balances.compare(reading(last, usdc - stolen, native)) == expected


def test_a_bot_whose_money_goes_is_disarmed_and_one_that_is_given_some_is_not(
    tmp_path: Path,
) -> None:
    with end_world(tmp_path) as world:
        world.ready()
        world.weighed()
        world.quiet()
        world.node.holds += 1
        world.weighed()
        assert world.disarmed_by is None
        world.quiet()
        world.node.holds -= 2
        world.weighed()
        assert "2 of the smallest unit of 0x" in (world.disarmed_by or "")
        world.arm()
        world.quiet()
        world.weighed()
        assert world.disarmed_by is None
        assert len(world.said.disarmed_by) == 1
