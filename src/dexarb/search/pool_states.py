"""The exact states of pools in arrays, by the search's slots, as compiled swaps read them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from dexarb.amm.limb_route import NO_KIND, STATE_LIMBS, States, state_of
from dexarb.core.pool import Pool, PoolKey
from dexarb.search.edges import EdgeTable
from dexarb.search.packed import Ints, Rows, longer


class PoolStates:
    """Mutable. A pool is read when it is asked for, so that the many that nobody needs cost
    nothing; its ticks only where they are others than before."""

    def __init__(self, edges: EdgeTable) -> None:
        self._edges = edges
        self._pools: dict[int, Pool] = {}
        self._numbers = np.zeros((16, STATE_LIMBS), dtype=np.uint64)
        self._places: Ints = np.full((16, 4), NO_KIND, dtype=np.int64)
        self._ticks = Rows(3, np.uint64)
        self._read_ticks: dict[int, object] = {}

    def of(self, slots: Iterable[int], pools: Mapping[PoolKey, Pool]) -> States:
        """With the pools in these slots as they are now."""
        keys = self._edges.keys
        self._numbers = longer(self._numbers, len(keys))
        self._places = longer(self._places, len(keys))
        self._ticks.extend_to(len(keys))
        for slot in slots:
            pool = pools[keys[slot]]
            if self._pools.get(slot) is not pool:
                self._pools[slot] = pool
                self._read(slot, pool)
        return States(self._numbers, self._places, self._ticks.rows, self._ticks.data)

    def _read(self, slot: int, pool: Pool) -> None:
        state = state_of(pool)
        if state is None:
            self._places[slot] = NO_KIND
            return
        self._numbers[slot], self._places[slot] = state.numbers, state.places
        if state.ticks is not None and self._read_ticks.get(slot) is not state.ticks:
            self._read_ticks[slot] = state.ticks
            self._ticks.replace(slot, state.ticks)
