"""Compiled: the best size of a cycle, over any mix of pools.

On one segment a pool answers y = a·x / (1 + k·x), and such maps compose: k ← k + k_i·a, then
a ← a·a_i. So a whole cycle is one (a, k), with the best input (√a − 1) / k as long as no pool
reaches the end of its segment. If one does, the walk goes there, re-anchors every hop and goes on
until it stops by itself. A V2 pool is one segment without an end.

A segment knows what went in and came out before it. So a step of the walk follows from the segments
it is on alone, not from the numbers of the step before: errors do not add up, and the processor
works on several steps at once. How many depends on how short a step is. So a boundary is seen from
the hop that reaches it: its amounts are known, those of the hops before follow on the way to the
input of the cycle, and those of the hops behind on the way to the output.

Source: Angeris et al., An analysis of Uniswap markets; Uniswap v3 white paper.
"""

from __future__ import annotations

from math import inf, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from dexarb.compiled import kernel, kernel_part
from dexarb.core.trade import Curve, Piece
from dexarb.search.packed import Floats, Ints

RATE, DEPTH, IN_FROM, IN_TO, OUT_FROM, OUT_TO = range(6)
"""Columns of a segment: rate and depth as in core.pool.Segment, and from where to where it goes in
what the pool takes and gives in all."""
SEGMENT_COLUMNS = 6


Places = NDArray[np.uint32]


class Segments(NamedTuple):
    """By edge: its known segments, packed; see RATE and the other columns.

    complete[edge]: whether there are no further ones.
    """

    rows: Ints
    data: Floats
    complete: Ints


class Sizes(NamedTuple):
    """By cycle: best input and its profit in the start token's smallest unit.

    pieces: (input from, output from, rate, depth), those of a cycle from its `first` on, `number`
    many. missing: an edge whose known segments did not reach, or -1. used[0]: pieces of all
    cycles; beyond len(pieces) they were not kept. on, end: scratch, by hop the segment it is on and
    the first that is not known; unsigned, which spares the kernel a look for negative indices.
    """

    amount_in: Floats
    profit: Floats
    first: Ints
    number: Ints
    missing: Ints
    pieces: Floats
    used: Ints
    on: Places
    end: Places


def curve_of(pieces: Floats) -> Curve:
    """The curve of a cycle with these pieces."""
    return Curve(tuple([Piece(*row) for row in pieces.tolist()]))


def room_for(cycles: int, pieces: int) -> Sizes:
    """Room for the sizes of so many cycles with so many pieces in all."""
    return Sizes(
        amount_in=np.zeros(cycles),
        profit=np.zeros(cycles),
        first=np.zeros(cycles, dtype=np.int64),
        number=np.zeros(cycles, dtype=np.int64),
        missing=np.zeros(cycles, dtype=np.int64),
        pieces=np.zeros((pieces, 4)),
        used=np.zeros(1, dtype=np.int64),
        on=np.zeros(4, dtype=np.uint32),
        end=np.zeros(4, dtype=np.uint32),
    )


GOES_ON, ENDED = -1, -2
"""What `enter_next` reports when it reached another segment, or the end of a pool's liquidity."""


