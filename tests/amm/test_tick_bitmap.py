"""TickBitmap against walking from tick to tick over the bits of a word."""

from __future__ import annotations

from bisect import bisect_right

from hypothesis import given
from hypothesis import strategies as st

from dexarb.amm.tick_bitmap import (
    last_stop_before,
    next_stop_above,
    next_stop_below,
    ticks_in_word,
    word_positions,
    words_passed,
)
from dexarb.amm.tick_math import MAX_TICK, MIN_TICK

spacings = st.sampled_from([1, 10, 60, 200, 16383])
ticks = st.integers(MIN_TICK, MAX_TICK - 1)


def walked(initialized: set[int], tick: int, spacing: int, step: int) -> tuple[int, bool]:
    """nextInitializedTickWithinOneWord, bit by bit; the price range ends what the word does not."""
    compressed = tick // spacing + (step > 0)
    word = compressed >> 8
    while True:
        if compressed * spacing in initialized:
            return compressed * spacing, True
        if (compressed + step) >> 8 != word:
            return max(MIN_TICK, min(compressed * spacing, MAX_TICK)), False
        compressed += step


@given(st.data(), spacings, ticks)
def test_the_next_stop_is_the_next_bit_or_the_end_of_the_word(
    data: st.DataObject, spacing: int, tick: int
) -> None:
    near = st.integers(-600, 600).map(lambda off: (tick // spacing + off) * spacing)
    found = data.draw(st.sets(near.filter(lambda at: MIN_TICK <= at <= MAX_TICK), max_size=8))
    initialized = sorted(found)
    index = bisect_right(initialized, tick)
    assert next_stop_below(initialized, index - 1, tick, spacing) == walked(
        found, tick, spacing, -1
    )
    assert next_stop_above(initialized, index, tick, spacing) == walked(found, tick, spacing, 1)


@given(st.data(), spacings)
def test_words_hold_every_usable_tick_once(data: st.DataObject, spacing: int) -> None:
    most = MAX_TICK // spacing
    compressed = data.draw(st.sets(st.integers(-most, most), max_size=40))
    words = dict.fromkeys(word_positions(spacing), 0)
    for each in compressed:
        words[each >> 8] |= 1 << (each & 255)
    read = [tick for at, word in words.items() for tick in ticks_in_word(at, word, spacing)]
    assert read == sorted(each * spacing for each in compressed)
    assert {-most >> 8, most >> 8} <= words.keys()


@given(spacings, ticks, ticks)
def test_the_last_stop_before_a_goal_is_met_by_walking(spacing: int, tick: int, goal: int) -> None:
    """From stop to stop over empty words, as a swap goes."""
    zero_for_one = goal < tick
    stop, before = tick, None
    for _ in range(3_000):
        if zero_for_one:
            reached = next_stop_below([], -1, stop, spacing)[0]
            passed, stop = reached > goal, reached - 1
        else:
            reached = next_stop_above([], 0, stop, spacing)[0]
            passed, stop = reached < goal, reached
        if not passed or reached in (MIN_TICK, MAX_TICK):
            break
        before = reached
    else:
        return  # too far to walk
    if before is not None:
        assert last_stop_before(goal, spacing, zero_for_one) == before


@given(spacings, ticks, st.integers(-2_000, 2_000))
def test_the_words_passed_are_the_stops_of_a_swap_that_finds_no_tick(
    spacing: int, start: int, steps: int
) -> None:
    """The contract's loop: a word is read for each stop, and the swap ends short of the last."""
    goal = max(MIN_TICK, min(start + steps * spacing // 3, MAX_TICK - 1))
    tick, read = start, 0
    while True:
        read += 1
        if goal <= start:
            stop, _ = next_stop_below((), -1, tick, spacing)
            if goal >= stop:
                break
            tick = stop - 1
        else:
            stop, _ = next_stop_above((), 0, tick, spacing)
            if goal < stop:
                break
            tick = stop
    assert words_passed(start, goal, spacing) == read - 1
