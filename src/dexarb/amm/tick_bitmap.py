"""The tick bitmap of Uniswap V3: which ticks a swap stops at.

The contract keeps one bit per tick that positions may use, 256 of them a word, and looks for the
next initialised tick inside one word only. So a swap also stops where a word ends, and rounds
there. Source: Uniswap v3-core, TickBitmap.sol.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dexarb.amm.tick_math import MAX_TICK, MIN_TICK


def next_stop_below(
    initialized: Sequence[int], index: int, tick: int, tick_spacing: int
) -> tuple[int, bool]:
    """The next stop at or below the tick, and whether it is initialised.

    index: of the greatest initialised tick that is at or below `tick`, -1 if there is none.
    """
    span = tick_spacing << 8
    word_start = tick // span * span
    if index >= 0 and initialized[index] >= word_start:
        return initialized[index], True
    return max(word_start, MIN_TICK), False


def next_stop_above(
    initialized: Sequence[int], index: int, tick: int, tick_spacing: int
) -> tuple[int, bool]:
    """The next stop above the tick, and whether it is initialised.

    index: of the least initialised tick that is above `tick`, the length if there is none.
    """
    span = tick_spacing << 8
    word_end = (tick + tick_spacing) // span * span + span - tick_spacing
    if index < len(initialized) and initialized[index] <= word_end:
        return initialized[index], True
    return min(word_end, MAX_TICK), False


def last_stop_before(goal: int, tick_spacing: int, zero_for_one: bool) -> int:
    """The end of a word that a swap passes last before it gets to the word of the goal tick."""
    span = tick_spacing << 8
    if zero_for_one:
        return goal // span * span + span
    return (goal + tick_spacing - 1) // span * span - tick_spacing


def words_passed(tick: int, goal: int, tick_spacing: int) -> int:
    """How many words a swap from one tick to the other reads beyond the first.

    Upwards the contract looks for what lies above the tick, so it starts with the word of the next.
    """
    span = tick_spacing << 8
    if goal <= tick:
        return tick // span - goal // span
    return (goal + tick_spacing) // span - (tick + tick_spacing) // span


def word_positions(tick_spacing: int) -> range:
    """All words that can have a bit set."""
    lowest = -(MAX_TICK // tick_spacing)
    return range(lowest >> 8, (-lowest >> 8) + 1)


def ticks_in_word(position: int, word: int, tick_spacing: int) -> Iterator[int]:
    """The initialised ticks of a word, ascending."""
    while word:
        lowest_bit = word & -word
        yield ((position << 8) + lowest_bit.bit_length() - 1) * tick_spacing
        word ^= lowest_bit
