"""Compiled: keep the best edges, and find the open cycles through touched pools.

An *edge* is a pool used from one of its tokens to another, see edges.py. A *lane* is a pair of
tokens in one direction, 2·pair or 2·pair + 1, so lane ^ 1 is the way back. cycles.py owns the
arrays and says which pools and tokens these are.

A cycle passes each of its tokens once. One that passed a token twice would fall into two cycles
that earn at least as much apart. It uses no pool twice, though a pool of three tokens has edges
that would follow each other: a swap moves the other prices of its pool.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from dexarb.compiled import kernel, kernel_part
from dexarb.search.packed import Floats, Ints

PRUNE = 1.0 - 1e-12
"""Products taken in another order differ by a few 1e-16; `emit` decides, in the cycle's order."""

UNTOUCHED = np.iinfo(np.int64).max


class Graph(NamedTuple):
    """rate[edge]: marginal rate after the fee, 0 where nothing can be had. lane_of[edge].
    slot_of[edge]: its pool, whose edges are edge_rows[slot, 0] and the edge_rows[slot, 1] - 1
    behind it.

    ranked: by lane, its edges by falling rate; best[lane]: the first one's rate. head[lane]: the
    token it leads to. lanes_from: by token, the lanes that leave it. triangles: by pair, (lane from
    its higher token to a third, lane from there to its lower one), where one of the three is a
    start token. Each of these is packed: row i is data[rows[i, 0] :][: rows[i, 1]].

    start[r]: the r-th start token. place[token]: its r, or the number of start tokens. spoke[r,
    token]: the lane from start r to it, or -1. out_bound[r, m]: no less than the best rate of two
    hops from start r to m; back_bound[r, m]: of two hops from m to start r. They are raised as soon
    as a rate rises and lowered when a probe finds one too high; without four hops they have no
    rows. turns[slot]: scratch.
    """

    rate: Floats
    edge_rows: Ints
    slot_of: Ints
    lane_of: Ints
    ranked_rows: Ints
    ranked: Ints
    best: Floats
    head: Ints
    lanes_from_rows: Ints
    lanes_from: Ints
    triangle_rows: Ints
    triangles: Ints
    start: Ints
    place: Ints
    spoke: Ints
    out_bound: Floats
    back_bound: Floats
    turns: Ints


class Found(NamedTuple):
    """Cycles in no particular order: their edges in hop order, -1 behind the last, and rates.

    total[0]: how many were found; beyond len(rate) they were not kept. route: scratch, the one
    cycle to be added next.
    """

    edges: Ints
    rate: Floats
    total: Ints
    route: Ints


@kernel
def reprice(g: Graph, edges: Ints, rates: Floats) -> None:
    """Give edges new rates: ranks, best rates and bounds follow."""
    for i in range(edges.size):
        edge = edges[i]
        g.rate[edge] = rates[i]
        lane = g.lane_of[edge]
        first = g.ranked_rows[lane, 0]
        last = first + g.ranked_rows[lane, 1] - 1
        at = first
        while g.ranked[at, 0] != edge:
            at += 1
        while at > first and g.rate[g.ranked[at - 1, 0]] < rates[i]:
            g.ranked[at, 0] = g.ranked[at - 1, 0]
            at -= 1
        while at < last and g.rate[g.ranked[at + 1, 0]] > rates[i]:
            g.ranked[at, 0] = g.ranked[at + 1, 0]
            at += 1
        g.ranked[at, 0] = edge
        top = g.rate[g.ranked[first, 0]]
        raised = top > g.best[lane]
        g.best[lane] = top
        if raised:
            raise_bounds(g, int(lane))


@kernel
def raise_all_bounds(g: Graph, lanes: int) -> None:
    """Let the bounds hold that there were none of."""
    for lane in range(lanes):
        if g.best[lane] > 0.0:
            raise_bounds(g, lane)


@kernel_part
def raise_bounds(g: Graph, lane: int) -> None:
    """Let the bounds of all two-hop ways over this lane hold again after its best rate rose."""
    tail, tip, top = g.head[lane ^ 1], g.head[lane], g.best[lane]
    for r in range(len(g.out_bound)):
        if tail == g.start[r]:
            for i in range(g.lanes_from_rows[tip, 0], row_end(g.lanes_from_rows, tip)):
                onward = g.lanes_from[i, 0]
                m = g.head[onward]
                g.out_bound[r, m] = max(g.out_bound[r, m], top * g.best[onward])
        elif g.spoke[r, tail] >= 0:
            rate = g.best[g.spoke[r, tail]] * top
            g.out_bound[r, tip] = max(g.out_bound[r, tip], rate)
        if tip == g.start[r]:
            for i in range(g.lanes_from_rows[tail, 0], row_end(g.lanes_from_rows, tail)):
                inward = g.lanes_from[i, 0] ^ 1
                m = g.head[inward ^ 1]
                g.back_bound[r, m] = max(g.back_bound[r, m], g.best[inward] * top)
        elif g.spoke[r, tip] >= 0:
            rate = top * g.best[g.spoke[r, tip] ^ 1]
            g.back_bound[r, tail] = max(g.back_bound[r, tail], rate)


