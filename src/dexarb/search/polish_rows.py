"""Compiled: from best real sizes to the best integers, and what given sizes come to, of many
cycles in one call.

The twin of `polish`, which says why each line is there; it comes to the same integers. What it
cannot tell is left to that: pools of other kinds than those of `limb_route`, amounts of more than
127 bits, and sizes that have to be cut to what pools take.
"""

from __future__ import annotations

from math import sqrt
from typing import NamedTuple, cast

import numpy as np
from numpy.typing import NDArray

from dexarb.amm.limb_route import (
    REFUSED,
    STATE_LIMBS,
    TAKEN,
    UNKNOWN,
    States,
    crossed_ticks,
    left_tick,
    more_words,
    swapped,
)
from dexarb.compiled import kernel, kernel_part
from dexarb.limbs import (
    N0,
    N63,
    ONE,
    ZERO,
    Limb,
    Limbs,
    add,
    equal,
    is_zero,
    less,
    limbs_of_float,
    mul,
    quotient_as_float,
    rounded,
    sub,
)
from dexarb.search.packed import Floats, Ints
from dexarb.search.polish import CLOSE, SAMPLES, STEPS

MOST = float(1 << 127)
LONGEST_STEP = np.int64(1 << 61)
CLIMBS = np.array(STEPS, dtype=np.int64)
EXACT_IN, EXACT_OUT = cast(bool, np.bool_(True)), cast(bool, np.bool_(False))
CROSSED, LEFT, WORDS = range(3)


class Route(NamedTuple):
    """By row and hop the slot of the pool, -1 behind the last, and whether token0 is sold."""

    slots: Ints
    zero_for_one: NDArray[np.bool_]


class Made(NamedTuple):
    """By row: how it went (TAKEN; REFUSED: it earns nothing; UNKNOWN), input and output in two
    limbs each, and by hop what `HopWork` says of it (CROSSED, LEFT, WORDS).

    amounts, ticks: scratch, the input and what each hop made of it, and the tick behind it.
    """

    state: Ints
    ends: NDArray[np.uint64]
    work: Ints
    amounts: NDArray[np.uint64]
    ticks: Ints


def room_for_rows(rows: int) -> Made:
    return Made(
        np.zeros(rows, dtype=np.int64),
        np.zeros((rows, 4), dtype=Limb),
        np.zeros((rows, 4, 3), dtype=np.int64),
        np.zeros((5, 2), dtype=Limb),
        np.zeros(4, dtype=np.int64),
    )


@kernel
def polish_rows(
    s: States, route: Route, amount_in: Floats, profit: Floats, worth: Floats, made: Made
) -> None:
    for row in range(len(made.state)):
        state, best_in, best_out = best_of(
            s, route, row, amount_in[row], profit[row], worth[row], made
        )
        if state == TAKEN and not less(best_in, best_out):
            state = REFUSED
        if state == TAKEN:
            # For what it does to the pools; the last that was tried may have been this one.
            if not equal(amount_at(made, 0), best_in):
                run_through(s, route, row, best_in, made)
            tell_work(s, route, row, made)
        tell_ends(row, state, best_in, best_out, made)


@kernel
def run_rows(s: States, route: Route, amounts: NDArray[np.uint64], made: Made) -> None:
    """What these inputs, of two limbs each, come to. REFUSED: also what comes to nothing."""
    for row in range(len(made.state)):
        amount_in = amounts[row, 0], amounts[row, 1], N0, N0
        state, reached = run_through(s, route, row, amount_in, made)
        amount_out = amount_at(made, reached)
        if state == TAKEN and is_zero(amount_out):
            state = REFUSED
        if state == TAKEN:
            tell_work(s, route, row, made)
        tell_ends(row, state, amount_in, amount_out, made)


@kernel_part
def tell_work(s: States, route: Route, row: int, made: Made) -> None:
    """Of what was run last."""
    for hop in range(4):
        slot, after = route.slots[row, hop], made.ticks[hop]
        if slot >= 0:
            made.work[row, hop, CROSSED] = crossed_ticks(s, slot, after)
            made.work[row, hop, LEFT] = left_tick(s, slot, after)
            made.work[row, hop, WORDS] = more_words(s, slot, after)


@kernel_part
def tell_ends(row: int, state: int, amount_in: Limbs, amount_out: Limbs, made: Made) -> None:
    made.state[row] = state
    made.ends[row, 0], made.ends[row, 1] = amount_in[0], amount_in[1]
    made.ends[row, 2], made.ends[row, 3] = amount_out[0], amount_out[1]


