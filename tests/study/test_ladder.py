"""Episodes: a spread counts once, with the best it had."""

from __future__ import annotations

from dexarb.study.ladder import EpisodeBook, Ladder
from tests.store.books import CYCLE, TRIANGLE


def test_an_episode_counts_once_with_its_best_at_every_size() -> None:
    book = EpisodeBook(2)
    book.observe(10, {CYCLE.id: 10}, [(CYCLE, (1, 5))])
    book.observe(11, {CYCLE.id: 10, TRIANGLE.id: 11}, [(CYCLE, (3, 4)), (TRIANGLE, (None, 2))])
    book.observe(12, {TRIANGLE.id: 11}, [(TRIANGLE, (None, 1))])
    book.observe(13, {CYCLE.id: 13, TRIANGLE.id: 11}, [(CYCLE, (2, 2))])
    found = [
        (each.opened, each.cycle.id, each.net_micro_usd, each.block) for each in book.episodes()
    ]
    assert found == [
        (10, CYCLE.id, [3, 5], [11, 10]),
        (11, TRIANGLE.id, [None, 2], [11, 11]),
        (13, CYCLE.id, [2, 2], [13, 13]),
    ]
    ladder = Ladder(book.episodes(), 2)
    assert [ladder.reaching(0, net) for net in (2, 3, 4)] == [2, 1, 0]
    assert [ladder.reaching(1, net) for net in (2, 5, 6)] == [3, 1, 0]
    assert ladder.best == 5


def test_a_cycle_that_opens_again_at_once_is_another_episode() -> None:
    book = EpisodeBook(1)
    book.observe(10, {CYCLE.id: 10}, [(CYCLE, (7,))])
    book.observe(12, {CYCLE.id: 12}, [(CYCLE, (9,))])
    assert [each.net_micro_usd for each in book.episodes()] == [[7], [9]]
