"""The float mirror: what each pool answers in each direction, read from it as far as needed."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from math import inf

import numpy as np

from dexarb.core.pool import NO_SEGMENT, Pool, Segment
from dexarb.search.edges import EdgeTable
from dexarb.search.packed import Floats, Ints, Rows, grown
from dexarb.search.sizing import (
    DEPTH,
    IN_FROM,
    IN_TO,
    OUT_FROM,
    OUT_TO,
    RATE,
    SEGMENT_COLUMNS,
    Segments,
)

FIRST_LOOK = 16
"""Segments that are read once the first is not enough; then four times as many each time."""


class RateMirror:
    """Segments of each edge. Only the first is read when a pool changes: rates need no more.

    pools: by slot, what is mirrored. Pools are immutable, so the rest can be read at any time. What
    a kind's segments can be short of is added to the rates, so that no cycle is ever taken for
    worse than it is.
    """

    def __init__(self, edges: EdgeTable) -> None:
        self._edges = edges
        self.pools: dict[int, Pool] = {}
        self._rows = Rows(SEGMENT_COLUMNS, np.float64)
        self._complete: Ints = np.zeros(16, dtype=np.int64)

    @property
    def segments(self) -> Segments:
        return Segments(self._rows.rows, self._rows.data, self._complete)

    def add(self, slot: int) -> None:
        """Make room for a pool's edges."""
        self._rows.extend_to(self._edges.number)
        for edge in self._edges.of(slot):
            self._rows.reserve(edge)
        self._complete = grown(self._complete, self._edges.number)

    def read(self, changed: Mapping[int, Pool | None]) -> tuple[Ints, Floats]:
        """Mirror pools anew, by slot; None: the pool is gone. Returns edges and their rates."""
        numbers: list[float] = []
        numbered: list[int] = []
        for slot, pool in changed.items():
            here = self._edges.of(slot)
            numbered += here
            if pool is None:
                del self.pools[slot]
                numbers += NO_SEGMENT * len(here)
            else:
                self.pools[slot] = pool
                for segment in pool.first_segments():
                    numbers += _at_most(segment, pool) if pool.mirror_error else segment
        edges = np.array(numbered, dtype=np.int64)
        content = _laid_out(np.array(numbers).reshape(-1, 1, 3))[:, 0]
        self._rows.data[self._rows.rows[edges, 0]] = content
        self._rows.rows[edges, 1] = content[:, RATE] > 0.0
        self._complete[edges] = content[:, IN_TO] == inf
        return edges, np.ascontiguousarray(content[:, RATE])

    def read_on(self, edge: int) -> None:
        """Read more segments of an edge whose known ones did not reach."""
        (slot,) = self._edges.slots_of([edge])
        pool = self.pools[slot]
        wanted = max(FIRST_LOOK, 4 * int(self._rows.rows[edge, 1]))
        segments = pool.segments(*self._edges.way(edge))
        read = list(islice(segments, wanted))
        if pool.mirror_error:
            read = [_at_most(segment, pool) for segment in read]
        known = _laid_out(np.array([read]).reshape(1, -1, 3))[0]
        self._rows.replace(edge, known)
        self._complete[edge] = len(known) < wanted


def _at_most(segment: Segment, pool: Pool) -> Segment:
    """With all that the pool could give more than its segment says."""
    return segment._replace(rate=segment.rate * (1.0 + pool.mirror_error))


def _laid_out(segments: Floats) -> Floats:
    """Rows of sizing's columns from rows of (rate, depth, input limit), edge by edge."""
    rate, depth, limit = segments[..., 0], segments[..., 1], segments[..., 2]
    most_out = rate / (1.0 / limit + depth)
    columns = np.zeros((*segments.shape[:-1], SEGMENT_COLUMNS))
    columns[..., RATE] = rate
    columns[..., DEPTH] = depth
    if segments.shape[-2] == 1:  # a first one, as for every pool that changes
        columns[..., IN_TO], columns[..., OUT_TO] = limit, most_out
        return columns
    for start, end, amount in ((IN_FROM, IN_TO, limit), (OUT_FROM, OUT_TO, most_out)):
        columns[..., end] = np.cumsum(amount, axis=-1)
        columns[..., 1:, start] = columns[..., :-1, end]
    return columns
