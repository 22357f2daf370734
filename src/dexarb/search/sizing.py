"""Compiled: the best size of a cycle, over any mix of pools.

On one segment a pool answers y = a·x / (1 + k·x), and such maps compose: k ← k + k_i·a, then
a ← a·a_i. So a whole cycle is one (a, k), with the best input (√a − 1) / k as long as no pool
reaches the end of its segment. If one does, the walk goes there, re-anchors every hop and goes on
until it stops by itself. A V2 pool is one segment without an end.

A segment knows what went in and came out before it. So a step of the walk follows from the segments
it is on alone, not from the numbers of the step before: errors do not add up, and the processor
works on several steps at once.

Source: Angeris et al., An analysis of Uniswap markets; Uniswap v3 white paper.
"""

from __future__ import annotations

from math import inf, sqrt
from typing import NamedTuple

import numpy as np

from dexarb.compiled import kernel, kernel_part
from dexarb.core.trade import Curve, Piece
from dexarb.search.packed import Floats, Ints

RATE, DEPTH, IN_FROM, IN_TO, OUT_FROM, OUT_TO = range(6)
"""Columns of a segment: rate and depth as in core.pool.Segment, and from where to where it goes in
what the pool takes and gives in all."""
SEGMENT_COLUMNS = 6


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
    cycles; beyond len(pieces) they were not kept. on: scratch, by hop the segment it is on.
    """

    amount_in: Floats
    profit: Floats
    first: Ints
    number: Ints
    missing: Ints
    pieces: Floats
    used: Ints
    on: Ints


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
        on=np.zeros(4, dtype=np.int64),
    )


GOES_ON, ENDED = -1, -2
"""What `enter_next` reports when it reached another segment, or the end of a pool's liquidity."""


@kernel
def size_cycles(s: Segments, cycles: Ints, sizes: Sizes) -> None:
    """Size each row of edges (-1 behind the last) and draw its curve."""
    on = sizes.on
    sizes.used[0] = 0
    for c in range(len(cycles)):
        sizes.first[c] = sizes.used[0]
        rate, depth, length = 1.0, 0.0, 0
        while length < 4 and cycles[c, length] >= 0:
            first = s.rows[cycles[c, length], 0]
            on[length] = first
            depth += s.data[first, DEPTH] * rate
            rate *= s.data[first, RATE]
            length += 1
        amount_in = amount_out = profit = 0.0
        state = GOES_ON
        while state == GOES_ON and rate > 1.0:
            gain = rate - 1.0
            boundary, limiting = nearest_boundary(s, on, length)
            room = boundary - amount_in
            # At the boundary the marginal rate is rate / at_boundary²: above 1, go there.
            at_boundary = 1.0 + depth * room
            if not rate > at_boundary * at_boundary:
                # √rate − 1, without cancelling.
                root = gain / (sqrt(rate) + 1.0)
                step = root / depth
                if step < inf:
                    draw(sizes, amount_in, amount_out, rate, depth)
                    amount_in += step
                    profit += root * step
                break
            draw(sizes, amount_in, amount_out, rate, depth)
            # Output less input cancels; this form of it does not.
            profit += room * (gain - depth * room) / at_boundary
            amount_in = boundary
            state = enter_next(s, on, limiting, cycles[c, limiting])
            amount_out, rate, depth = seen_from(s, on, length, amount_in)
        sizes.amount_in[c] = amount_in
        sizes.profit[c] = profit
        sizes.missing[c] = max(state, -1)
        sizes.number[c] = sizes.used[0] - sizes.first[c]


@kernel_part
def seen_from(s: Segments, on: Ints, length: int, amount_in: float) -> tuple[float, float, float]:
    """What the cycle gives for an input on these segments, and its rate and depth from there."""
    amount, rate, depth = amount_in, 1.0, 0.0
    for i in range(length):
        at = on[i]
        inside = amount - s.data[at, IN_FROM]
        shrink = 1.0 / (1.0 + s.data[at, DEPTH] * inside)
        depth += s.data[at, DEPTH] * shrink * rate
        rate *= s.data[at, RATE] * shrink * shrink
        amount = s.data[at, OUT_FROM] + s.data[at, RATE] * shrink * inside
    return amount, rate, depth


@kernel_part
def nearest_boundary(s: Segments, on: Ints, length: int) -> tuple[float, int]:
    """The input of the cycle at which the first of its hops ends its segment, and that hop.

    From the last hop backwards: its end, or that of the hop before if that one cannot give so much.
    """
    limiting = length - 1
    nearest = s.data[on[limiting], IN_TO]
    for back in range(2, length + 1):
        hop = length - back
        at = on[hop]
        if nearest >= s.data[at, OUT_TO]:
            nearest, limiting = s.data[at, IN_TO], hop
        else:
            wanted = nearest - s.data[at, OUT_FROM]
            slack = s.data[at, RATE] - s.data[at, DEPTH] * wanted
            nearest = s.data[at, IN_FROM] + wanted / slack if slack > 0.0 else inf
    return nearest, limiting


@kernel_part
def enter_next(s: Segments, on: Ints, hop: int, edge: int) -> int:
    """Put a hop on its next segment.

    Returns GOES_ON, ENDED, or the edge if its next segment has not been read.
    """
    following = on[hop] + 1
    if following == s.rows[edge, 0] + s.rows[edge, 1]:
        return ENDED if s.complete[edge] else edge
    on[hop] = following
    return GOES_ON


@kernel_part
def draw(sizes: Sizes, amount_in: float, amount_out: float, rate: float, depth: float) -> None:
    used = sizes.used[0]
    if used < len(sizes.pieces):
        sizes.pieces[used, 0] = amount_in
        sizes.pieces[used, 1] = amount_out
        sizes.pieces[used, 2] = rate
        sizes.pieces[used, 3] = depth
    sizes.used[0] = used + 1
