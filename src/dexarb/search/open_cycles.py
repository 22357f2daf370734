"""The open cycles of a market as columns: a row each, changed only where pools were touched.

Most open cycles of a real market earn less than anybody's gas, and there are many of them. So
nothing runs once per open cycle and block, and a `Cycle` is made when somebody looks at one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from dexarb.core.pool import SwapGas
from dexarb.core.route import Cycle
from dexarb.core.trade import Curve
from dexarb.search.cycles import CycleIndex
from dexarb.search.merge import (
    AWAKE,
    FREE,
    HIGHEST,
    KINDS,
    MIXES,
    NONE,
    PIECES,
    SET,
    STEPS,
    Measured,
    Small,
    empty_table,
    grown_table,
    keep_pieces,
    merge,
    sort_out,
    wake,
    worth,
)
from dexarb.search.packed import Floats, Ints
from dexarb.search.route_map import ABSENT, RouteMap, Routes, look_up, move
from dexarb.search.sizing import Sizes, curve_of

LEAST_ROOM = 256


class Changes(NamedTuple):
    """What an update has brought.

    opened: what was not open before. closed: what is not open any more. gone: the edges of pools
    that have left; their numbers are used again.
    """

    opened: Routes
    closed: Routes
    gone: Ints


class OpenCycles:
    """Mutable. A row keeps its number while its cycle stays open.

    rows: see merge.Table. A row is awake if its best size earns at least the floor of its start
    token; only then there are `pieces` of its curve.
    """

    def __init__(self, index: CycleIndex) -> None:
        self.index = index
        self.rows = grown_table(empty_table(), LEAST_ROOM, LEAST_ROOM)
        self.routes = RouteMap()
        self.pieces: Floats = np.zeros((LEAST_ROOM, 4))
        self.floors: Floats = np.full(len(index.start_tokens), np.inf)
        self._log: Small = np.zeros(0, dtype=np.int32)
        self._logged_before = 0

    def __len__(self) -> int:
        return len(self.routes)

    def __contains__(self, cycle: object) -> bool:
        return isinstance(cycle, Cycle) and self.row(cycle) != ABSENT

    def row(self, cycle: Cycle) -> int:
        """ABSENT where it is not open."""
        route = self.index.route_of(cycle)
        return ABSENT if route is None else self.routes.get(route)

    @property
    def awake(self) -> Small:
        """Rows in no order."""
        return self.rows.awake[: self.rows.counts[AWAKE]]

    @property
    def mixes(self) -> int:
        """How many there are; see `merge.Table`."""
        return int(self.rows.counts[MIXES])

    def mix(self, number: int) -> tuple[SwapGas, ...]:
        """What the swaps of such a cycle cost, in hop order."""
        kinds, code = [], int(self.rows.codes[number])
        while code:
            code, kind = divmod(code, KINDS + 1)
            kinds.append(self.index.edges.kinds[kind - 1])
        return tuple(kinds)

    @property
    def steps(self) -> int:
        """Rows that were looked at so far: what the table has cost."""
        return int(self.rows.counts[STEPS])

    # -- looking at some ----------------------------------------------------------------------

    def cycle(self, row: int) -> Cycle:
        return self._cycle_of(self.rows.edges[row].tolist())

    def curve(self, row: int) -> Curve:
        """Of a row that is awake."""
        return self._curve_of(int(self.rows.first[row]), int(self.rows.number[row]))

    def looked_at(self, rows: Ints) -> list[tuple[Cycle, Curve]]:
        """Of rows that are awake, many of them at once."""
        routes, firsts, numbers = (
            column[rows].tolist() for column in (self.rows.edges, self.rows.first, self.rows.number)
        )
        curves = map(self._curve_of, firsts, numbers)
        return list(zip(map(self._cycle_of, routes), curves, strict=True))

    def _cycle_of(self, route: list[int]) -> Cycle:
        return self.index.cycle(tuple(route if route[-1] >= 0 else route[: route.index(NONE)]))

    def _curve_of(self, first: int, number: int) -> Curve:
        return curve_of(self.pieces[first : first + number])

    def all_rows(self) -> Ints:
        """In no order."""
        return np.flatnonzero(self.rows.edges[: self.rows.counts[HIGHEST], 0] >= 0)

    def cycles(self) -> list[tuple[int, Cycle]]:
        """All rows and what they are, by ascending id."""
        every = [(row, self.cycle(row)) for row in self.all_rows().tolist()]
        return sorted(every, key=lambda each: each[1].id)

    def rows_of(self, routes: Routes) -> Ints:
        """ABSENT for those that are not open."""
        rows = np.empty(len(routes), dtype=np.int64)
        look_up(self.routes.places, routes, rows)
        return rows

    def earning(self, minima: Floats) -> Ints:
        """Rows that earn at least these amounts, by start token and none below its floor."""
        rows = np.empty(len(self.awake), dtype=np.int64)
        return rows[: worth(self.rows, minima, rows)]

    def set_since(self, mark: int) -> tuple[Small | None, int]:
        """The rows that were set or freed since a mark, some of them more than once, and the mark
        for the next time. None: it is too long ago, so look at all of them."""
        now = int(self.rows.counts[SET])
        if mark < self._logged_before:
            return None, now
        return self._log[mark - self._logged_before : now - self._logged_before], now

    def everything(self) -> Changes:
        """For whoever begins now."""
        none = np.zeros((0, 4), dtype=np.int32)
        return Changes(self.rows.edges[self.all_rows()], none, np.zeros(0, dtype=np.int64))

    # -- changing -----------------------------------------------------------------------------

    def update(self, slots: Ints, edges: Ints, rates: Floats, sizes: Sizes, gone: Ints) -> Changes:
        """Replace all rows through the pools in these slots by the cycles that are open there now.

        edges, rates: as the index found them. sizes: theirs. gone: edges of pools that have left.
        """
        found = _found(edges, rates, sizes)
        self._make_room(len(edges), int(sizes.used[0]))
        before = len(self)
        closed: Routes = np.empty((before, 4), dtype=np.int32)
        opened = np.empty_like(found.routes)
        logged = int(self.rows.counts[SET]) - self._logged_before
        ended = merge(
            self.rows,
            self.routes.places,
            self.index.graph,
            self.index.edges.kind_of,
            slots,
            found,
            self.floors,
            self.pieces,
            np.empty(len(edges), dtype=np.int32),
            self._log[logged:],
            opened,
            closed,
        )
        began = len(self) - before + ended
        return Changes(opened[:began].copy(), closed[:ended].copy(), gone)

    def set_floor(self, start: int, floor: float, size: Callable[[Ints], Sizes]) -> None:
        """Of a start token, by its rank. size: gives the sizes of cycles."""
        self.floors[start] = floor
        waking = np.empty(len(self), dtype=np.int64)
        waking = waking[: sort_out(self.rows, start, floor, waking)]
        edges = self.rows.edges[waking].astype(np.int64)
        sizes = size(edges)
        self._make_room_for_pieces(int(sizes.used[0]))
        wake(self.rows, waking, _found(edges, self.rows.rate[waking], sizes), self.pieces)

    def _make_room(self, found: int, pieces: int) -> None:
        counts = self.rows.counts
        self.routes.room_for(found)
        rows = int(counts[HIGHEST] - counts[FREE]) + found
        # What closes is freed before anything enters, but it is logged as well.
        self.rows = grown_table(self.rows, rows, len(self.index.edges.keys))
        if counts[SET] - self._logged_before + len(self) + found > len(self._log):
            self._logged_before = int(counts[SET])
            self._log = np.zeros(4 * (len(self) + found) + LEAST_ROOM, dtype=np.int32)
        self._make_room_for_pieces(pieces)

    def _make_room_for_pieces(self, more: int) -> None:
        if self.rows.counts[PIECES] + more > len(self.pieces):
            used = int(self.rows.number[self.awake].sum())
            larger = np.zeros((2 * (used + more) + LEAST_ROOM, 4))
            keep_pieces(self.rows, self.pieces, larger)
            self.pieces = larger


def _found(edges: Ints, rates: Floats, sizes: Sizes) -> Measured:
    number = len(edges)
    return Measured(
        edges.astype(np.int32),
        rates,
        sizes.amount_in[:number],
        sizes.profit[:number],
        sizes.first[:number],
        sizes.number[:number],
        sizes.pieces,
    )


def warm_up_table(index: CycleIndex, edges: Ints, rates: Floats, sizes: Sizes) -> None:
    """Compile its kernels. edges, rates, sizes: of no cycle."""
    table = OpenCycles(index)
    table.update(np.zeros(0, dtype=np.int64), edges, rates, sizes, np.zeros(0, dtype=np.int64))
    table.set_floor(0, 0.0, lambda _: sizes)
    table.earning(table.floors)
    table.routes.get(np.full(4, -1, dtype=np.int32))
    keep_pieces(table.rows, table.pieces, table.pieces)
    move(table.routes.places, table.routes.places)
