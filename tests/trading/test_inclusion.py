"""Which block a decision is included in: latency, base fee, deadline, reorganisations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest

from dexarb.core.block import Block, BlockUpdate
from dexarb.core.market import Keyframe
from dexarb.core.trade import Decision, Fill, FillStatus, StrategyHash
from dexarb.trading.models.room import BlockRoom
from dexarb.trading.seams import Step
from tests.support.scripted import Change, Scripted
from tests.support.worlds.blocks import GWEI, block, transaction
from tests.support.worlds.engines import engine, plain
from tests.support.worlds.small_chain import CHEAP, PROFILE, SmallChain, keyframe, weth_pool

HIGH, LOW = 90 * GWEI, 30 * GWEI
S = StrategyHash("s")


def delayed(blocks: int = 1, *, ms: int | None = None, deadline: int = 0, cap: int = LOW) -> Change:
    def change(decision: Decision) -> Decision:
        first = decision.block.number + blocks
        return decision._replace(
            first_block=first,
            deadline_block=first + deadline,
            latency_ms=ms,
            max_base_fee=cap,
        )

    return change


class Story:
    """One strategy that decides on a spread in block 101, and the blocks after that."""

    def __init__(
        self, change: Change, *, cutoff_ms: int = 0, seen_late: float | None = 0.4
    ) -> None:
        profile = replace(PROFILE, builder_cutoff_ms=cutoff_ms)
        first: Keyframe = replace(keyframe(), profile=profile)
        self.chain = SmallChain(first)
        self.engine = engine(first, [Scripted({"s": change})], scanner=plain)
        opened = self.mine(weth_pool(CHEAP, 2_450), seen_late=seen_late)
        assert len(opened.decisions) == 1
        self.decided = opened.block

    def mine(
        self,
        *pools: object,
        seen_late: float | None = 0.4,
        base_fee: int = LOW,
        gas_left: int = 30_000_000,
        parent: Block | None = None,
        branch: str = "",
    ) -> Step:
        """seen_late: seconds after the block's timestamp, blocks being one second apart."""
        update: BlockUpdate = self.chain.mine(
            *pools,  # type: ignore[arg-type]
            base_fee=base_fee,
            parent=parent,
            branch=branch,
        )
        seen_at = None if seen_late is None else update.block.timestamp + seen_late
        used = update.block.gas_limit - gas_left
        block = replace(update.block, seen_at=seen_at, gas_used=used)
        self.chain.tip = block
        return self.engine.step(replace(update, block=block))

    def until_settled(self, **how: object) -> Fill:
        for _ in range(20):
            fills = self.mine(**how).fills  # type: ignore[arg-type]
            if fills:
                return fills[0]
        raise AssertionError("never settled")


@pytest.mark.parametrize(
    ("change", "cutoff_ms", "after"),
    [
        (delayed(1), 0, 1),
        (delayed(3), 0, 3),
        (delayed(1, ms=999), 0, 1),
        (delayed(1, ms=1_000), 0, 2),  # as late as the block itself is too late
        (delayed(1, ms=2_500), 0, 3),
        (delayed(1, ms=500), 600, 2),
        (delayed(1, ms=500), 400, 1),
        (delayed(4, ms=2_500), 0, 4),  # both set: the later
        (delayed(2, ms=2_500), 0, 3),
    ],
)
def test_the_first_block_that_the_decision_reaches(
    change: Change, cutoff_ms: int, after: int
) -> None:
    story = Story(change, cutoff_ms=cutoff_ms)
    fill = story.until_settled()
    assert fill.status is FillStatus.FILLED
    assert fill.block.number == story.decided.number + after


@pytest.mark.parametrize(("decided", "later"), [(None, 0.4), (0.4, None), (None, None)])
def test_blocks_that_nobody_saw_live_know_blocks_only(
    decided: float | None, later: float | None
) -> None:
    story = Story(delayed(2, ms=60_000), seen_late=decided)
    fill = story.until_settled(seen_late=later)
    assert fill.block.number == story.decided.number + 2


def test_a_clock_that_was_set_back_tells_no_time() -> None:
    story = Story(delayed(1, ms=2_500))
    assert story.mine(seen_late=-3_600.0).fills[0].block.number == story.decided.number + 1