@kernel
def best_of(
    s: States, route: Route, row: int, size: float, profit: float, worth: float, made: Made
) -> tuple[int, Limbs, Limbs]:
    """Whether anything was found, its input and its output."""
    if not size < MOST:
        return UNKNOWN, ZERO, ZERO
    fine = max(CLOSE * profit, worth)
    start = limbs_of_float(max(1.0, np.rint(size)))
    state, reached = run_through(s, route, row, start, made)
    if state != TAKEN:
        return UNKNOWN, ZERO, ZERO
    best_in, best_out = start, amount_at(made, reached)
    found = not is_zero(best_out)
    if found and profit - gain_of(best_in, best_out) < max(1.0, fine):
        return TAKEN, best_in, best_out
    place, middle = coarsest(made, reached)
    enough = profit - max(quotient_as_float(start, middle), fine)
    top = middle
    p = mul(start, middle)
    width = 0.5 * sqrt(rounded((p[0], p[1], p[2], p[3]), True) / profit)
    for turn in range(2 * SAMPLES + 1):
        sample = float((turn + 1) // 2)
        amount, is_amount = middle, True
        if turn:
            offset = max(sample, np.rint(width * sample / SAMPLES))
            if not offset < MOST:
                return UNKNOWN, ZERO, ZERO
            if turn % 2:
                amount, _ = add(middle, limbs_of_float(offset))
            else:
                is_amount = less(limbs_of_float(offset), middle)
                amount = sub(middle, limbs_of_float(offset))
        if is_amount:
            state, amount_in, amount_out = buying(s, route, row, place, amount, made)
            if state == UNKNOWN:
                return UNKNOWN, ZERO, ZERO
            if state == TAKEN and (
                not found or is_better(amount_in, amount_out, best_in, best_out)
            ):
                best_in, best_out, top, found = amount_in, amount_out, amount, True
            if found and earns(best_in, best_out, enough):
                return TAKEN, best_in, best_out
    return climbed(s, route, row, place, top, found, best_in, best_out, enough, made)


@kernel
def climbed(
    s: States,
    route: Route,
    row: int,
    place: int,
    top: Limbs,
    found: bool,
    best_in: Limbs,
    best_out: Limbs,
    enough: float,
    made: Made,
) -> tuple[int, Limbs, Limbs]:
    turn = 0
    while turn < len(CLIMBS) and not (found and earns(best_in, best_out, enough)):
        step = CLIMBS[turn]
        turn += 1
        while True:
            amount = moved(top, step)
            state, amount_in, amount_out = buying(s, route, row, place, amount, made)
            if state == UNKNOWN or abs(step) > LONGEST_STEP:
                return UNKNOWN, ZERO, ZERO
            if state == REFUSED or not (
                not found or is_better(amount_in, amount_out, best_in, best_out)
            ):
                break
            best_in, best_out, top, found = amount_in, amount_out, amount, True
            step *= 2
            turn = 0
    return TAKEN if found else REFUSED, best_in, best_out


@kernel
def run_through(s: States, route: Route, row: int, amount_in: Limbs, made: Made) -> tuple[int, int]:
    """Fill the amounts; returns how it went and the hop behind the last amount, which is the first
    0 or the last of all."""
    amount = amount_in
    made.amounts[0, 0], made.amounts[0, 1] = amount[0], amount[1]
    hop = 0
    while hop < 4 and route.slots[row, hop] >= 0 and not is_zero(amount):
        state, amount, tick = swapped(
            s, route.slots[row, hop], route.zero_for_one[row, hop], EXACT_IN, amount
        )
        if state != TAKEN:
            return state, hop
        if (amount[1] >> N63 | amount[2] | amount[3]) != N0:
            return UNKNOWN, hop
        made.ticks[hop] = tick
        hop += 1
        made.amounts[hop, 0], made.amounts[hop, 1] = amount[0], amount[1]
    return TAKEN, hop


@kernel
def buying(
    s: States, route: Route, row: int, place: int, amount: Limbs, made: Made
) -> tuple[int, Limbs, Limbs]:
    """The trade with the least input that makes the amount at this place so large."""
    least = amount
    for hop in range(place - 1, -1, -1):
        if is_zero(least):
            return REFUSED, ZERO, ZERO
        state, least, _ = swapped(
            s, route.slots[row, hop], route.zero_for_one[row, hop], EXACT_OUT, least
        )
        if state != TAKEN:
            return state, ZERO, ZERO
    state, reached = run_through(s, route, row, least, made)
    amount_out = amount_at(made, reached)
    return REFUSED if is_zero(amount_out) and state == TAKEN else state, least, amount_out


@kernel_part
def amount_at(made: Made, place: int) -> Limbs:
    return made.amounts[place, 0], made.amounts[place, 1], N0, N0


@kernel_part
def coarsest(made: Made, reached: int) -> tuple[int, Limbs]:
    """The last of the places with the least amount behind the input, and that, at least 1."""
    place, least = 1, amount_at(made, 1)
    for other in range(2, reached + 1):
        if not less(least, amount_at(made, other)):
            place, least = other, amount_at(made, other)
    return place, ONE if is_zero(least) else least


@kernel_part
def moved(amount: Limbs, step: np.int64) -> Limbs:
    """0 where that is not above it."""
    by = Limb(abs(step)), N0, N0, N0
    if step > 0:
        total, _ = add(amount, by)
        return total
    return sub(amount, by) if less(by, amount) else ZERO


@kernel_part
def gain_of(amount_in: Limbs, amount_out: Limbs) -> float:
    if less(amount_out, amount_in):
        return -rounded(sub(amount_in, amount_out), True)
    return rounded(sub(amount_out, amount_in), True)


@kernel_part
def earns(amount_in: Limbs, amount_out: Limbs, enough: float) -> bool:
    """Whether the gain is at least that. Only where it rounds to just that can it still be less."""
    gain = gain_of(amount_in, amount_out)
    if gain != enough:
        return gain > enough
    if gain < 0.0:
        return not less(limbs_of_float(-gain), sub(amount_in, amount_out))
    return not less(sub(amount_out, amount_in), limbs_of_float(gain))


@kernel_part
def is_better(one_in: Limbs, one_out: Limbs, other_in: Limbs, other_out: Limbs) -> bool:
    """By the profit, then by the smaller input."""
    one, _ = add(one_out, other_in)
    other, _ = add(other_out, one_in)
    return less(other, one) or (equal(one, other) and less(one_in, other_in))


def warm_up_polish() -> None:
    """Compile its kernels."""
    ints, floats = np.zeros((1, 4), dtype=np.int64), np.zeros(0)
    limbs = np.zeros((1, STATE_LIMBS), dtype=Limb)
    states = States(limbs, ints, ints[:, :2].copy(), limbs[:, :3].copy())
    route = Route(ints, ints > 0)
    polish_rows(states, route, floats, floats, floats, room_for_rows(0))
    run_rows(states, route, limbs[:, :2].copy(), room_for_rows(0))
