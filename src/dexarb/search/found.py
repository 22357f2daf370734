"""What an update of the search has found, whole: enough to have the same again without searching.

See `playback`, which does that.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple, Self

import numpy as np
import numpy.typing as npt

from dexarb.core.pool import PoolKey
from dexarb.search.packed import Floats, Ints
from dexarb.search.route_map import Routes
from dexarb.search.sizing import Sizes, room_for

Mask = npt.NDArray[np.bool_]


class Sized(NamedTuple):
    """Cycles at their best size, in order. number: how many pieces of a curve each has, the first
    of them its own, and so on; see `Sizes`."""

    amount_in: Floats
    profit: Floats
    number: Ints
    pieces: Floats

    @classmethod
    def of(cls, sizes: Sizes, count: int, drawn: Mask | None = None) -> Self:
        """A copy of the first so many. drawn: whose curves are to be kept, without it all."""
        number = sizes.number[:count].copy()
        kept = np.repeat(np.ones(count, dtype=bool) if drawn is None else drawn, number)
        if drawn is not None:
            number[~drawn] = 0
        return cls(
            sizes.amount_in[:count].copy(),
            sizes.profit[:count].copy(),
            number,
            sizes.pieces[: len(kept)][kept],
        )

    def sizes(self) -> Sizes:
        """As the search gives them."""
        made = room_for(0, 0)
        ends = np.cumsum(self.number)
        made.used[0] = len(self.pieces)
        return made._replace(
            amount_in=self.amount_in,
            profit=self.profit,
            first=ends - self.number,
            number=self.number,
            pieces=self.pieces,
        )


def no_cycles() -> Sized:
    return Sized.of(room_for(0, 0), 0)


class Floor(NamedTuple):
    """Of a start token, by its rank, and what woke at it."""

    start: int
    floor: float
    woken: Sized


class Polished(NamedTuple):
    """A row with integers. amount_out: 0 where it earns nothing."""

    row: int
    amount_in: int
    amount_out: int
    gas_units: int


@dataclass(slots=True)
class Found:
    """Mutable while the update goes on. joined, gone: pools, in the order of their slots' use.
    slots: the pools searched. routes, rates, cycles: what is open through them. offered: rows of
    the table, by ascending cycle id."""

    joined: list[PoolKey] = field(default_factory=list)
    gone: list[PoolKey] = field(default_factory=list)
    floors: list[Floor] = field(default_factory=list)
    slots: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    routes: Routes = field(default_factory=lambda: np.zeros((0, 4), dtype=np.int32))
    rates: Floats = field(default_factory=lambda: np.zeros(0))
    cycles: Sized = field(default_factory=no_cycles)
    polished: list[Polished] = field(default_factory=list)
    offered: Ints = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