def test_a_high_base_fee_is_waited_for_until_the_deadline() -> None:
    story = Story(delayed(1, deadline=2))
    assert not story.mine(base_fee=HIGH).fills
    assert not story.mine(base_fee=LOW + 1).fills
    fill = story.mine(base_fee=LOW).fills[0]
    assert (fill.status, fill.block.number) == (FillStatus.FILLED, story.decided.number + 3)


def test_behind_the_deadline_it_expires_without_gas() -> None:
    story = Story(delayed(1, deadline=1))
    assert not story.mine(base_fee=HIGH).fills
    fill = story.mine(base_fee=HIGH).fills[0]
    assert fill.status is FillStatus.EXPIRED
    assert (fill.gas_used, fill.gas_cost_micro_usd, fill.net_micro_usd) == (0, 0, 0)
    assert fill.band_micro_usd == (0, 0)
    assert story.engine.ledger.value(S, "open_gas_micro_usd") == 0


def bidding(gwei: int, *, deadline: int = 0) -> Change:
    """With a gas limit of 400,000."""

    def change(decision: Decision) -> Decision:
        made = delayed(1, deadline=deadline)(decision)
        return made._replace(priority_fee=gwei * GWEI, gas_units=200_000)

    return change


@pytest.mark.parametrize(
    ("gwei", "gas_left", "others", "included"),
    [
        (29, 400_000, True, True),
        (29, 399_999, True, False),
        (30, 399_999, True, True),  # the lowest that is included bids as much
        (0, 0, False, True),  # nothing is included that could give way: nobody can tell
    ],
)
def test_a_full_block_includes_only_who_bids_as_much_as_its_last(
    gwei: int, gas_left: int, others: bool, included: bool
) -> None:
    story = Story(bidding(gwei))
    step = story.mine(*[weth_pool(CHEAP, 2_451)] * others, gas_left=gas_left)
    assert (step.fills[0].status is FillStatus.EXPIRED) != included


def test_what_finds_no_room_tries_the_next_block_until_its_deadline() -> None:
    story = Story(bidding(10, deadline=1))
    assert not story.mine(weth_pool(CHEAP, 2_451), gas_left=0).fills
    fill = story.mine(weth_pool(CHEAP, 2_450)).fills[0]
    assert (fill.status, fill.block.number) == (FillStatus.FILLED, story.decided.number + 2)
    full = Story(bidding(10, deadline=1))
    assert not full.mine(weth_pool(CHEAP, 2_451), gas_left=0).fills
    expired = full.mine(weth_pool(CHEAP, 2_450), gas_left=0).fills[0]
    assert (expired.status, expired.net_micro_usd) == (FillStatus.EXPIRED, 0)


def test_the_chains_own_transactions_are_no_bid_to_be_below() -> None:
    own = [transaction(0, effective_gas_price=0), transaction(1, effective_gas_price=31 * GWEI)]
    full = block(1, "0x1", gas_used=30_000_000)
    room = BlockRoom(BlockUpdate(1, full, (), tuple(own)), 0)
    assert room.includes(GWEI, 1)
    assert not room.includes(GWEI - 1, 1)


def test_a_bid_below_the_chains_floor_never_lands() -> None:
    room = BlockRoom(BlockUpdate(1, block(1, "0x1"), (), ()), 25 * GWEI)
    assert room.includes(25 * GWEI, 1)
    assert not room.includes(25 * GWEI - 1, 1)


def test_the_deadline_moves_as_far_as_latency_does() -> None:
    """Due in 102, but too late for 102 and 103: 104 and one more are tried."""
    story = Story(delayed(1, ms=2_500, deadline=1))
    assert not story.mine().fills
    assert not story.mine().fills
    assert not story.mine(base_fee=HIGH).fills
    fill = story.mine().fills[0]
    assert (fill.status, fill.block.number) == (FillStatus.FILLED, 105)


def test_a_fill_of_a_dead_block_is_made_anew_in_the_same_block_number() -> None:
    story = Story(delayed(2))
    above = story.mine().block
    dead = story.mine()
    assert dead.block.number == 103
    step = story.mine(parent=above, branch="b")
    assert step.undone == tuple(dead.fills)
    assert [fill.block.number for fill in step.fills] == [103]
    assert step.dead_blocks == (dead.block.hash,)


