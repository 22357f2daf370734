"""Episodes: how long each cycle has been open. Facts of the market, the same for all strategies."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Self

import msgspec
import numpy as np

from dexarb.compiled import kernel
from dexarb.core.block import Block, BlockHash
from dexarb.core.market import MAX_REORG_DEPTH
from dexarb.core.pool import PoolKey
from dexarb.core.route import Cycle, CycleId
from dexarb.core.token import Address
from dexarb.search.cycles import CycleIndex
from dexarb.search.open_cycles import Changes, OpenCycles
from dexarb.search.packed import Ints
from dexarb.search.route_map import ABSENT, Places, RouteMap, Routes, place_of, put, take_out


@dataclass(slots=True)
class _Change:
    """Routes that began to be open, and those that ended with the block when they had begun."""

    began: Routes
    ended: Routes
    ended_since: Ints


@dataclass(slots=True)
class _Observed:
    """A block, and what has to be undone to take it back, the oldest first."""

    block_hash: BlockHash
    changes: list[_Change] = field(default_factory=list)


class EpisodesState(msgspec.Struct):
    """edges: pool, token sold, token bought. routes: four places in `edges` for each cycle, -1
    behind the last, as little-endian int32. since: block numbers in that order, as int64."""

    edges: list[tuple[PoolKey, Address, Address]]
    routes: bytes
    since: bytes


class Episodes:
    """Mutable: `observe` after every block, `rewind` when blocks are taken back.

    index: names the cycles. What is kept of a block is what changed in it.
    """

    def __init__(self, index: CycleIndex) -> None:
        self._index = index
        self._since = RouteMap()
        self._journal: deque[_Observed] = deque(maxlen=MAX_REORG_DEPTH + 1)
        self._undone: list[Routes] = []
        """What a rewind has opened or closed again: the table, which has not been taken back, may
        have nothing to say of it."""

    def state(self) -> EpisodesState:
        """After a block. Edges have other numbers in another index, so they are told in full."""
        routes, numbers = self._since.items()
        used, places = np.unique(routes, return_inverse=True)
        edges, there = self._index.edges, used >= 0
        with_slots = edges.with_slots(used[there].tolist())
        told = [(edges.keys[slot], *edges.way(edge)) for edge, slot in with_slots]
        shifted = places.reshape(routes.shape) - np.count_nonzero(~there)
        return EpisodesState(told, shifted.astype("<i4").tobytes(), numbers.astype("<i8").tobytes())

    @classmethod
    def from_state(cls, state: EpisodesState, index: CycleIndex, block_hash: BlockHash) -> Self:
        """As after the block. Raises ValueError where the index does not have such cycles."""
        found = [index.edges.between(*edge) for edge in state.edges]
        if None in found:
            raise ValueError("an open cycle passes a pool that is not there")
        renumbered = np.array([*found, -1], dtype=np.int32)  # -1, behind the last, stays
        routes = renumbered[np.frombuffer(state.routes, dtype="<i4").reshape(-1, 4)]
        episodes = cls(index)
        episodes._since.room_for(len(routes))
        restore(episodes._since.places, routes, np.frombuffer(state.since, "<i8").astype(np.int64))
        episodes._journal.append(_Observed(block_hash))
        return episodes

    def remember(self, blocks: int) -> None:
        """Be able to take back so many from now on."""
        self._journal = deque(self._journal, maxlen=blocks + 1)

    def __len__(self) -> int:
        """Of what is open."""
        return len(self._since)

    def opened(self, cycle: Cycle) -> int:
        """The number of the block at whose end it was first seen open. Raises KeyError."""
        number = self._opened(cycle)
        if number is None:
            raise KeyError(cycle.id)
        return number

    def _opened(self, cycle: Cycle) -> int | None:
        route = self._index.route_of(cycle)
        number = ABSENT if route is None else self._since.get(route)
        return None if number == ABSENT else number

    def opened_before(self, cycle: Cycle) -> int | None:
        """The same before what the latest block has changed; None where it was not open."""
        number = self._opened(cycle)
        route = self._index.route_of(cycle)
        for change in reversed(self._journal[-1].changes if self._journal else ()):
            if (change.began == route).all(axis=1).any():
                number = None
            for at in np.flatnonzero((change.ended == route).all(axis=1)).tolist():
                number = int(change.ended_since[at])
        return number

    @property
    def began(self) -> Routes:
        """What has begun in the latest block."""
        changes = self._journal[-1].changes if self._journal else []
        none = np.zeros((0, 4), dtype=np.int32)
        return np.concatenate([none, *(change.began for change in changes)])

    def by_id(self) -> dict[CycleId, int]:
        """All of them, made for whoever looks."""
        return {cycle.id: number for cycle, number in self.items()}

    def items(self) -> list[tuple[Cycle, int]]:
        """In no order."""
        routes, numbers = self._since.items()
        cycles = [self._index.cycle(tuple([e for e in row if e >= 0])) for row in routes.tolist()]
        return list(zip(cycles, numbers.tolist(), strict=True))

    def observe(self, block: Block, table: OpenCycles, changes: Changes) -> None:
        """Take what an update of the table has brought at the end of a block.

        The same block again: other pools are there at its end than were first seen.
        """
        if self._undone:
            undone = np.concatenate(self._undone)
            self._undone.clear()
            is_open = table.rows_of(undone) != ABSENT
            changes = changes._replace(
                opened=np.concatenate([changes.opened, undone[is_open]]),
                closed=np.concatenate([changes.closed, undone[~is_open]]),
            )
        if not self._journal or self._journal[-1].block_hash != block.hash:
            self._journal.append(_Observed(block.hash))
        self._since.room_for(len(changes.opened))
        began, ended = np.empty_like(changes.opened), np.empty_like(changes.closed)
        since: Ints = np.empty(len(ended), dtype=np.int64)
        begun = begin(self._since.places, changes.opened, block.number, began)
        number = end(self._since.places, changes.closed, ended, since)
        if begun or number:
            change = _Change(began[:begun].copy(), ended[:number].copy(), since[:number].copy())
            self._journal[-1].changes.append(change)
        if len(changes.gone):
            self._forget(changes.gone)

    def _forget(self, gone: Ints) -> None:
        """These edges mean other pools from now on. What passed them does not come back."""
        for observed in self._journal:
            for change in observed.changes:
                ended = ~np.isin(change.ended, gone).any(axis=1)
                change.began = change.began[~np.isin(change.began, gone).any(axis=1)]
                change.ended, change.ended_since = change.ended[ended], change.ended_since[ended]

    def go_on_from(self, before: Episodes) -> None:
        """What is open here and was there, has been open as long: the index is another one."""
        for cycle, number in before.items():
            route = self._index.route_of(cycle)
            if route is not None and self._since.get(route) != ABSENT:
                restore(self._since.places, route.reshape(1, 4), np.array([number]))

    def rewind(self, block_hash: BlockHash) -> None:
        while self._journal and self._journal[-1].block_hash != block_hash:
            for change in reversed(self._journal.pop().changes):
                self._since.room_for(len(change.ended))
                discard(self._since.places, change.began)
                self._undone += [change.began, change.ended]
                restore(self._since.places, change.ended, change.ended_since)


@kernel
def begin(since: Places, routes: Routes, number: int, began: Routes) -> int:
    """Let those that are not there begin now; gives them and returns how many."""
    begun = 0
    for row in range(len(routes)):
        place = place_of(since, routes, row)
        if since.value[place] < 0:
            put(since, routes, row, place, number)
            for hop in range(4):
                began[begun, hop] = routes[row, hop]
            begun += 1
    return begun


@kernel
def end(since: Places, routes: Routes, ended: Routes, ended_since: Ints) -> int:
    """Take out those that are there; gives them, with what stood there, and returns how many."""
    number = 0
    for row in range(len(routes)):
        place = place_of(since, routes, row)
        if since.value[place] >= 0:
            for hop in range(4):
                ended[number, hop] = routes[row, hop]
            ended_since[number] = since.value[place]
            number += 1
            take_out(since, place)
    return number


@kernel
def discard(since: Places, routes: Routes) -> None:
    for row in range(len(routes)):
        place = place_of(since, routes, row)
        if since.value[place] >= 0:
            take_out(since, place)


@kernel
def restore(since: Places, routes: Routes, numbers: Ints) -> None:
    for row in range(len(routes)):
        put(since, routes, row, place_of(since, routes, row), numbers[row])


def warm_up(index: CycleIndex) -> None:
    """Compile the kernels."""
    episodes = Episodes(index)
    none, no_numbers = np.zeros((0, 4), dtype=np.int32), np.zeros(0, dtype=np.int64)
    begin(episodes._since.places, none, 0, none)
    end(episodes._since.places, none, none, no_numbers)
    discard(episodes._since.places, none)
    restore(episodes._since.places, none, no_numbers)
