"""Whatever comes in whatever order: blocks with our trades and without, forks, lies, restarts."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory

import pytest

from dexarb.core.block import Block
from dexarb.core.sending import ControlKind, Signed
from tests.ends.end_world import EndWorld, end_world
from tests.ends.test_lying_ways import LIES
from tests.support.worlds.small_chain import CHEAP, weth_pool

BLOCKS = 40
DEEPEST = 4


class Course:
    """Mutable: a world, the blocks of its branch, and what the chain has of ours."""

    def __init__(self, world: EndWorld, random: Random) -> None:
        self.world, self.random = world, random
        self.branch: list[tuple[Block, list[Signed]]] = [(world.chain.tip, [])]
        self.seen: Counter[str] = Counter()
        self.forks = 0

    def move(self) -> None:
        moves = [self.block] * 6 + [self.fork, self.restart, self.lie, self.disarm]
        self.random.choice(moves)()
        self.world.node.nonces[self.world.lanes[0]] = self.used

    @property
    def used(self) -> int:
        return sum(len(ours) for _, ours in self.branch)

    def block(self, parent: Block | None = None) -> None:
        """With or without a spread, and with what comes next of ours, or without."""
        world = self.world
        price = self.random.choice([2_450, 2_440, 2_500, 2_500])
        branch = f"f{self.forks}-" if self.forks else ""
        waiting = [each for each in world.journal.signed() if each.nonce == self.used]
        if waiting and self.random.random() < 0.5:
            ours = self.random.choice(waiting)  # not always the dearer one gets through
            gain = None if ours.decision is None else self.random.choice([None, self.gain(ours)])
            update = world.including(ours, gain=gain, parent=parent, branch=branch)
            self.seen["included"] += 1
        else:
            update = world.chain.mine(weth_pool(CHEAP, price), parent=parent, branch=branch)
            ours = None
        self.branch.append((update.block, [] if ours is None else [ours]))
        world.node.nonces[world.lanes[0]] = self.used
        world.step(update, witnesses=self.random.choice([2, 2, 2, 0]))

    def gain(self, ours: Signed) -> int:
        return self.world.gain_of(ours)

    def fork(self) -> None:
        depth = min(self.random.randint(1, DEEPEST), len(self.branch) - 1)
        if depth:
            self.seen["taken back"] += sum(len(ours) for _, ours in self.branch[-depth:])
            del self.branch[-depth:]
            self.forks += 1
            self.block(self.branch[-1][0])

    def restart(self) -> None:
        self.seen["restart"] += 1
        self.world.end_it()
        self.world.begin()

    def lie(self) -> None:
        name = self.random.choice([*LIES, ""])
        self.world.node.lie = LIES[name][0] if name and "no answer" not in name else None

    def disarm(self) -> None:
        self.world.order(ControlKind.DISARM, "a test")
        if self.random.random() < 0.8:
            self.world.arm()


def play(folder: Path, seed: int) -> Counter[str]:
    with end_world(folder, timeout_s=0.2) as world:
        course = Course(world, Random(seed))
        world.ready()
        course.branch.append((world.chain.tip, []))
        world.use_another_strategy()
        for _ in range(BLOCKS):
            course.move()
        world.node.lie = None
        for _ in range(3):
            course.block()
        sent = Counter(each.decision for each in world.journal.signed() if each.decision)
        assert not sent or set(sent.values()) == {1}
        by_hash = {each.hash: each for each in world.journal.signed()}
        standing = {row.fill.decision.id for row in world.ledger.fills() if row.reorged_seq is None}
        landed = [each for _, ours in course.branch for each in ours]
        assert [each.nonce for each in landed] == list(range(len(landed)))
        assert {each.decision for each in landed if each.decision} <= standing
        assert all(each.hash in by_hash for each in landed)
        world.assert_replays()
        course.seen["signed"] += len(sent)
        return course.seen


@pytest.mark.parametrize(
    "seeds", [range(8), pytest.param(range(8, 400), marks=pytest.mark.fuzz)], ids=["few", "many"]
)
def test_books_follow_from_history_and_journal(seeds: range) -> None:
    seen: Counter[str] = Counter()
    for seed in seeds:
        with TemporaryDirectory() as name:
            seen += play(Path(name), seed)
    assert {"included", "taken back", "restart", "signed"} <= seen.keys()
