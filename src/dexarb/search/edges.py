"""Edges: every pool from each of its tokens to each other one, numbered."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import numpy as np

from dexarb.core.pool import Pool, PoolKey, SwapGas, ways
from dexarb.core.token import Address
from dexarb.search.merge import KINDS, Small
from dexarb.search.packed import Ints, grown, longer

Each = TypeVar("Each")


class EdgeTable:
    """Mutable. A pool has a slot, and its edges follow each other in the order of its `ways`.

    keys: by slot. A slot is used again, after its pool is gone, for one with as many ways. kinds,
    dexes: those of all pools so far, and kind_of, dex_of by slot which of these.
    """

    def __init__(self) -> None:
        self.slots: dict[PoolKey, int] = {}
        self.keys: list[PoolKey] = []
        self._edges: list[tuple[int, Address, Address]] = []
        """By edge: its slot, the token sold and the token bought."""
        self._ranges: list[range] = []
        """By slot, as `rows` for the kernels."""
        self._free: dict[int, list[int]] = {}
        self.rows: Ints = np.zeros((16, 2), dtype=np.int64)
        """By slot: its first edge and how many it has."""
        self.slot_of: Ints = np.zeros(16, dtype=np.int64)
        """By edge, for the kernels."""
        self.kinds: list[SwapGas] = []
        self.dexes: list[str] = []
        self.kind_of: Small = np.zeros(16, dtype=np.int32)
        self.dex_of: Small = np.zeros(16, dtype=np.int32)

    @property
    def number(self) -> int:
        """Of edges."""
        return len(self._edges)

    def add(self, pool: Pool) -> int:
        """Give the pool a slot."""
        there = ways(pool.tokens)
        free = self._free.get(len(there))
        if free:
            slot = free.pop()
            self.keys[slot] = pool.key
        else:
            slot = len(self.keys)
            self.keys.append(pool.key)
            self.rows = longer(self.rows, slot + 1)
            self.rows[slot] = self.number, len(there)
            self._ranges.append(range(self.number, self.number + len(there)))
            self.slot_of = grown(self.slot_of, self.number + len(there))
            self.slot_of[self.number : self.number + len(there)] = slot
            self.kind_of = grown(self.kind_of, slot + 1)
            self.dex_of = grown(self.dex_of, slot + 1)
        self.kind_of[slot] = _number_of(pool.gas, self.kinds)
        self.dex_of[slot] = _number_of(pool.dex, self.dexes)
        if len(self.kinds) > KINDS:
            raise ValueError(f"pools of more than {KINDS} kinds are not searched together")
        first = self._ranges[slot].start
        self._edges[first : first + len(there)] = [(slot, *way) for way in there]
        self.slots[pool.key] = slot
        return slot

    def remove(self, key: PoolKey) -> int:
        """Returns the slot that it had."""
        slot = self.slots.pop(key)
        self._free.setdefault(len(self.of(slot)), []).append(slot)
        return slot

    def of(self, slot: int) -> range:
        """The edges of a pool."""
        return self._ranges[slot]

    def of_pool(self, key: PoolKey) -> range:
        return self.of(self.slots[key])

    def slots_of(self, route: Iterable[int]) -> list[int]:
        """The pools of these edges."""
        return [self._edges[edge][0] for edge in route]

    def with_slots(self, edges: Iterable[int]) -> list[tuple[int, int]]:
        """Each with its slot."""
        return [(edge, self._edges[edge][0]) for edge in edges]

    def between(self, key: PoolKey, token_in: Address, token_out: Address) -> int | None:
        """The edge of a pool from one of its tokens to another, if it is known."""
        slot = self.slots.get(key)
        edges = () if slot is None else self.of(slot)
        return next((e for e in edges if self.way(e) == (token_in, token_out)), None)

    def way(self, edge: int) -> tuple[Address, Address]:
        """The token sold and the token bought."""
        return self._edges[edge][1:]


def _number_of(each: Each, known: list[Each]) -> int:
    """Its place in the list, at the end if it is new."""
    if each not in known:
        known.append(each)
    return known.index(each)
