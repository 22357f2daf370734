"""As many blocks as can be taken back, and one more: prices, episodes, books, evidence, decisions.

What dies settles a decision, closes its cycle and tells its evidence in the first dead block, the
one that is taken back last.
"""

from __future__ import annotations

from dataclasses import replace

import pytest

from dexarb.core.block import Block, BlockRef
from dexarb.core.evidence import Outcome
from dexarb.core.ledger import COLUMNS
from dexarb.core.market import Break, Entry
from dexarb.core.trade import FillStatus
from dexarb.trading.engine import Engine
from dexarb.trading.seams import Step
from tests.support.scripted import Scripted
from tests.support.worlds.engines import engine, plain
from tests.support.worlds.small_chain import (
    CHEAP,
    DEAR,
    GAS,
    PROFILE,
    WETH,
    SmallChain,
    keyframe,
    weth_pool,
)

DEEPEST = 128
FORK = 129
"""Number of the block that stands: 30 block ends are behind it, the keyframe's among them."""


class Twins:
    """Two engines on one trunk: `saw` sees the dead branch, `never` does not.

    Of the 30 prices of WETH that count at the fork, 15 are 2,500 and 15 are 2,600: without the
    oldest of them the median would be another one. A spread is open since the block before.
    """

    def __init__(self) -> None:
        first = replace(keyframe(), profile=replace(PROFILE, start_tokens=(WETH,)))
        self.chain = SmallChain(first)
        late = {"first_block": FORK + 1, "deadline_block": FORK + 1}
        self.saw, self.never = (
            engine(first, [Scripted({"s": late})], scanner=plain) for _ in range(2)
        )
        self.both(*(self.chain.mine() for _ in range(14)))
        self.both(self.chain.mine(weth_pool(CHEAP, 2_600), weth_pool(DEAR, 2_600)))
        self.both(*(self.chain.mine() for _ in range(12)))
        (opened,) = self.both(self.chain.mine(weth_pool(CHEAP, 2_550)))
        assert len(opened[0].decisions) == 1
        self.both(self.chain.mine())
        self.fork: Block = self.chain.tip
        assert self.fork.number == FORK

    def both(self, *entries: Entry) -> list[tuple[Step, Step]]:
        return [(self.saw.step(entry), self.never.step(entry)) for entry in entries]

    def die(self, blocks: int) -> Step:
        """So many blocks that will be dead; returns what came of the first of them."""
        self.saw.deciding = False
        dead = [self.saw.step(self.chain.mine(weth_pool(CHEAP, 2_600)))]
        dead.append(self.saw.step(self.chain.mine(weth_pool(CHEAP, 9_000), weth_pool(DEAR, 9_000))))
        dead += [self.saw.step(self.chain.mine()) for _ in range(blocks - len(dead))]
        self.saw.deciding = True
        (fill,), (evidence,) = dead[0].fills, dead[0].evidence
        assert (fill.status, evidence.outcome) == (FillStatus.REVERTED, Outcome.VANISHED)
        return dead[0]

    def check(self) -> None:
        """Nothing tells them apart."""
        assert self.saw.market.pools == self.never.market.pools
        assert self.saw.episodes.by_id() == self.never.episodes.by_id()
        for token in self.saw.market.tokens:
            assert self.saw.valuation.price(token) == self.never.valuation.price(token)
        for name in COLUMNS:
            assert books(self.saw, name) == books(self.never, name), name
        for pool in (CHEAP, DEAR, GAS):
            busy = [made.ledger.busy([pool]).tolist() for made in (self.saw, self.never)]
            assert busy[0] == busy[1]


def books(made: Engine, name: str) -> list[int]:
    return [int(each) for each in made.ledger.column(name)]


@pytest.mark.parametrize("by_break", [False, True])
def test_the_deepest_reorganisation_leaves_nothing_of_what_died(by_break: bool) -> None:
    twins = Twins()
    first_dead = twins.die(DEEPEST)
    after = twins.chain.mine(weth_pool(CHEAP, 2_551), parent=twins.fork, branch="b")
    if by_break:
        ref = BlockRef(twins.fork.number, twins.fork.hash)
        back = twins.saw.step(Break(999, ref, "reorganised"))
        twins.check()
        assert list(twins.saw.episodes.by_id().values()) == [FORK - 1]
        saw, never = twins.both(after)[0]
    else:
        back, never = twins.both(after)[0]
        saw = back
    assert tuple(back.undone) == tuple(first_dead.fills)
    assert len(back.dead_blocks) == DEEPEST
    assert back.dead_blocks[0] == first_dead.block.hash
    same(saw, never)
    twins.check()
    assert [fill.status for fill in saw.fills] == [FillStatus.FILLED]
    ((saw, never),) = twins.both(twins.chain.mine(weth_pool(CHEAP, 2_600), branch="b"))
    same(saw, never)
    twins.check()
    assert [(each.outcome, each.closed_after) for each in saw.evidence] == [(Outcome.VANISHED, 3)]


def same(saw: Step, never: Step) -> None:
    assert (saw.fills, saw.decisions, saw.evidence) == (
        never.fills,
        never.decisions,
        never.evidence,
    )


@pytest.mark.parametrize("by_break", [False, True])
def test_a_block_more_is_not_followed(by_break: bool) -> None:
    twins = Twins()
    twins.die(DEEPEST + 1)
    after = twins.chain.mine(parent=twins.fork, branch="b")
    ref = BlockRef(twins.fork.number, twins.fork.hash)
    step = twins.saw.step(Break(999, ref, "reorganised") if by_break else after)
    assert (twins.saw.is_lost, step.stale) == (True, True)
    # A break says what still stands, and of all that is remembered nothing does.
    assert bool(step.undone) is by_break
