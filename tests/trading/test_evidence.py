"""What the chain did with a spread: told once, when it is known, and told anew after a reorg."""

from __future__ import annotations

from dataclasses import replace

from msgspec import structs

from dexarb.core.block import BlockHash, BlockUpdate
from dexarb.core.evidence import Evidence, Mover, Outcome
from dexarb.core.market import Keyframe
from dexarb.core.pool import Pool
from dexarb.core.token import Address
from dexarb.core.traffic import Change, Flow, SwapCount, Traffic
from tests.support.scripted import Scripted
from tests.support.worlds.blocks import GWEI, TRADER, transaction
from tests.support.worlds.engines import engine, plain
from tests.support.worlds.events import state_log
from tests.support.worlds.random_chain import RandomChain
from tests.support.worlds.small_chain import (
    CHEAP,
    DEAR,
    USDC,
    WETH,
    SmallChain,
    keyframe,
    weth_pool,
)

SIZE = 10_000 * 10**6


class Story:
    """Two strategies decide on the same spread, open at the end of block 101."""

    def __init__(self, own: tuple[Address, ...] = ()) -> None:
        first = keyframe()
        first = replace(first, profile=replace(first.profile, own=own))
        self.chain = SmallChain(first)
        self.engine = engine(first, [Scripted({"a": {}, "b": {}})], scanner=plain)
        opened = self.engine.step(self.chain.mine(weth_pool(CHEAP, 2_450)))
        assert len(opened.decisions) == 2
        self.opened = opened.block
        self.cycle = opened.decisions[0].cycle

    def rivals_block(self, **where: object) -> tuple[BlockUpdate, int]:
        """Somebody who does nothing to us, then an arbitrage that closes the spread; its gain."""
        cheap, dear = (self.engine.market.pools[each] for each in (CHEAP, DEAR))
        bought = cheap.swap(USDC, SIZE)
        sold = dear.swap(WETH, bought.amount_out)
        made: list[Pool] = [bought.pool, sold.pool]
        update = self.chain.mine(**where)  # type: ignore[arg-type]
        logs = tuple(
            structs.replace(state_log(pool), transaction_index=1, log_index=n)
            for n, pool in enumerate(made)
        )
        paid = transaction(1, effective_gas_price=33 * GWEI, gas_used=140_000)
        return replace(update, logs=logs, transactions=(transaction(0), paid)), (
            sold.amount_out - SIZE
        )


def test_a_spread_that_was_taken() -> None:
    story = Story()
    assert not story.engine.step(story.chain.mine()).evidence
    update, gain = story.rivals_block()
    assert story.engine.step(update).evidence == (
        Evidence(
            cycle=story.cycle,
            block_number=story.opened.number,
            block_hash=story.opened.hash,
            outcome=Outcome.TAKEN,
            closed_after=2,
            mover=Mover(
                block_number=update.block.number,
                block_hash=update.block.hash,
                place=1,
                transaction="0xt1",
                sender=TRADER,
                to=None,
                paid=140_000 * 33 * GWEI,
            ),
            gain_token=USDC,
            gain=gain,
        ),
    )
    assert not story.engine.step(story.chain.mine()).evidence


def test_what_we_took_is_evidence_of_nobody() -> None:
    """Nor of a spread that stays: what others had done nobody will know. A fork opens it again."""
    story = Story(own=(TRADER,))
    update, _ = story.rivals_block()
    assert not story.engine.step(update).evidence
    for _ in range(65):
        assert not story.engine.step(story.chain.mine()).evidence
    other = Story(own=(TRADER,))
    update, _ = other.rivals_block()
    assert not other.engine.step(update).evidence
    stranger = Address("0x" + "99" * 20)
    sent = tuple(structs.replace(each, sender=stranger) for each in update.transactions)
    theirs = other.chain.mine(parent=other.opened, branch="b")
    theirs = replace(theirs, logs=update.logs, transactions=sent)
    (found,) = other.engine.step(theirs).evidence
    assert found.mover is not None
    assert (found.outcome, found.mover.sender) == (Outcome.TAKEN, stranger)


def test_a_spread_that_a_trader_closed_has_vanished() -> None:
    story = Story()
    (found,) = story.engine.step(story.chain.mine(weth_pool(CHEAP, 2_500))).evidence
    assert (found.outcome, found.closed_after) == (Outcome.VANISHED, 1)
    assert found.mover is not None
    assert found.mover.place == 0
    assert (found.gain_token, found.gain) == (None, None)