@kernel
def size_cycles(s: Segments, cycles: Ints, sizes: Sizes) -> None:
    """Size each row of edges (-1 behind the last) and draw its curve."""
    on, end = sizes.on, sizes.end
    used = 0
    for c in range(len(cycles)):
        sizes.first[c] = used
        rate, depth, length = 1.0, 0.0, 0
        while length < 4 and cycles[c, length] >= 0:
            edge = cycles[c, length]
            first = s.rows[edge, 0]
            on[length] = first
            end[length] = first + s.rows[edge, 1]
            depth += s.data[first, DEPTH] * rate
            rate *= s.data[first, RATE]
            length += 1
        amount_in = amount_out = profit = 0.0
        state = GOES_ON
        while rate > 1.0:
            gain = rate - 1.0
            boundary, limiting, rate_before, depth_before = nearest_boundary(s, on, length)
            room = boundary - amount_in
            # At the boundary the marginal rate is rate / at_boundary²: above 1, go there.
            at_boundary = 1.0 + depth * room
            if not rate > at_boundary * at_boundary:
                # √rate − 1, without cancelling.
                root = gain / (sqrt(rate) + 1.0)
                step = root / depth
                if step < inf:
                    used = draw(sizes, used, amount_in, amount_out, rate, depth)
                    amount_in += step
                    profit += root * step
                break
            used = draw(sizes, used, amount_in, amount_out, rate, depth)
            # Output less input cancels; this form of it does not.
            profit += room * (gain - depth * room) / at_boundary
            amount_in = boundary
            state = enter_next(s, sizes, limiting, cycles[c, limiting])
            if state != GOES_ON:
                break
            amount_out, rate, depth = seen_from(s, on, length, limiting, rate_before, depth_before)
        sizes.amount_in[c] = amount_in
        sizes.profit[c] = profit
        sizes.missing[c] = max(state, -1)
        sizes.number[c] = used - sizes.first[c]
    sizes.used[0] = used


@kernel_part
def nearest_boundary(s: Segments, on: Places, length: int) -> tuple[float, int, float, float]:
    """Where the first of the hops ends its segment: the input of the cycle, the hop, and rate and
    depth, from there, of the hops before it.

    From the last hop backwards: its end, or that of the hop before if that one cannot give so much.
    """
    limiting = length - 1
    nearest, rate, depth = s.data[on[limiting], IN_TO], 1.0, 0.0
    for hop in range(length - 2, -1, -1):
        at = on[hop]
        if nearest >= s.data[at, OUT_TO]:
            limiting = hop
            nearest, rate, depth = s.data[at, IN_TO], 1.0, 0.0
        else:
            wanted = nearest - s.data[at, OUT_FROM]
            slack = s.data[at, RATE] - s.data[at, DEPTH] * wanted
            nearest = s.data[at, IN_FROM] + wanted / slack if slack > 0.0 else inf
            shrink = slack / s.data[at, RATE]
            marginal = shrink * slack
            depth = s.data[at, DEPTH] * shrink + depth * marginal
            rate *= marginal
    return nearest, limiting, rate, depth


@kernel_part
def seen_from(
    s: Segments, on: Places, length: int, entered: int, rate: float, depth: float
) -> tuple[float, float, float]:
    """What the cycle gives where a hop has just entered its segment, and its rate and depth there.

    rate, depth: of the hops before that one.
    """
    at = on[entered]
    amount = s.data[at, OUT_FROM]
    depth += s.data[at, DEPTH] * rate
    rate *= s.data[at, RATE]
    for hop in range(entered + 1, length):
        at = on[hop]
        inside = amount - s.data[at, IN_FROM]
        shrink = 1.0 / (1.0 + s.data[at, DEPTH] * inside)
        depth += s.data[at, DEPTH] * shrink * rate
        rate *= s.data[at, RATE] * shrink * shrink
        amount = s.data[at, OUT_FROM] + s.data[at, RATE] * shrink * inside
    return amount, rate, depth


@kernel_part
def enter_next(s: Segments, sizes: Sizes, hop: int, edge: int) -> int:
    """Put a hop on its next segment.

    Returns GOES_ON, ENDED, or the edge if its next segment has not been read.
    """
    following = sizes.on[hop] + 1
    if following == sizes.end[hop]:
        return ENDED if s.complete[edge] else edge
    sizes.on[hop] = following
    return GOES_ON


@kernel_part
def draw(
    sizes: Sizes, used: int, amount_in: float, amount_out: float, rate: float, depth: float
) -> int:
    """Keep a piece if there is room; returns how many are used now."""
    if used < len(sizes.pieces):
        sizes.pieces[used, 0] = amount_in
        sizes.pieces[used, 1] = amount_out
        sizes.pieces[used, 2] = rate
        sizes.pieces[used, 3] = depth
    return used + 1
