"""The token graph and the cycles in it, kept up to date as pools change, come and go.

Nothing here stores a cycle: triangles of tokens and best edges are enough to find the open ones.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache

import numpy as np

from dexarb.core.pool import Pool, PoolKey
from dexarb.core.route import Cycle, Hop
from dexarb.core.token import Address, Pair, pair_of
from dexarb.search.edges import EdgeTable
from dexarb.search.packed import Floats, Ints, Rows, grown
from dexarb.search.probe import (
    UNTOUCHED,
    Found,
    Graph,
    find_open,
    raise_all_bounds,
    reprice,
)
from dexarb.search.route_map import Routes

Route = tuple[int, ...]
"""A cycle inside the search: its edges in hop order, from its first start token."""

REMEMBERED = 1 << 14
"""Cycles whose hops and id are kept: what opens once is likely to open again."""


def _require_searched(max_hops: int) -> None:
    if not 2 <= max_hops <= 4:
        raise ValueError(f"cycles of {max_hops} hops are not searched; choose 2, 3 or 4")


class CycleIndex:
    """Pools have slots, tokens and pairs have numbers; probe.py says what the arrays mean.

    pairs: by number.

    Tokens and pairs stay when pools go: without a pool a pair has rate 0 both ways, so no probe
    gets past it.
    """

    def __init__(self, start_tokens: Sequence[Address], max_hops: int) -> None:
        _require_searched(max_hops)
        self.start_tokens = tuple(dict.fromkeys(start_tokens))
        self.max_hops = max_hops
        self.edges = EdgeTable()
        self._tokens: list[Address] = []
        self._numbers: dict[Address, int] = {}
        self._lanes: dict[tuple[int, int], int] = {}
        self.pairs: list[Pair] = []
        self._neighbours: list[set[int]] = []
        self._ranked = Rows(1, np.int64)
        self._lanes_from = Rows(1, np.int64)
        self._triangles = Rows(2, np.int64)
        starts = len(self.start_tokens)
        self._rate: Floats = np.zeros(16)
        self._lane_of: Ints = np.zeros(16, dtype=np.int64)
        self._best: Floats = np.zeros(16)
        self._head: Ints = np.zeros(16, dtype=np.int64)
        self._place: Ints = np.full(16, starts, dtype=np.int64)
        self._spoke: Ints = np.full((starts, 16), -1, dtype=np.int64)
        bounded = starts if max_hops == 4 else 0
        self._out_bound: Floats = np.zeros((bounded, 16))
        self._back_bound: Floats = np.zeros((bounded, 16))
        self._turns: Ints = np.full(16, UNTOUCHED, dtype=np.int64)
        self._found = _room_for(256)
        for token in self.start_tokens:
            self._number(token)
        self._start: Ints = np.arange(starts, dtype=np.int64)
        self._place[:starts] = self._start
        self.graph = self._pack()
        self._hop = lru_cache(maxsize=REMEMBERED)(self._hop_of)
        self.cycle = lru_cache(maxsize=REMEMBERED)(self._cycle)
        """The cycle that these edges are."""
        self.route_of = lru_cache(maxsize=REMEMBERED)(self._route_of)
        """The edges that a cycle is, as one row of four; None where it is not searched."""

    def add(self, pool: Pool) -> int:
        """Give the pool a slot, with rates of 0; `reprice` makes it known to the probes."""
        slot = self.edges.add(pool)
        self._rate = grown(self._rate, self.edges.number)
        self._lane_of = grown(self._lane_of, self.edges.number)
        self._turns = grown(self._turns, slot + 1, UNTOUCHED)
        for edge in self.edges.of(slot):
            token_in, token_out = self.edges.way(edge)
            lane = self._lane(self._number(token_in), self._number(token_out))
            self._lane_of[edge] = lane
            self._ranked.append(lane, edge)
        self.graph = self._pack()
        self.route_of.cache_clear()
        return slot

    def widen(self, max_hops: int) -> None:
        """Search longer cycles from now on. Raises ValueError for longer ones than there are."""
        _require_searched(max_hops)
        if self.max_hops < 3 <= max_hops:
            for (low, high), lane in list(self._lanes.items()):
                if lane % 2 == 0:
                    for third in self._neighbours[low] & self._neighbours[high]:
                        if third > max(low, high) and min(low, high) < len(self.start_tokens):
                            self._add_triangle(low, high, third)
        if self.max_hops < 4 <= max_hops:
            self._out_bound = np.zeros((len(self.start_tokens), len(self._place)))
            self._back_bound = np.zeros_like(self._out_bound)
        self.max_hops = max_hops
        self.graph = self._pack()
        self.route_of.cache_clear()
        if max_hops == 4:
            raise_all_bounds(self.graph, len(self._lanes))

    def remove(self, key: PoolKey) -> int:
        """Take a pool out whose edges have been repriced to 0; returns the slot that it had."""
        slot = self.edges.remove(key)
        for edge in self.edges.of(slot):
            self._ranked.discard(int(self._lane_of[edge]), edge)
        self._hop.cache_clear()
        self.cycle.cache_clear()
        self.route_of.cache_clear()
        return slot

    def reprice(self, edges: Ints, rates: Floats) -> None:
        """Give edges new marginal rates (token_out per token_in, smallest units, after the fee)."""
        reprice(self.graph, edges, rates)

    def find_open(self, slots: Iterable[int]) -> tuple[Ints, Floats]:
        """The open cycles through the pools in these slots, in no order.

        Returns a row of four edges for each, -1 behind the last, and their rates.
        """
        touched = np.fromiter(slots, dtype=np.int64)
        find_open(self.graph, touched, self.max_hops, self._found)
        total = int(self._found.total[0])
        if total > len(self._found.rate):
            self._found = _room_for(2 * total)
            find_open(self.graph, touched, self.max_hops, self._found)
        return self._found.edges[:total], self._found.rate[:total]

    def starts_of(self, routes: Ints) -> Ints:
        """By row of edges, the rank of the start token that it is entered from."""
        graph = self.graph
        starts: Ints = graph.place[graph.head[graph.lane_of[routes[:, 0]] ^ 1]]
        return starts

    def _route_of(self, cycle: Cycle) -> Routes | None:
        start = next((token for token in self.start_tokens if token in cycle.tokens), None)
        if start is None or len(cycle.hops) > self.max_hops:
            return None
        route = np.full(4, -1, dtype=np.int32)
        for place, hop in enumerate(cycle.starting_at(start).hops):
            edge = self.edges.between(hop.pool, hop.token_in, hop.token_out)
            if edge is None:
                return None
            route[place] = edge
        return route

    def _cycle(self, edges: Route) -> Cycle:
        return Cycle(tuple([self._hop(edge) for edge in edges]))

    def _hop_of(self, edge: int) -> Hop:
        (slot,) = self.edges.slots_of([edge])
        return Hop(self.edges.keys[slot], *self.edges.way(edge))

    def _number(self, token: Address) -> int:
        number = self._numbers.get(token)
        if number is None:
            number = self._numbers[token] = len(self._tokens)
            self._tokens.append(token)
            self._neighbours.append(set())
            self._lanes_from.extend_to(number + 1)
            self._place = grown(self._place, number + 1, len(self.start_tokens))
            self._spoke = grown(self._spoke, number + 1, -1)
            self._out_bound = grown(self._out_bound, number + 1)
            self._back_bound = grown(self._back_bound, number + 1)
        return number

    def _lane(self, tail: int, tip: int) -> int:
        """The lane between two tokens; with a new pair come its spokes and triangles."""
        lane = self._lanes.get((tail, tip))
        if lane is not None:
            return lane
        low, high = sorted((tail, tip))
        up = len(self._lanes)
        self._lanes[low, high], self._lanes[high, low] = up, up + 1
        self.pairs.append(pair_of(self._tokens[low], self._tokens[high]))
        self._best = grown(self._best, up + 2)
        self._head = grown(self._head, up + 2)
        self._head[up], self._head[up + 1] = high, low
        self._ranked.extend_to(up + 2)
        self._triangles.extend_to(up // 2 + 1)
        starts = len(self.start_tokens)
        for near, far in ((low, high), (high, low)):
            self._lanes_from.append(near, self._lanes[near, far])
            if near < starts:
                self._spoke[near, far] = self._lanes[near, far]
        if self.max_hops >= 3:
            for third in self._neighbours[low] & self._neighbours[high]:
                if min(low, high, third) < starts:
                    self._add_triangle(low, high, third)
        self._neighbours[low].add(high)
        self._neighbours[high].add(low)
        return self._lanes[tail, tip]

    def _add_triangle(self, *tokens: int) -> None:
        a, b, c = sorted(tokens)
        for low, high, third in ((a, b, c), (a, c, b), (b, c, a)):
            ways = (self._lanes[high, third], self._lanes[third, low])
            self._triangles.append(self._lanes[low, high] // 2, ways)

    def _pack(self) -> Graph:
        return Graph(
            rate=self._rate,
            edge_rows=self.edges.rows,
            slot_of=self.edges.slot_of,
            lane_of=self._lane_of,
            ranked_rows=self._ranked.rows,
            ranked=self._ranked.data,
            best=self._best,
            head=self._head,
            lanes_from_rows=self._lanes_from.rows,
            lanes_from=self._lanes_from.data,
            triangle_rows=self._triangles.rows,
            triangles=self._triangles.data,
            start=self._start,
            place=self._place,
            spoke=self._spoke,
            out_bound=self._out_bound,
            back_bound=self._back_bound,
            turns=self._turns,
        )


def _room_for(cycles: int) -> Found:
    return Found(
        edges=np.zeros((cycles, 4), dtype=np.int64),
        rate=np.zeros(cycles),
        total=np.zeros(1, dtype=np.int64),
        route=np.zeros(4, dtype=np.int64),
    )
