"""The way to a head, played to its decisions without any node."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from dexarb.chain.decode import Header
from dexarb.chain.feed.way import Dialogue, ParentMissing, T, fork_point, way_to
from dexarb.core.block import BlockHash, BlockRef
from dexarb.errors import ReorgTooDeep
from tests.support.worlds.blocks import block


class Chain:
    """Headers by number and by hash. asked: questions so far, rounds: how often they came."""

    def __init__(self, headers: Sequence[Header], elsewhere: Sequence[Header] = ()) -> None:
        self.headers = list(headers)
        self._by_number = {each.block.number: each for each in headers}
        self._by_hash = {each.block.hash: each for each in (*headers, *elsewhere)}
        self.asked = self.rounds = 0

    def lead(self, dialogue: Dialogue[T]) -> T:
        try:
            questions = next(dialogue)
            while True:
                self.asked += len(questions)
                self.rounds += 1
                questions = dialogue.send([self._answer(each) for each in questions])
        except StopIteration as end:
            value: T = end.value
            return value

    def _answer(self, question: BlockHash | int) -> Header | None:
        if isinstance(question, int):
            return self._by_number.get(question)
        return self._by_hash.get(question)


def header(number: int, branch: str, parent: Header | None = None) -> Header:
    own, below = f"0x{branch}{number}", parent.block.hash if parent else "0xnone"
    return Header(block(number, own, below), None, None, None, None)


def line(first: int, last: int, branch: str, parent: Header | None = None) -> list[Header]:
    made: list[Header] = []
    for number in range(first, last + 1):
        made.append(header(number, branch, made[-1] if made else parent))
    return made


def refs(headers: Sequence[Header]) -> list[BlockRef]:
    return [BlockRef(each.block.number, each.block.hash) for each in headers]


MAIN = line(100, 400, "a")


def fork(at: int, length: int) -> list[Header]:
    """MAIN up to block `at` and another branch from there."""
    stem = [each for each in MAIN if each.block.number <= at]
    return stem + line(at + 1, at + length, "b", stem[-1])


@pytest.mark.parametrize("ahead", [1, 2, 9, 64])
def test_blocks_on_top_of_ours_come_in_order(ahead: int) -> None:
    chain = Chain(MAIN)
    known = refs(MAIN[:50])
    assert chain.lead(way_to(MAIN[49 + ahead], known)) == MAIN[50 : 50 + ahead]
    assert chain.rounds <= 1


@pytest.mark.parametrize("depth", range(1, 25))
@pytest.mark.parametrize("longer", [-3, 0, 4])
def test_another_branch_comes_from_its_fork_point(depth: int, longer: int) -> None:
    if depth + longer < 1:
        longer = 0
    known = refs(MAIN[:100])
    other = fork(199 - depth, depth + longer)
    way = Chain(other).lead(way_to(other[-1], known, MAIN[99].block.timestamp))
    assert way == other[100 - depth :]


@pytest.mark.parametrize("back", [0, 1, 5, 60, 99, 150])
def test_a_head_that_lags_on_our_own_chain_leads_nowhere(back: int) -> None:
    """Also where it lies before all blocks that we remember, and where it does not know ours."""
    ours, newest_s = MAIN[:250], MAIN[249].block.timestamp
    for behind in (Chain(MAIN), Chain(ours[: 250 - back])):
        assert behind.lead(way_to(ours[-1 - back], refs(ours[-100:]), newest_s)) == []
    right_after_the_start = refs(ours[-1:])
    assert (
        Chain(ours[: 250 - back]).lead(way_to(ours[-1 - back], right_after_the_start, newest_s))
        == []
    )


def test_a_fork_below_all_that_we_know_is_too_deep() -> None:
    other = fork(150, 160)
    with pytest.raises(ReorgTooDeep):
        Chain(other).lead(way_to(other[-1], refs(MAIN[60:160]), MAIN[159].block.timestamp))


def test_a_lower_head_that_is_younger_than_ours_is_of_another_chain() -> None:
    """Whatever it says of our number: times rise along a chain."""
    restarted = line(0, 5, "new")
    with pytest.raises(ReorgTooDeep):
        Chain(restarted).lead(
            way_to(restarted[-1], refs(MAIN[-3:]), restarted[-1].block.timestamp - 100)
        )


def test_a_lower_head_whose_chain_has_another_block_in_our_place_is_no_lag() -> None:
    other = fork(150, 300)
    head = next(each for each in other if each.block.number == 290)
    with pytest.raises(ReorgTooDeep):
        Chain(other).lead(way_to(head, refs(MAIN[-3:]), MAIN[-1].block.timestamp))


def test_a_parent_that_is_not_to_be_had_is_said() -> None:
    with pytest.raises(ParentMissing):
        Chain([]).lead(way_to(MAIN[60], refs(MAIN[:50])))


def test_a_parent_of_another_number_is_no_parent() -> None:
    odd = header(155, "odd", MAIN[60])
    with pytest.raises(ParentMissing):
        Chain(MAIN).lead(way_to(odd, refs(MAIN[:50])))


def test_any_fork_point_is_found_in_few_questions() -> None:
    branch = refs(MAIN)
    for at in (100, 101, 130, 250, 390, 398, 399, 400):
        chain = Chain(fork(at, 5) if at < 400 else MAIN)
        assert chain.lead(fork_point(branch)) == branch[at - 100]
        assert chain.asked <= 18
    assert Chain(line(0, 500, "other")).lead(fork_point(branch)) is None
    assert Chain([]).lead(fork_point(branch)) is None


def test_random_forks_of_random_branches_with_holes() -> None:
    chance = random.Random(8)
    for _ in range(200):
        branch = sorted(chance.sample(refs(MAIN), chance.randrange(1, 40)))
        at = chance.randrange(95, 405)
        chain = Chain([each for each in MAIN if each.block.number <= at])
        stands = [each for each in branch if each.number <= at]
        assert chain.lead(fork_point(branch)) == (stands[-1] if stands else None)
