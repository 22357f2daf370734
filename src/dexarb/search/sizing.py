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
    cycles; beyond len(pieces) they were not kept.
    """

    amount_in: Floats
    profit: Floats
    first: Ints
    number: Ints
    missing: Ints
    pieces: Floats
    used: Ints

    def curve(self, cycle: int) -> Curve:
        first = int(self.first[cycle])
        rows = self.pieces[first : first + int(self.number[cycle])].tolist()
        return Curve(tuple(Piece(*row) for row in rows))


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
    )


class Hops(NamedTuple):
    """Where a walk is: the segment each hop is at, its numbers as read, what went into it since,
    and what it looks like from there on.
    """

    segment: Ints
    rate_read: Floats
    depth_read: Floats
    limit: Floats
    spent: Floats
    rate: Floats
    depth: Floats
    room: Floats


ON, ENDED = -1, -2
"""What `advance` reports when it reached new segments, or the end of a pool's liquidity."""


@kernel
def size_cycles(s: Segments, cycles: Ints, sizes: Sizes) -> None:
    """Size each row of edges (-1 behind the last) and draw its curve."""
    f = np.empty((7, 4))
    hops = Hops(np.empty(4, dtype=np.int64), f[0], f[1], f[2], f[3], f[4], f[5], f[6])
    sizes.used[0] = 0
    for cycle in range(len(cycles)):
        sizes.first[cycle] = sizes.used[0]
        walk(s, cycles[cycle], hops, sizes, cycle)
        sizes.number[cycle] = sizes.used[0] - sizes.first[cycle]


@kernel_part
def walk(s: Segments, edges: Ints, hops: Hops, sizes: Sizes, cycle: int) -> None:
    """One cycle, from segment to segment."""
    for i in range(4):
        if edges[i] >= 0:
            enter(s, hops, i, s.rows[edges[i], 0])
    amount_in = amount_out = profit = 0.0
    state = ON
    while state == ON:
        rate, depth, boundary, limiting = compose(edges, hops)
        gain = rate - 1.0
        if not gain > 0.0:
            break
        best = gain / ((sqrt(rate) + 1.0) * depth)
        step = min(best, boundary)
        if not step < inf:
            break
        used = sizes.used[0]
        if used < len(sizes.pieces):
            sizes.pieces[used, 0] = amount_in
            sizes.pieces[used, 1] = amount_out
            sizes.pieces[used, 2] = rate
            sizes.pieces[used, 3] = depth
        sizes.used[0] = used + 1
        amount_in += step
        amount_out += rate * step / (1.0 + depth * step)
        # Output less input cancels; this form of it does not.
        profit += step * (gain - depth * step) / (1.0 + depth * step)
        state = ENDED if best < boundary else advance(s, edges, hops, limiting, step)
    sizes.amount_in[cycle] = amount_in
    sizes.profit[cycle] = profit
    sizes.missing[cycle] = max(state, -1)


@kernel_part
def compose(edges: Ints, hops: Hops) -> tuple[float, float, float, int]:
    """Rate and depth of the cycle from here, the input at which a hop comes to the end of its
    segment, and which one does.
    """
    rate, depth, boundary, limiting = 1.0, 0.0, inf, 0
    for i in range(4):
        if edges[i] < 0:
            break
        if hops.room[i] < inf:
            # The hop gets rate·x / (1 + depth·x) so far; that reaches its room at this x.
            slack = rate - depth * hops.room[i]
            if slack > 0.0 and hops.room[i] < boundary * slack:
                boundary, limiting = hops.room[i] / slack, i
        depth += hops.depth[i] * rate
        rate *= hops.rate[i]
    return rate, depth, boundary, limiting


@kernel_part
def advance(s: Segments, edges: Ints, hops: Hops, limiting: int, step: float) -> int:
    """Put `step` more in. The limiting hop enters its next segment, the others are re-anchored.

    Returns ON, ENDED, or the edge whose next segment has not been read.
    """
    amount = step
    for i in range(4):
        if edges[i] < 0:
            break
        passed_on = hops.rate[i] * amount / (1.0 + hops.depth[i] * amount)
        hops.spent[i] += amount
        if i == limiting or hops.spent[i] >= hops.limit[i]:
            following = hops.segment[i] + 1
            if following == s.rows[edges[i], 0] + s.rows[edges[i], 1]:
                return ENDED if s.complete[edges[i]] else int(edges[i])
            enter(s, hops, i, following)
        else:
            # From the segment's own numbers each time, so that errors do not add up.
            growth = 1.0 + hops.depth_read[i] * hops.spent[i]
            hops.rate[i] = hops.rate_read[i] / (growth * growth)
            hops.depth[i] = hops.depth_read[i] / growth
            hops.room[i] = hops.limit[i] - hops.spent[i]
        amount = passed_on
    return ON


@kernel_part
def enter(s: Segments, hops: Hops, hop: int, segment: int) -> None:
    """Put a hop at the start of a segment."""
    hops.segment[hop] = segment
    hops.rate_read[hop] = hops.rate[hop] = s.data[segment, 0]
    hops.depth_read[hop] = hops.depth[hop] = s.data[segment, 1]
    hops.limit[hop] = hops.room[hop] = s.data[segment, 2]
    hops.spent[hop] = 0.0
