"""Compiled: a map from routes to whole numbers, for as many routes as there are open cycles.

Open addressing with linear probing, half full at most; what is taken out leaves no gap behind it.
Source: Knuth, The Art of Computer Programming 3, 6.4, algorithms L and R.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dexarb.compiled import kernel, kernel_part
from dexarb.search.packed import Ints

Routes = npt.NDArray[np.int32]
"""A row each: four edges in hop order, -1 behind the last."""

ABSENT = -1
LEAST_ROOM = 64

MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
"""2^64 over the golden ratio, see Knuth."""
SHIFT = np.uint64(29)


class Places(NamedTuple):
    """routes and value by place, where a value of ABSENT is an empty place. used[0]: how many are
    not."""

    routes: Routes
    value: Ints
    used: Ints


def _places(room: int) -> Places:
    return Places(
        np.zeros((room, 4), dtype=np.int32),
        np.full(room, ABSENT, dtype=np.int64),
        np.zeros(1, dtype=np.int64),
    )


class RouteMap:
    """Mutable. Values are 0 or more. `room_for` comes before a kernel puts anything in."""

    def __init__(self) -> None:
        self.places = _places(LEAST_ROOM)

    def __len__(self) -> int:
        return int(self.places.used[0])

    def room_for(self, more: int) -> None:
        """Make room for so many more."""
        wanted = 2 * (len(self) + more)
        room = len(self.places.value)
        if wanted > room:
            while wanted > room:
                room *= 2
            larger = _places(room)
            move(self.places, larger)
            self.places = larger

    def get(self, route: Routes) -> int:
        """ABSENT where it is not there."""
        found = np.empty(1, dtype=np.int64)
        look_up(self.places, route.reshape(1, 4), found)
        return int(found[0])

    def items(self) -> tuple[Routes, Ints]:
        """All routes and their values, in no order."""
        there = self.places.value >= 0
        return self.places.routes[there], self.places.value[there]


@kernel_part
def place_of(p: Places, routes: Routes, row: int) -> int:
    """Where the route in this row is, or the empty place where it would be."""
    last = len(p.value) - 1
    place = home_of(routes, row) & last
    while p.value[place] >= 0:
        if (
            p.routes[place, 0] == routes[row, 0]
            and p.routes[place, 1] == routes[row, 1]
            and p.routes[place, 2] == routes[row, 2]
            and p.routes[place, 3] == routes[row, 3]
        ):
            return place
        place = (place + 1) & last
    return place


@kernel_part
def home_of(routes: Routes, row: int) -> int:
    """A number from 0 to 2^32 - 1 that scatters routes."""
    mixed = np.uint64(0)
    for i in range(4):
        mixed = (mixed ^ np.uint64(np.uint32(routes[row, i]))) * MULTIPLIER
        mixed ^= mixed >> SHIFT
    return int(mixed >> np.uint64(32))


@kernel_part
def put(p: Places, routes: Routes, row: int, place: int, value: int) -> None:
    """At the place that `place_of` gave."""
    if p.value[place] < 0:
        for i in range(4):
            p.routes[place, i] = routes[row, i]
        p.used[0] += 1
    p.value[place] = value


@kernel_part
def take_out(p: Places, place: int) -> None:
    """Empty the place; what had to go past it moves up."""
    last = len(p.value) - 1
    p.used[0] -= 1
    gap = place
    while True:
        p.value[gap] = ABSENT
        at = gap
        while True:
            at = (at + 1) & last
            if p.value[at] < 0:
                return
            home = home_of(p.routes, at) & last
            # It may stay if its home lies behind the gap, going round.
            if (at - home) & last < (at - gap) & last:
                continue
            break
        for i in range(4):
            p.routes[gap, i] = p.routes[at, i]
        p.value[gap] = p.value[at]
        gap = at


@kernel
def move(old: Places, new: Places) -> None:
    """Everything into a larger map, which is empty."""
    for at in range(len(old.value)):
        if old.value[at] >= 0:
            put(new, old.routes, at, place_of(new, old.routes, at), int(old.value[at]))


@kernel
def look_up(p: Places, routes: Routes, found: Ints) -> None:
    """The value of each route, or ABSENT."""
    for row in range(len(routes)):
        found[row] = p.value[place_of(p, routes, row)]
