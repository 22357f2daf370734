"""Pools that a strategy may not use again yet, because it has taken a cycle through them.

A taken cycle holds its pools until its decision is settled and the cycle has then been closed at
the end of the inclusion block or of a later one. See docs/honest-fills.md, A spread is taken once.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from typing import NamedTuple, Self

import msgspec
import numpy as np
import numpy.typing as npt

from dexarb.core.pool import PoolKey
from dexarb.core.route import Cycle, CycleId
from dexarb.core.saved import NounReader, NounWriter
from dexarb.core.trade import Decision, DecisionId


class Hold(NamedTuple):
    """What one decision keeps busy for the strategy in `row`."""

    decision: DecisionId
    row: int
    cycle: Cycle


SavedHold = tuple[DecisionId, int, int]
"""A hold with the number of its cycle."""


class BusyState(msgspec.Struct):
    """What waits for its fill, and what waits for its cycle to close, each in order."""

    unsettled: list[SavedHold]
    unclosed: list[SavedHold]


class BusyPools:
    """Mutable. A hold is waiting for its fill, then waiting for its cycle to close, then gone.

    Every step has its inverse, so that the ledger can take blocks back.
    """

    def __init__(self) -> None:
        self._unsettled: dict[DecisionId, Hold] = {}
        self._unclosed: dict[CycleId, dict[DecisionId, Hold]] = {}
        self._counts: dict[PoolKey, npt.NDArray[np.int32]] = {}
        """Holds by pool and row; a row behind the end has none."""

    def state(self, nouns: NounWriter) -> BusyState:
        def saved(hold: Hold) -> SavedHold:
            return hold.decision, hold.row, nouns.cycle(hold.cycle)

        unclosed = [hold for holds in self._unclosed.values() for hold in holds.values()]
        return BusyState(list(map(saved, self._unsettled.values())), list(map(saved, unclosed)))

    @classmethod
    def from_state(cls, state: BusyState, nouns: NounReader) -> Self:
        """As `state` was taken of it."""
        busy = cls()
        waiting = [Hold(name, row, nouns.cycle(c)) for name, row, c in state.unsettled]
        settled = [Hold(name, row, nouns.cycle(c)) for name, row, c in state.unclosed]
        busy._unsettled = {hold.decision: hold for hold in waiting}
        for hold in settled:
            busy._unclosed.setdefault(hold.cycle.id, {})[hold.decision] = hold
        busy._count([*waiting, *settled], +1)
        return busy

    def take(self, decisions: Sequence[Decision], rows: Sequence[int]) -> None:
        """Decisions of the strategies in these rows have been sent."""
        holds = [
            Hold(decision.id, row, decision.cycle)
            for decision, row in zip(decisions, rows, strict=True)
        ]
        for hold in holds:
            self._unsettled[hold.decision] = hold
        self._count(holds, +1)

    def settle(self, decision: DecisionId) -> None:
        """The decision has its outcome: from now on a closed cycle frees the pools."""
        hold = self._unsettled.pop(decision)
        self._unclosed.setdefault(hold.cycle.id, {})[decision] = hold

    def unsettle(self, decision: DecisionId, cycle: CycleId) -> None:
        """Undo `settle`."""
        self._unsettled[decision] = self._unclosed[cycle].pop(decision)

    def release(self, open_cycles: Container[Cycle]) -> list[Hold]:
        """At a block's end: let go what is settled and closed now. Returns it, for `reclaim`."""
        released: list[Hold] = []
        for cycle, holds in list(self._unclosed.items()):
            hold = next(iter(holds.values()), None)
            if hold is None or hold.cycle not in open_cycles:
                released += self._unclosed.pop(cycle).values()
        self._count(released, -1)
        return released

    def reclaim(self, released: Sequence[Hold]) -> None:
        """Undo `release`."""
        for hold in released:
            self._unclosed.setdefault(hold.cycle.id, {})[hold.decision] = hold
        self._count(released, +1)

    def _count(self, holds: Sequence[Hold], change: int) -> None:
        by_cycle: dict[CycleId, tuple[Cycle, list[int]]] = {}
        for _, row, cycle in holds:
            by_cycle.setdefault(cycle.id, (cycle, []))[1].append(row)
        for cycle, rows in by_cycle.values():
            places = np.array(rows, dtype=np.intp)
            for pool in cycle.pools:
                np.add.at(self._counts_of(pool, max(rows)), places, change)

    def _counts_of(self, pool: PoolKey, row: int) -> npt.NDArray[np.int32]:
        """With room for this row."""
        counts = self._counts.get(pool)
        if counts is None or row >= len(counts):
            known = 0 if counts is None else len(counts)
            grown = np.zeros(max(2 * known, row + 1), dtype=np.int32)
            if counts is not None:
                grown[:known] = counts
            counts = self._counts[pool] = grown
        return counts

    def mask(self, pools: Iterable[PoolKey], rows: int) -> npt.NDArray[np.bool_]:
        """Which of the first so many rows may not use one of these pools now."""
        busy = np.zeros(rows, dtype=np.bool_)
        for pool in pools:
            counts = self._counts.get(pool)
            if counts is not None:
                some = counts[:rows]
                busy[: len(some)] |= some != 0
        return busy
