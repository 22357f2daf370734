"""Compiled: the table of open cycles, changed only where pools were touched.

The rows through a pool are linked, hop by hop, so that they are found without looking at others.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dexarb.compiled import kernel, kernel_part
from dexarb.search.packed import Floats, Ints, longer
from dexarb.search.probe import Graph
from dexarb.search.route_map import Places, Routes, place_of, put, take_out

Small = npt.NDArray[np.int32]

NONE = -1

HIGHEST, FREE, AWAKE, MIXES, PIECES, TURN, SET, STEPS = range(8)
"""Of `Table.counts`: rows ever used, how many of these are free, how many are awake, mixes and
pieces there are, changes so far, rows they have set, and rows they have looked at."""

KINDS = 16
"""Kinds of pools that can be told apart by the gas of their swaps."""
CODES = (KINDS + 1) ** 4


class Table(NamedTuple):
    """By row: edges in hop order, NONE behind the last and in all of a free row. rate, amount_in,
    profit: marginal, and of the best size, in the start token's smallest unit. start: rank of the
    start token. mix: which kinds of pools, in hop order. first, number: its pieces, if it is awake.
    version: the change that set it; entered: the one since which it is this cycle's. place: its
    place in `awake`, or NONE.

    before, after: by row and hop the neighbours in the list of all that pass the same pool, as
    4·row + hop; head: by slot, where that list begins. awake: rows. free: rows. mix_of: by code
    (kind + 1 in base KINDS + 1, hop after hop) the number of a mix, or NONE; codes: the other way
    round. mark, passing: scratch.
    """

    edges: Routes
    rate: Floats
    amount_in: Floats
    profit: Floats
    start: Small
    mix: Small
    first: Ints
    number: Small
    version: Ints
    entered: Ints
    place: Small
    before: Routes
    after: Routes
    awake: Small
    free: Small
    mark: Ints
    passing: Small
    head: Small
    mix_of: Small
    codes: Small
    counts: Ints


BY_ROW = Table._fields[: Table._fields.index("head")]


class Measured(NamedTuple):
    """Cycles that are open now, with their sizes; see `probe.Found` and `sizing.Sizes`."""

    routes: Routes
    rate: Floats
    amount_in: Floats
    profit: Floats
    first: Ints
    number: Ints
    pieces: Floats


def empty_table() -> Table:
    """Without room for any row."""
    small, whole = np.zeros(0, dtype=np.int32), np.zeros(0, dtype=np.int64)
    real, routes = np.zeros(0), np.zeros((0, 4), dtype=np.int32)
    return Table(
        edges=routes,
        rate=real,
        amount_in=real,
        profit=real,
        start=small,
        mix=small,
        first=whole,
        number=small,
        version=whole,
        entered=whole,
        place=small,
        before=routes,
        after=routes,
        awake=small,
        free=small,
        mark=whole,
        passing=small,
        head=small,
        mix_of=np.full(CODES, NONE, dtype=np.int32),
        codes=np.full(CODES, NONE, dtype=np.int32),
        counts=np.zeros(STEPS + 1, dtype=np.int64),
    )


def grown_table(t: Table, rows: int, slots: int) -> Table:
    """With room for so many rows and slots."""
    if rows > len(t.rate):
        t = t._replace(**{name: longer(getattr(t, name), rows, NONE) for name in BY_ROW})
    return t._replace(head=longer(t.head, slots, NONE))


@kernel
def merge(
    t: Table,
    m: Places,
    g: Graph,
    kind_of: Small,
    slots: Ints,
    found: Measured,
    floors: Floats,
    pieces: Floats,
    rows: Small,
    log: Small,
    opened: Routes,
    closed: Routes,
) -> int:
    """Replace all rows through the pools in these slots by what was found there.

    m: rows by route. rows: gets those of what was found. log: gets the rows that were set or freed.
    opened, closed: get the routes that are new, and those that are not open any more; returns how
    many have closed. There has to be room everywhere.
    """
    c = t.counts
    c[TURN] += 1
    c[STEPS] += len(found.rate)
    passing = 0
    for i in range(len(slots)):
        node = t.head[slots[i]]
        while node >= 0:
            row = node >> 2
            if t.mark[row] != c[TURN]:
                t.mark[row] = c[TURN]
                t.passing[passing] = row
                passing += 1
            node = t.after[row, node & 3]
    c[STEPS] += passing
    for i in range(len(found.rate)):
        rows[i] = m.value[place_of(m, found.routes, i)]
        if rows[i] >= 0:
            t.mark[rows[i]] = NONE
    logged = began = ended = 0
    for i in range(passing):
        row = t.passing[i]
        if t.mark[row] == c[TURN]:
            for hop in range(4):
                closed[ended, hop] = t.edges[row, hop]
            ended += 1
            remove(t, m, g, row)
            log[logged] = row
            logged += 1
    for i in range(len(found.rate)):
        if rows[i] < 0:
            rows[i] = enter(t, g, kind_of, found.routes, i)
            put(m, found.routes, i, place_of(m, found.routes, i), rows[i])
            for hop in range(4):
                opened[began, hop] = found.routes[i, hop]
            began += 1
        row = rows[i]
        t.rate[row], t.version[row] = found.rate[i], c[TURN]
        t.amount_in[row], t.profit[row] = found.amount_in[i], found.profit[i]
        if found.profit[i] >= floors[t.start[row]]:
            rouse(t, row, found, i, pieces)
        else:
            let_sleep(t, row)
        log[logged] = row
        logged += 1
    c[SET] += logged
    return ended


@kernel_part
def enter(t: Table, g: Graph, kind_of: Small, routes: Routes, i: int) -> int:
    """A row for a route, linked to its pools; its figures are missing yet."""
    c = t.counts
    if c[FREE] > 0:
        c[FREE] -= 1
        row = t.free[c[FREE]]
    else:
        row = c[HIGHEST]
        c[HIGHEST] += 1
    code, scale = 0, 1
    for hop in range(4):
        edge = routes[i, hop]
        t.edges[row, hop] = edge
        if edge < 0:
            continue
        slot = g.slot_of[edge]
        node, following = 4 * row + hop, t.head[slot]
        t.before[row, hop], t.after[row, hop] = NONE, following
        t.head[slot] = node
        if following >= 0:
            t.before[following >> 2, following & 3] = node
        code += (kind_of[slot] + 1) * scale
        scale *= KINDS + 1
    if t.mix_of[code] < 0:
        t.mix_of[code] = c[MIXES]
        t.codes[c[MIXES]] = code
        c[MIXES] += 1
    t.mix[row] = t.mix_of[code]
    t.start[row] = g.place[g.head[g.lane_of[routes[i, 0]] ^ 1]]
    t.place[row], t.entered[row] = NONE, c[TURN]
    return int(row)


@kernel_part
def remove(t: Table, m: Places, g: Graph, row: int) -> None:
    """Free a row."""
    take_out(m, place_of(m, t.edges, row))
    let_sleep(t, row)
    for hop in range(4):
        edge = t.edges[row, hop]
        if edge >= 0:
            before, after = t.before[row, hop], t.after[row, hop]
            if before >= 0:
                t.after[before >> 2, before & 3] = after
            else:
                t.head[g.slot_of[edge]] = after
            if after >= 0:
                t.before[after >> 2, after & 3] = before
        t.edges[row, hop] = NONE
    t.free[t.counts[FREE]] = row
    t.counts[FREE] += 1


@kernel_part
def rouse(t: Table, row: int, found: Measured, i: int, pieces: Floats) -> None:
    """Among those that are awake, with pieces of its own."""
    c = t.counts
    if t.place[row] < 0:
        t.place[row] = c[AWAKE]
        t.awake[c[AWAKE]] = row
        c[AWAKE] += 1
    first = c[PIECES]
    for k in range(found.number[i]):
        for column in range(4):
            pieces[first + k, column] = found.pieces[found.first[i] + k, column]
    t.first[row], t.number[row] = first, found.number[i]
    c[PIECES] += found.number[i]


@kernel_part
def let_sleep(t: Table, row: int) -> None:
    """The last of those that are awake gets its place."""
    place = t.place[row]
    if place < 0:
        return
    t.counts[AWAKE] -= 1
    last = t.awake[t.counts[AWAKE]]
    t.awake[place], t.place[last] = last, place
    t.place[row], t.number[row] = NONE, 0


@kernel
def sort_out(t: Table, start: int, floor: float, waking: Ints) -> int:
    """The floor of a start token is another one: put to sleep what earns less. Gives the rows that
    wake and returns how many; they have to be sized for that."""
    number = 0
    t.counts[STEPS] += t.counts[HIGHEST]
    for row in range(t.counts[HIGHEST]):
        if t.edges[row, 0] < 0 or t.start[row] != start:
            continue
        if t.profit[row] < floor:
            let_sleep(t, row)
        elif t.place[row] < 0:
            waking[number] = row
            number += 1
    return number


@kernel
def wake(t: Table, rows: Ints, found: Measured, pieces: Floats) -> None:
    """found: the cycles of these rows, sized."""
    for i in range(len(rows)):
        rouse(t, rows[i], found, i, pieces)


@kernel
def keep_pieces(t: Table, old: Floats, new: Floats) -> None:
    """Copy what is still in use."""
    used = 0
    for i in range(t.counts[AWAKE]):
        row = t.awake[i]
        first = t.first[row]
        t.first[row] = used
        for k in range(t.number[row]):
            for column in range(4):
                new[used, column] = old[first + k, column]
            used += 1
    t.counts[PIECES] = used


@kernel
def worth(t: Table, minima: Floats, rows: Ints) -> int:
    """Gives the rows that earn at least the minimum of their start token; returns how many."""
    number = 0
    for i in range(t.counts[AWAKE]):
        row = t.awake[i]
        if t.profit[row] >= minima[t.start[row]]:
            rows[number] = row
            number += 1
    return number
