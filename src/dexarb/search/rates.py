"""The float mirror: what each pool answers in each direction, read from it as far as needed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from math import inf, isfinite

import numpy as np

from dexarb.core.pool import Pool, Segment
from dexarb.core.token import Address
from dexarb.search.packed import Floats, Ints, Rows, grown
from dexarb.search.sizing import Segments

FIRST_LOOK = 16
"""Segments that are read once the first is not enough; then four times as many each time."""


class RateMirror:
    """Segments of each edge. Only the first is read when a pool changes: rates need no more.

    A changed pool is mirrored anew; pools are immutable, so the rest can be read at any time.
    """

    def __init__(self) -> None:
        self._rows = Rows(3, np.float64)
        self._complete: Ints = np.zeros(16, dtype=np.int64)
        self._sellers: dict[int, tuple[Pool, Address]] = {}

    @property
    def segments(self) -> Segments:
        return Segments(self._rows.rows, self._rows.data, self._complete)

    def add(self, slot: int) -> None:
        """Make room for a pool's edges."""
        self._rows.extend_to(2 * slot + 2)
        for edge in (2 * slot, 2 * slot + 1):
            self._rows.reserve(edge)
        self._complete = grown(self._complete, 2 * slot + 2)

    def read(self, sellers: Iterable[tuple[int, Pool | None, Address]]) -> tuple[Ints, Floats]:
        """Mirror (edge, pool, token_in) anew; None: the pool is gone. Returns edges and rates."""
        edges: list[int] = []
        firsts: list[Segment] = []
        for edge, pool, token_in in sellers:
            if pool is None:
                del self._sellers[edge]
                segment = None
            else:
                self._sellers[edge] = pool, token_in
                segment = next(usable(pool.segments(token_in)), None)
            edges.append(edge)
            firsts.append(segment or _NOTHING)
        changed = np.array(edges, dtype=np.int64)
        content = np.array(firsts, dtype=np.float64).reshape(-1, 3)
        self._rows.data[self._rows.rows[changed, 0]] = content
        self._rows.rows[changed, 1] = content[:, 0] > 0.0
        self._complete[changed] = content[:, 2] == inf
        return changed, np.ascontiguousarray(content[:, 0])

    def read_on(self, edge: int) -> None:
        """Read more segments of an edge whose known ones did not reach."""
        pool, token_in = self._sellers[edge]
        wanted = max(FIRST_LOOK, 4 * int(self._rows.rows[edge, 1]))
        segments = list(islice(usable(pool.segments(token_in)), wanted))
        self._rows.replace(edge, np.array(segments, dtype=np.float64).reshape(-1, 3))
        self._complete[edge] = len(segments) < wanted


_NOTHING = Segment(0.0, 0.0, inf)


def usable(segments: Iterator[Segment]) -> Iterator[Segment]:
    """Without stretches that hold nothing: they would bring infinities into the products."""
    return (
        segment
        for segment in segments
        if segment.rate > 0.0 and segment.input_limit > 0.0 and isfinite(segment.depth)
    )
