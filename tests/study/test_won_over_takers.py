"""Who was before whom."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dexarb.core.evidence import Evidence, Mover, Outcome
from dexarb.study.evidence import won_over_taker
from tests.store.books import CYCLE, block, decision, fill

FILL = fill(decision("one", block(10)), block(11))  # at place 3


def evidence(number: int, place: int, outcome: Outcome = Outcome.TAKEN) -> Evidence:
    mover = Mover(number, block(number).hash, place)
    return Evidence(CYCLE, 10, block(10).hash, outcome, 1, mover)


@pytest.mark.parametrize(
    ("number", "place", "won"),
    [(11, 2, False), (11, 3, True), (11, 4, True), (12, 0, True), (10, 9, False)],
)
def test_the_place_counts_the_transactions_before_ours(number: int, place: int, won: bool) -> None:
    assert won_over_taker(FILL, evidence(number, place)) is won


def test_nothing_is_won_without_a_taker_or_a_fill_of_known_place() -> None:
    taker = evidence(11, 4)
    assert not won_over_taker(FILL, None)
    assert not won_over_taker(FILL, evidence(11, 4, Outcome.VANISHED))
    assert not won_over_taker(FILL, replace(taker, mover=None))
    assert not won_over_taker(FILL._replace(place_known=False), taker)
    reverted = fill(FILL.decision, FILL.block, status="reverted")
    assert not won_over_taker(reverted, taker)
