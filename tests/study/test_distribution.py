"""Weighted values, their quantiles, and thresholds they rise to."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from dexarb.study.distribution import Course, Distribution

THRESHOLDS = (0.0, 1.0, 5.0)
VALUES = st.one_of(st.none(), st.integers(-300, 900).map(lambda n: n / 100))


@given(st.lists(VALUES, min_size=1, max_size=40))
def test_a_course_is_what_a_list_of_every_block_says(values: list[float | None]) -> None:
    """Told only of changes, it counts as one that is asked in every block."""
    course = Course(THRESHOLDS)
    told: object = ()
    for block, value in enumerate(values):
        if value != told:
            course.observe(block, value)
            told = value
    course.close(len(values))
    known = sorted(value for value in values if value is not None)
    found = course.values
    assert found.blocks == len(known)
    assert found.missing == len(values) - len(known)
    assert found.greatest == max(known, default=None)
    assert found.at_least(1.0) == sum(value >= 1.0 for value in known)
    for share in (0.5, 0.9, 0.99):
        at_least = [v for v in known if sum(k <= v for k in known) >= share * len(known)]
        assert found.quantile(share) == min(at_least, default=None)
    assert course.rises == [
        sum(
            v is not None
            and v >= t
            and any(v >= each and (u is None or u < each) for each in THRESHOLDS)
            for u, v in pairwise([None, *values])
        )
        for t in THRESHOLDS
    ]


@given(st.lists(VALUES, max_size=40), st.sets(st.integers(0, 40), max_size=5))
def test_a_lower_threshold_sees_no_less_than_a_higher_one(
    values: list[float | None], unknown: set[int]
) -> None:
    course = Course(THRESHOLDS)
    for block, value in enumerate(values):
        if block in unknown:
            course.skip(block)
        course.observe(block, value)
    assert course.rises == sorted(course.rises, reverse=True)


def test_a_spread_that_stands_above_a_threshold_still_rises_for_it() -> None:
    """Three times to 5 and back to 2: who waits at 1 sees all three, not one."""
    course = Course(THRESHOLDS)
    for block, value in enumerate((2.0, 6.0, 2.0, 6.0, 2.0, 6.0, 2.0, -1.0)):
        course.observe(block, value)
    assert course.rises == [4, 4, 3]


@given(st.lists(st.integers(-300, 900).map(lambda n: n / 100), max_size=40))
def test_the_histogram_has_every_block_once(values: list[float]) -> None:
    found = Distribution()
    for value in values:
        found.add(value, 2)
    edges = (-1.0, 0.0, 3.0)
    low, negative, small, large = found.histogram(edges)
    assert low == 2 * sum(value < -1 for value in values)
    assert negative == 2 * sum(-1 <= value < 0 for value in values)
    assert small == 2 * sum(0 <= value < 3 for value in values)
    assert large == 2 * sum(value >= 3 for value in values)


def test_nothing_has_no_quantile() -> None:
    empty = Distribution()
    empty.add(None, 7)
    assert (empty.quantile(0.5), empty.greatest, empty.blocks, empty.missing) == (None, None, 0, 7)