@kernel
def find_open(g: Graph, touched: Ints, max_hops: int, found: Found) -> None:
    """The open cycles through the touched pools (slots), each once."""
    found.total[0] = 0
    for turn in range(touched.size):
        g.turns[touched[turn]] = turn
    for i in range(touched.size):
        for edge in range(g.edge_rows[touched[i], 0], row_end(g.edge_rows, touched[i])):
            if g.rate[edge] > 0.0:
                two_hops(g, found, edge)
                if max_hops >= 3:
                    three_hops(g, found, edge)
                if max_hops >= 4:
                    four_hops(g, found, edge)
    for i in range(touched.size):
        g.turns[touched[i]] = UNTOUCHED


@kernel_part
def two_hops(g: Graph, found: Found, edge: int) -> None:
    """Over the lane back, from its best edge downwards."""
    lane = g.lane_of[edge]
    if min(g.place[g.head[lane]], g.place[g.head[lane ^ 1]]) == g.start.size:
        return
    for i in range(g.ranked_rows[lane ^ 1, 0], row_end(g.ranked_rows, lane ^ 1)):
        back = g.ranked[i, 0]
        if g.rate[edge] * g.rate[back] <= PRUNE:
            break
        found.route[0], found.route[1], found.route[2] = edge, back, -1
        emit(g, found)


@kernel_part
def three_hops(g: Graph, found: Found, edge: int) -> None:
    """Over the triangles of the pair: best edges first, parallel ones only where those pass."""
    pair = g.lane_of[edge] >> 1
    flip = g.lane_of[edge] & 1
    own = g.rate[edge]
    for i in range(g.triangle_rows[pair, 0], row_end(g.triangle_rows, pair)):
        second = g.triangles[i, flip] ^ flip
        third = g.triangles[i, 1 - flip] ^ flip
        if own * g.best[second] * g.best[third] <= PRUNE:
            continue
        for j in range(g.ranked_rows[second, 0], row_end(g.ranked_rows, second)):
            e2 = g.ranked[j, 0]
            product = own * g.rate[e2]
            if product * g.best[third] <= PRUNE:
                break
            for k in range(g.ranked_rows[third, 0], row_end(g.ranked_rows, third)):
                e3 = g.ranked[k, 0]
                if product * g.rate[e3] <= PRUNE:
                    break
                found.route[0], found.route[1], found.route[2], found.route[3] = edge, e2, e3, -1
                emit(g, found)


@kernel_part
def four_hops(g: Graph, found: Found, edge: int) -> None:
    """start r -> x -> m -> y -> start r, this edge being any of the four hops, half by half.

    r is the first start token of the cycle, so none of the others may come before it.
    """
    lane = g.lane_of[edge]
    a, b, own = g.head[lane ^ 1], g.head[lane], g.rate[edge]
    for r in range(min(g.start.size, g.place[a] + 1, g.place[b] + 1)):
        if g.place[a] == r:  # x is b, m any neighbour of it
            for i in range(g.lanes_from_rows[b, 0], row_end(g.lanes_from_rows, b)):
                onward = g.lanes_from[i, 0]
                m = g.head[onward]
                if g.place[m] > r and own * g.best[onward] * g.back_bound[r, m] > PRUNE:
                    close_back(g, found, edge, onward, r)
        elif g.place[b] == r:  # y is a, m any neighbour of it
            for i in range(g.lanes_from_rows[a, 0], row_end(g.lanes_from_rows, a)):
                inward = g.lanes_from[i, 0] ^ 1
                m = g.head[inward ^ 1]
                if g.place[m] > r and g.out_bound[r, m] * g.best[inward] * own > PRUNE:
                    close_out(g, found, edge, inward, r)
        else:
            out, home = g.spoke[r, a], g.spoke[r, b] ^ 1
            if out >= 0 and g.best[out] * own * g.back_bound[r, b] > PRUNE:  # x is a, m is b
                close_back(g, found, edge, out, r)
            if home >= 0 and g.out_bound[r, a] * own * g.best[home] > PRUNE:  # m is a, y is b
                close_out(g, found, edge, home, r)


