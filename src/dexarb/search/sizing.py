"""Compiled: the best size of a cycle, over any mix of pools.

On one segment a pool answers y = a·x / (1 + k·x), and such maps compose: k ← k + k_i·a, then
a ← a·a_i. So a whole cycle is one (a, k), with the best input (√a − 1) / k as long as no pool
reaches the end of its segment. If one does, the walk goes there, re-anchors every hop and goes on
until it stops by itself. A V2 pool is one segment without an end.

Source: Angeris et al., An analysis of Uniswap markets; Uniswap v3 white paper.
"""

from __future__ import annotations

from math import inf, sqrt
from typing import NamedTuple

import numpy as np

from dexarb.core.trade import Curve, Piece
from dexarb.search.compiled import kernel, kernel_part
from dexarb.search.packed import Floats, Ints


class Segments(NamedTuple):
    """By edge: (rate, depth, input limit) of its known segments, packed.

    complete[edge]: whether there are no further ones.
    """

    rows: Ints
    data: Floats
    complete: Ints


class Sizes(NamedTuple):
    """By cycle: best input and its profit in the start token's smallest unit.

    pieces: (input from, output from, rate, depth), those of a cycle from its `first` on, `number`
    many. missing: an edge whose known segments did not reach, or -1. used[0]: pieces of all
    cycles; beyond len(pieces) they were not kept. hops: scratch.
    """

    amount_in: Floats
    profit: Floats
    first: Ints
    number: Ints
    missing: Ints
    pieces: Floats
    used: Ints
    hops: Floats


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
        hops=np.zeros((4, HOP_COLUMNS)),
    )


ON, ENDED = -1, -2
"""What `advance` reports when it reached new segments, or the end of a pool's liquidity."""

# Columns of a hop on its walk: the segment it is on, the rate and depth there, and what is left of it.
SEGMENT, RATE, DEPTH, ROOM = range(4)
HOP_COLUMNS = 4


@kernel
def size_cycles(s: Segments, cycles: Ints, sizes: Sizes) -> None:
    """Size each row of edges (-1 behind the last) and draw its curve."""
    hops = sizes.hops
    sizes.used[0] = 0
    for c in range(len(cycles)):
        sizes.first[c] = sizes.used[0]
        rate, depth, boundary, limiting = 1.0, 0.0, inf, 0
        length = 0
        while length < 4 and cycles[c, length] >= 0:
            first = s.rows[cycles[c, length], 0]
            boundary, limiting = nearer(boundary, limiting, s.data[first, 2], rate, depth, length)
            depth += s.data[first, 1] * rate
            rate *= s.data[first, 0]
            length += 1
        amount_in = amount_out = profit = 0.0
        state = ON
        walking = False
        while state == ON and rate > 1.0:
            gain = rate - 1.0
            # At the boundary the marginal rate is rate / at_boundary²: above 1, go there.
            at_boundary = 1.0 + depth * boundary
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
            shrink = boundary / at_boundary
            amount_in += boundary
            amount_out += rate * shrink
            # Output less input cancels; this form of it does not.
            profit += (gain - depth * boundary) * shrink
            if not walking:
                for i in range(length):
                    enter(s, hops, i, s.rows[cycles[c, i], 0])
                walking = True
            state = advance(s, cycles, c, length, hops, limiting, boundary)
            rate, depth, boundary, limiting = compose(length, hops)
        sizes.amount_in[c] = amount_in
        sizes.profit[c] = profit
        sizes.missing[c] = max(state, -1)
        sizes.number[c] = sizes.used[0] - sizes.first[c]


@kernel_part
def nearer(
    boundary: float, limiting: int, room: float, rate: float, depth: float, hop: int
) -> tuple[float, int]:
    """The nearer boundary, in the cycle's input, of those before and of a hop with this room.

    The hop gets rate·x / (1 + depth·x) of the cycle's input x; that reaches its room at some x, or
    never.
    """
    slack = rate - depth * room
    if room < inf and slack > 0.0 and room < boundary * slack:
        return room / slack, hop
    return boundary, limiting


@kernel_part
def draw(sizes: Sizes, amount_in: float, amount_out: float, rate: float, depth: float) -> None:
    used = sizes.used[0]
    if used < len(sizes.pieces):
        sizes.pieces[used, 0] = amount_in
        sizes.pieces[used, 1] = amount_out
        sizes.pieces[used, 2] = rate
        sizes.pieces[used, 3] = depth
    sizes.used[0] = used + 1


@kernel_part
def compose(length: int, hops: Floats) -> tuple[float, float, float, int]:
    """Rate and depth of the cycle from here, its nearest boundary and the hop that it is of."""
    rate, depth, boundary, limiting = 1.0, 0.0, inf, 0
    for i in range(length):
        boundary, limiting = nearer(boundary, limiting, hops[i, ROOM], rate, depth, i)
        depth += hops[i, DEPTH] * rate
        rate *= hops[i, RATE]
    return rate, depth, boundary, limiting


@kernel_part
def advance(
    s: Segments, cycles: Ints, c: int, length: int, hops: Floats, limiting: int, step: float
) -> int:
    """Put `step` more in. The limiting hop enters its next segment, the others are re-anchored.

    Returns ON, ENDED, or the edge whose next segment has not been read.
    """
    amount = step
    for i in range(length):
        shrink = 1.0 / (1.0 + hops[i, DEPTH] * amount)
        passed_on = hops[i, RATE] * shrink * amount
        left = hops[i, ROOM] - amount
        if i == limiting or left <= 0.0:
            edge = cycles[c, i]
            following = int(hops[i, SEGMENT]) + 1
            if following == s.rows[edge, 0] + s.rows[edge, 1]:
                return ENDED if s.complete[edge] else edge
            enter(s, hops, i, following)
        else:
            hops[i, RATE] *= shrink * shrink
            hops[i, DEPTH] *= shrink
            hops[i, ROOM] = left
        amount = passed_on
    return ON


@kernel_part
def enter(s: Segments, hops: Floats, hop: int, segment: int) -> None:
    """Put a hop at the start of a segment."""
    hops[hop, SEGMENT] = segment
    hops[hop, RATE] = s.data[segment, 0]
    hops[hop, DEPTH] = s.data[segment, 1]
    hops[hop, ROOM] = s.data[segment, 2]