def test_a_spread_that_was_taken_through_a_pool_elsewhere() -> None:
    """As its flow says: by the logs of our pools it is a trade."""
    story = Story()
    update = story.chain.mine(weth_pool(CHEAP, 2_500))
    elsewhere = SwapCount(Address("0x" + "e1" * 20), "curve", 1)
    flow = Flow(0, (0,), True, (Change(USDC, "7000000"),), ())
    update = replace(update, traffic=Traffic((elsewhere,), (flow,)))
    (found,) = story.engine.step(update).evidence
    assert (found.outcome, found.gain_token, found.gain) == (Outcome.TAKEN, USDC, 7_000_000)


def test_the_first_who_moves_the_pools_counts() -> None:
    """A trader moves a pool a little, and an arbitrageur takes the rest one block later."""
    story = Story()
    moved = story.engine.step(story.chain.mine(weth_pool(CHEAP, 2_451)))
    assert not moved.evidence
    update, _ = story.rivals_block()
    (found,) = story.engine.step(update).evidence
    assert (found.outcome, found.closed_after) == (Outcome.VANISHED, 2)
    assert found.mover is not None
    assert found.mover.block_hash == moved.block.hash


def test_a_spread_that_stays_is_told_after_64_blocks() -> None:
    story = Story()
    for _ in range(63):
        assert not story.engine.step(story.chain.mine()).evidence
    (found,) = story.engine.step(story.chain.mine()).evidence
    assert (found.outcome, found.closed_after, found.mover) == (Outcome.PERSISTED, None, None)
    assert not story.engine.step(story.chain.mine()).evidence


def test_without_receipts_only_the_place_is_known() -> None:
    story = Story()
    update, gain = story.rivals_block()
    (found,) = story.engine.step(replace(update, transactions=(), has_receipts=False)).evidence
    block = update.block
    assert found.mover == Mover(block.number, block.hash, 1)
    assert (found.outcome, found.gain) == (Outcome.TAKEN, gain)


def test_a_gain_mixed_with_something_else_is_not_told() -> None:
    story = Story()
    update, _ = story.rivals_block()
    # The same transaction also sells WETH of its own into the dear pool.
    dear = story.engine.market.pools[DEAR].apply(update.logs[1])
    sold = state_log(dear.swap(WETH, 10**18).pool)
    logs = (*update.logs, structs.replace(sold, transaction_index=1, log_index=2))
    (found,) = story.engine.step(replace(update, logs=logs)).evidence
    assert (found.outcome, found.gain_token, found.gain) == (Outcome.TAKEN, None, None)


def test_a_reorg_opens_the_case_again() -> None:
    story = Story()
    dead = story.engine.step(story.chain.mine(weth_pool(CHEAP, 2_500)))
    assert dead.evidence[0].outcome is Outcome.VANISHED
    step = story.engine.step(story.chain.mine(parent=story.opened, branch="b"))
    assert step.dead_blocks == (dead.block.hash,)
    assert not step.evidence
    update, gain = story.rivals_block(branch="b")
    (found,) = story.engine.step(update).evidence
    assert (found.outcome, found.closed_after, found.gain) == (Outcome.TAKEN, 2, gain)


def test_what_was_sent_in_a_dead_block_meets_the_new_branch() -> None:
    story = Story()
    above = story.engine.market.block
    first = keyframe()
    # Block 101 dies with the spread in it; 101 of the new branch has another one, still open.
    fresh = story.engine.step(
        story.chain.mine(weth_pool(CHEAP, 2_440), parent=first.block, branch="b")
    )
    assert fresh.dead_blocks == (above.hash,)
    assert not fresh.decisions  # the pools are busy: it was sent
    (found,) = story.engine.step(story.chain.mine(weth_pool(CHEAP, 2_500), branch="b")).evidence
    assert (found.block_hash, found.closed_after) == (above.hash, 1)
    assert found.mover is not None
    assert found.mover.block_number == above.number + 1


def test_a_resync_forgets() -> None:
    story = Story()
    far: Keyframe = replace(
        keyframe(), seq=9, block=replace(story.opened, number=900, hash=BlockHash("0xfar"))
    )
    story.engine.step(far)
    story.chain.tip = far.block
    assert not story.engine.step(story.chain.mine()).evidence


def test_one_row_for_every_cycle_and_block_that_was_decided_on() -> None:
    chain = RandomChain("evidence")
    made = engine(chain.first, [Scripted({"a": {}, "b": {"first_block": 105}})])
    decided: set[tuple[str, str]] = set()
    told: list[tuple[str, str]] = []
    for number in range(100):
        if number == 35:
            made.deciding = False
        step = made.step(chain.mine())
        decided |= {(each.cycle.id, each.block.hash) for each in step.decisions}
        told += [(each.cycle.id, each.block_hash) for each in step.evidence]
    assert len(told) > 10
    assert sorted(told) == sorted(decided)