@kernel_part
def close_back(g: Graph, found: Found, edge: int, lane: int, r: int) -> None:
    """Edge and lane, in either order, lead start r -> x -> m; go m -> y -> start r.

    All m -> y -> start r are looked at, so the bound can be made exact on the way.
    """
    own = g.lane_of[edge]
    leads = g.head[own ^ 1] == g.start[r]
    x, m = (g.head[own], g.head[lane]) if leads else (g.head[lane], g.head[own])
    out = g.rate[edge] * g.best[lane]
    bound = 0.0
    for i in range(g.lanes_from_rows[m, 0], row_end(g.lanes_from_rows, m)):
        inner = g.lanes_from[i, 0]
        y = g.head[inner]
        if g.spoke[r, y] < 0:
            continue
        home = g.spoke[r, y] ^ 1
        back = g.best[inner] * g.best[home]
        bound = max(bound, back)
        if y != x and g.place[y] > r and out * back > PRUNE:
            lanes = (lane, inner, home) if leads else (inner, home, lane)
            parallel_fours(g, found, edge, lanes)
    g.back_bound[r, m] = bound


@kernel_part
def close_out(g: Graph, found: Found, edge: int, lane: int, r: int) -> None:
    """Edge and lane, in either order, lead m -> y -> start r; come start r -> x -> m.

    All start r -> x -> m are looked at, so the bound can be made exact on the way.
    """
    own = g.lane_of[edge]
    leads = g.head[own] != g.start[r]
    m, y = (g.head[own ^ 1], g.head[own]) if leads else (g.head[lane ^ 1], g.head[lane])
    back = g.rate[edge] * g.best[lane]
    bound = 0.0
    for i in range(g.lanes_from_rows[m, 0], row_end(g.lanes_from_rows, m)):
        inner = g.lanes_from[i, 0] ^ 1
        x = g.head[inner ^ 1]
        if g.spoke[r, x] < 0:
            continue
        off = g.spoke[r, x]
        out = g.best[off] * g.best[inner]
        bound = max(bound, out)
        if x != y and g.place[x] > r and out * back > PRUNE:
            lanes = (lane, off, inner) if leads else (off, inner, lane)
            parallel_fours(g, found, edge, lanes)
    g.out_bound[r, m] = bound


@kernel_part
def parallel_fours(g: Graph, found: Found, edge: int, lanes: tuple[int, int, int]) -> None:
    """The edge, then one edge of each lane, all from the best downwards."""
    second, third, fourth = lanes
    for i in range(g.ranked_rows[second, 0], row_end(g.ranked_rows, second)):
        e2 = g.ranked[i, 0]
        two = g.rate[edge] * g.rate[e2]
        if two * g.best[third] * g.best[fourth] <= PRUNE:
            break
        for j in range(g.ranked_rows[third, 0], row_end(g.ranked_rows, third)):
            e3 = g.ranked[j, 0]
            three = two * g.rate[e3]
            if three * g.best[fourth] <= PRUNE:
                break
            for k in range(g.ranked_rows[fourth, 0], row_end(g.ranked_rows, fourth)):
                e4 = g.ranked[k, 0]
                if three * g.rate[e4] <= PRUNE:
                    break
                found.route[0], found.route[1], found.route[2], found.route[3] = edge, e2, e3, e4
                emit(g, found)


@kernel_part
def emit(g: Graph, found: Found) -> None:
    """Add found.route if it is open and uses no pool twice. Its first edge is the one it was
    found by.

    It is turned to begin at its first start token, and its rate is multiplied in that order. A
    cycle that holds several touched pools is added only for the first of them.
    """
    turn = g.turns[g.slot_of[found.route[0]]]
    first, least, hops = 0, g.start.size, 0
    while hops < 4 and found.route[hops] >= 0:
        edge = found.route[hops]
        slot = g.slot_of[edge]
        if g.turns[slot] < turn:
            return
        for before in range(hops):
            if g.slot_of[found.route[before]] == slot:
                return
        place = g.place[g.head[g.lane_of[edge] ^ 1]]
        if place < least:
            first, least = hops, place
        hops += 1
    product = 1.0
    for i in range(hops):
        product *= g.rate[found.route[(first + i) % hops]]
    if not product > 1.0:
        return
    total = found.total[0]
    if total < len(found.rate):
        for i in range(4):
            found.edges[total, i] = found.route[(first + i) % hops] if i < hops else -1
        found.rate[total] = product
    found.total[0] = total + 1


@kernel_part
def row_end(rows: Ints, row: int) -> int:
    """Where a packed row ends."""
    return int(rows[row, 0] + rows[row, 1])
