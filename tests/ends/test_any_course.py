"""Whatever comes in whatever order: blocks with our trades and without, forks, lies, restarts.

And the same once more for a bot that is ended and begun between them: it comes to the same.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from dexarb.apps.live.balance_keeper import READ_S
from dexarb.core.block import Block, BlockUpdate
from dexarb.core.sending import ControlKind, Signed, avoided
from tests.ends.end_world import EndWorld, end_world
from tests.ends.test_lying_ways import LIES
from tests.store.disks import no_commit
from tests.support.worlds.small_chain import CHEAP, weth_pool

MOVES = 40
DEEPEST = 4
TELLING = (5, 75, 78)
"""Courses that tell where a limit, a model error, a nonce or a trade under way is forgotten."""
SEEN = (ControlKind.DISARM, ControlKind.ARM, ControlKind.AVOID, ControlKind.DROP)
FEW_REVERTS: dict[str, object] = {"max_reverts_in_a_row": 3}


class Course:
    """Mutable: a world, the blocks of its branch, and what the chain has of ours. script: what has
    happened to the world from outside."""

    def __init__(self, world: EndWorld, random: Random) -> None:
        self.world, self.random = world, random
        self.branch: list[tuple[Block, list[Signed]]] = [(world.chain.tip, [])]
        self.seen: Counter[str] = Counter()
        self.forks = 0
        self.script: list[Event] = []

    def move(self) -> None:
        others = [self.fork, self.restart, self.lie, self.disarm, self.stuck]
        self.random.choice([*[self.block] * 6, *others])()

    def happens(self, event: Event) -> None:
        self.script.append(event)
        event(self.world)

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
            update = self.including(ours, parent=parent, branch=branch)
            self.seen["included"] += 1
        else:
            update = world.chain.mine(weth_pool(CHEAP, price), parent=parent, branch=branch)
            ours = None
        self.branch.append((update.block, [] if ours is None else [ours]))
        self.happens(partial(takes, update, self.random.choice([2, 2, 2, 0]), self.used))

    def including(self, ours: Signed, **changes: Any) -> BlockUpdate:
        """Filled, overtaken, or against its twin."""
        world, how = self.world, self.random.random()
        if ours.decision is None or how < 0.05:
            return world.including(ours, gain=None, **changes)
        if how < 0.6:
            return world.overtaken(ours, **changes)
        return world.including(ours, gain=world.gain_of(ours), **changes)

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

    def stuck(self) -> None:
        """The journal, and nothing else; perhaps the bot is killed meanwhile."""
        with no_commit(self.world.journal):
            for _ in range(self.random.randint(1, 4)):
                self.random.choice([self.block, self.block, self.block, self.fork])()
            if self.random.random() < 0.3:
                self.restart()
        self.seen["stuck"] += 1

    def lie(self) -> None:
        name = self.random.choice([*LIES, ""])
        lie = LIES[name][0] if name and "no answer" not in name else None
        self.happens(lambda world: setattr(world.node, "lie", lie))

    def disarm(self) -> None:
        self.happens(partial(orders, ControlKind.DISARM, ""))
        if self.random.random() < 0.8:
            self.arm()

    def arm(self) -> None:
        self.happens(partial(orders, ControlKind.ARM, ""))

    def trust(self) -> None:
        """Whatever is avoided."""
        for each in avoided(self.world.journal.controls()):
            self.happens(partial(orders, ControlKind.TRUST, each))


Event = Callable[[EndWorld], object]


def takes(update: BlockUpdate, witnesses: int, used: int, world: EndWorld) -> None:
    """The next block. used: nonces of ours, as any node says from then on."""
    world.chain.tip = update.block
    world.node.nonces[world.lanes[0]] = used
    world.step(update, witnesses=witnesses)


def orders(kind: ControlKind, subject: str, world: EndWorld) -> None:
    world.order(kind, "a test", subject, tick_s=0.1)


def play(folder: Path, seed: int) -> Counter[str]:
    with end_world(folder, limits=FEW_REVERTS, timeout_s=0.2) as world:
        course = Course(world, Random(seed))
        world.ready()
        course.branch.append((world.chain.tip, []))
        world.use_another_strategy()
        for _ in range(MOVES):
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
    assert {"included", "taken back", "restart", "signed", "stuck"} <= seen.keys()


class Uninterrupted(Course):
    """Behind each event everybody knows of the accounts again, so that it does not matter how long
    that took."""

    def move(self) -> None:
        moves = [*[self.block] * 12, self.fork, self.lie, self.arm, self.disarm, self.trust]
        self.random.choice(moves)()

    def happens(self, event: Event) -> None:
        super().happens(event)
        self.world.heard()


def begun(world: EndWorld) -> None:
    world.ready()
    world.use_another_strategy()


def resume(folder: Path, script: list[Event], random: Random) -> tuple[str, list[object]]:
    """The same events for a bot that is killed, or stopped, here and there."""
    with end_world(folder, limits=FEW_REVERTS, timeout_s=0.2) as world:
        begun(world)
        for event in script:
            if random.random() < 0.3:
                if random.random() < 0.5:
                    world.session.pause()
                world.end_it()
                world.begin()
                world.heard()
            event(world)
            world.heard()
        return books(world)


def books(world: EndWorld) -> tuple[str, list[object]]:
    """The ledger's digest, and everything in the journal but how often what was given out."""
    found = world.journal
    assert world.waited_s < READ_S  # nobody has looked whether this chain pays what it says
    return world.ledger.digest(), [
        *(found.intents(), found.signed(), found.controls(), found.twins(), found.papers())
    ]


@pytest.mark.parametrize(
    "seeds", [TELLING, pytest.param(range(400), marks=pytest.mark.fuzz)], ids=["few", "many"]
)
def test_who_is_interrupted_comes_to_the_same(seeds: Sequence[int]) -> None:
    seen: Counter[str] = Counter()
    for seed in seeds:
        with TemporaryDirectory() as name:
            one, other = Path(name, "one"), Path(name, "other")
            one.mkdir()
            other.mkdir()
            with end_world(one, limits=FEW_REVERTS, timeout_s=0.2) as world:
                begun(world)
                course = Uninterrupted(world, Random(seed))
                for _ in range(MOVES):
                    course.move()
                expected = books(world)
                seen += Counter(each.kind for each in world.journal.controls())
            assert resume(other, course.script, Random(seed)) == expected, f"seed {seed}"
            seen += course.seen
    assert {"included", "taken back", *SEEN} <= seen.keys()