def test_a_block_that_was_missed_is_missed_on_every_branch() -> None:
    """Too late for 102. A 102 of another branch, heard of later, may be as old as the first."""
    story = Story(delayed(1, ms=1_500))
    assert not story.mine().fills
    again = story.mine(parent=story.decided, branch="b", seen_late=2.0)
    assert again.block.number == 102
    assert not again.fills
    assert story.mine(branch="b", seen_late=2.0).fills[0].block.number == 103


def test_a_deep_reorg_waits_for_the_block_it_was_included_in_first() -> None:
    story = Story(delayed(1, ms=2_500))
    story.mine()
    story.mine()
    assert story.mine().fills[0].block.number == 104
    for number in (102, 103):
        parent = story.decided if number == 102 else None
        step = story.mine(parent=parent, branch="b", seen_late=4.0)
        assert (step.block.number, len(step.fills)) == (number, 0)
    assert story.mine(branch="b", seen_late=4.0).fills[0].block.number == 104


def test_waiting_for_the_base_fee_is_no_latency() -> None:
    """Settled in 103 after a dear 102; on the new branch 102 is cheap, and takes it."""
    story = Story(delayed(1, deadline=3))
    assert not story.mine(base_fee=HIGH).fills
    assert story.mine().fills[0].block.number == 103
    step = story.mine(parent=story.decided, branch="b")
    assert [fill.block.number for fill in step.fills] == [102]


def test_reopened_decisions_settle_in_the_order_they_were_sent() -> None:
    rows: Mapping[str, Change] = {"slow": delayed(2), "fast": delayed(1), "slower": delayed(2)}
    first = keyframe()
    chain = SmallChain(first)
    made = engine(first, [Scripted(rows)], scanner=plain)
    opened = made.step(chain.mine(weth_pool(CHEAP, 2_450)))
    assert [each.decision.strategy for each in made.step(chain.mine()).fills] == ["fast"]
    made.step(chain.mine(parent=opened.block, branch="b"))
    settled = made.step(chain.mine(branch="b")).fills
    assert [each.decision.strategy for each in settled] == ["slow", "slower"]
    # Everything is taken back at once, and settles again as it did.
    assert len(made.step(chain.mine(parent=opened.block, branch="c")).fills) == 1
    assert made.step(chain.mine(branch="c")).fills[0].decision.strategy == "slow"


# -- busy pools --------------------------------------------------------------------------------


def test_pools_stay_busy_while_the_decision_waits() -> None:
    """The cycle is closed and open again before the fill: that frees nothing."""
    story = Story(delayed(4))
    story.mine(weth_pool(CHEAP, 2_500))
    assert not story.mine(weth_pool(CHEAP, 2_450)).decisions
    assert not story.mine(weth_pool(CHEAP, 2_500)).decisions
    # Open at the end of the inclusion block: not yet.
    settled = story.mine(weth_pool(CHEAP, 2_450))
    assert settled.fills
    assert not settled.decisions
    story.mine(weth_pool(CHEAP, 2_500))
    assert story.mine(weth_pool(CHEAP, 2_450)).decisions


def test_a_closing_in_a_dead_block_frees_nothing() -> None:
    story = Story(delayed(1))
    included = story.mine()
    assert included.fills
    story.mine(weth_pool(CHEAP, 2_500))
    assert not story.engine.ledger.busy([CHEAP]).any()
    # On the new branch the cycle has been open all the time.
    assert not story.mine(parent=included.block, branch="b").decisions
    assert story.engine.ledger.busy([CHEAP]).any()
    assert not story.mine(branch="b").decisions


def test_pools_of_an_expired_decision_are_freed_when_its_cycle_closes() -> None:
    story = Story(delayed(1))
    assert story.mine(base_fee=HIGH).fills[0].status is FillStatus.EXPIRED
    assert not story.mine().decisions
    story.mine(weth_pool(CHEAP, 2_500))
    assert story.mine(weth_pool(CHEAP, 2_450)).decisions
