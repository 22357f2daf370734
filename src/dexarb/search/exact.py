"""Rows of the table with integers: polished once for all that a pool has moved, and remembered."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from math import floor, inf, log2
from typing import NamedTuple

import numpy as np

from dexarb.amm.limb_route import REFUSED, TAKEN, UNKNOWN
from dexarb.core.block import Block
from dexarb.core.pool import Pool, PoolKey, SwapGas
from dexarb.core.route import Cycle, surcharge_of
from dexarb.core.trade import Curve, Opportunity
from dexarb.search.cycles import REMEMBERED
from dexarb.search.found import Polished
from dexarb.search.merge import NONE
from dexarb.search.open_cycles import OpenCycles
from dexarb.search.packed import Floats, Ints
from dexarb.search.polish import polish, polish_inexact
from dexarb.search.polish_rows import Made, Route, polish_rows, room_for_rows, run_rows
from dexarb.search.pool_states import PoolStates
from dexarb.search.result import GasUnits, HopWork, Searched, hop_work

FINE_SHARE = 2**-8
"""Of the dust: to lose less than that is not worth trying other integers."""

FITS, LOWER = 2**127, 2**64 - 1
"""Amounts are less, and their lower limb."""


class Exact(NamedTuple):
    """What a row is with integers. amount_out: 0 where it earns nothing."""

    cycle: Cycle
    amount_in: int
    amount_out: int
    gas_units: int
    curve: Curve

    @property
    def profit(self) -> int:
        return self.amount_out - self.amount_in

    def opportunity(self, rate: float, block: Block) -> Opportunity:
        """rate: of the row."""
        return Opportunity(
            block=block,
            cycle=self.cycle,
            amount_in=self.amount_in,
            amount_out=self.amount_out,
            rate=rate,
            gas_units=self.gas_units,
            curve=self.curve,
        )


class ExactRows:
    """Mutable. gas_units: see Scanner. told: is shown what is polished anew."""

    def __init__(
        self, table: OpenCycles, gas_units: GasUnits, told: Callable[[Polished], None] | None
    ) -> None:
        self._table = table
        self._states = PoolStates(table.index.edges)
        self._gas_units = gas_units
        self._told = told
        self._known: dict[int, tuple[int, float, Exact]] = {}
        """By row what holds as long as its version is this one, and what is worth looking for."""
        self._prices: object = None
        self._gas_of = lru_cache(maxsize=REMEMBERED)(self._gas_of_work)
        """At these prices: most trades do one of a few things."""

    def of(self, rows: Ints, worth: Floats, market: Searched) -> list[Exact]:
        """In the order of the rows. worth: of each, see `polish`."""
        prices = market.next_gas_schedule, market.next_surcharges
        if prices != self._prices:
            # What a trade uses is other gas now, though no pool has moved.
            self._known, self._prices = {}, prices
            self._gas_of.cache_clear()
        before, kept, anew = self._known, {}, []
        columns = rows, self._table.rows.version[rows], worth
        for row, version, least in zip(*(each.tolist() for each in columns), strict=True):
            known = before.get(row)
            if known is not None and known[0] == version and known[1] == least:
                kept[row] = known
            else:
                anew.append((row, version, least))
        for (row, version, least), exact in zip(anew, self._polished(anew, market), strict=True):
            kept[row] = version, least, exact
        self._known = kept
        return [kept[row][2] for row in rows.tolist()]

    def _polished(self, anew: Sequence[tuple[int, int, float]], market: Searched) -> list[Exact]:
        """anew: rows with their versions and what is worth looking for."""
        if not anew:
            return []
        rows = np.array([row for row, _, _ in anew], dtype=np.int64)
        worth = np.array([least for _, _, least in anew])
        made = self._made(rows, worth, market)
        surcharges = market.next_surcharges
        columns = rows, worth, made.state, self._table.rows.mix[rows], *made.ends.T
        every = zip(*(column.tolist() for column in columns), strict=True)
        nouns = self._table.looked_at(rows)
        found = []
        for (row, least, state, mix, *ends), work, (cycle, curve) in zip(
            every, made.work, nouns, strict=True
        ):
            if state == UNKNOWN:
                exact = self._in_python(row, cycle, curve, least, market)
            elif state == REFUSED:
                exact = _nothing(cycle)
            else:
                gas_units = self._gas_of(mix, work.tobytes())
                gas_units += surcharge_of(cycle.tokens, surcharges) if surcharges else 0
                amount_in, amount_out = ends[0] | ends[1] << 64, ends[2] | ends[3] << 64
                exact = Exact(cycle, amount_in, amount_out, gas_units, curve)
            if self._told is not None:
                self._told(Polished(row, exact.amount_in, exact.amount_out, exact.gas_units))
            found.append(exact)
        return found

    def _made(self, rows: Ints, worth: Floats, market: Searched) -> Made:
        table, route = self._table.rows, route_of(self._table, rows)
        states = self._states.of(set(route.slots.ravel().tolist()) - {NONE}, market.ahead)
        made = room_for_rows(len(rows))
        polish_rows(states, route, table.amount_in[rows], table.profit[rows], worth, made)
        return made

    def _in_python(
        self, row: int, cycle: Cycle, curve: Curve, worth: float, market: Searched
    ) -> Exact:
        """What the kernel cannot tell."""
        table, ahead = self._table.rows, market.ahead
        amount_in, profit = float(table.amount_in[row]), float(table.profit[row])
        if market.inexact and not market.inexact.isdisjoint(cycle.pools):
            sized = polish_inexact(cycle, amount_in, ahead)
        else:
            sized = polish(cycle, amount_in, profit, ahead, worth)
        if sized is None:
            return _nothing(cycle)
        work = hop_work([ahead[key] for key in cycle.pools], sized.results)
        gas_units = self._gas_units(work) + surcharge_of(cycle.tokens, market.next_surcharges)
        return Exact(cycle, sized.amount_in, sized.results[-1].amount_out, gas_units, curve)

    def _gas_of_work(self, mix: int, work: bytes) -> int:
        """mix: see `merge.Table`. work: a row of `Made.work`."""
        return self._gas_units(work_of(self._table.mix(mix), work))


def route_of(table: OpenCycles, rows: Ints) -> Route:
    edges, routes = table.index.edges, table.rows.edges[rows].astype(np.int64)
    slots = np.where(routes < 0, NONE, edges.slot_of[routes])
    return Route(slots, routes == edges.rows[slots, 0])


def run_all(
    table: OpenCycles,
    states: PoolStates,
    wanted: Sequence[tuple[int, int]],
    pools: Mapping[PoolKey, Pool],
) -> list[tuple[int, bytes] | None]:
    """What rows of the table give for inputs, more than nothing, with a row of `Made.work`. None:
    `route.run` has to tell."""
    route = route_of(table, np.array([row for row, _ in wanted], dtype=np.int64))
    small = [amount if amount < FITS else 0 for _, amount in wanted]
    amounts = np.array([(amount & LOWER, amount >> 64) for amount in small], dtype=np.uint64)
    made = room_for_rows(len(wanted))
    slots = set(route.slots.ravel().tolist()) - {NONE}
    run_rows(states.of(slots, pools), route, amounts, made)
    ends = zip(made.state.tolist(), made.ends[:, 2:].tolist(), made.work, strict=True)
    return [
        (low | high << 64, work.tobytes()) if state == TAKEN else None
        for state, (low, high), work in ends
    ]


def work_of(kinds: Iterable[SwapGas], done: bytes) -> list[HopWork]:
    """kinds: of the pools. done: a row of `Made.work`."""
    each = np.frombuffer(done, dtype=np.int64).reshape(4, -1).tolist()
    return [
        HopWork(kind, crossed, bool(left), words)
        for kind, (crossed, left, words) in zip(kinds, each, strict=False)
    ]


def _nothing(cycle: Cycle) -> Exact:
    return Exact(cycle, 0, 0, 0, Curve(()))


def worth_looking_for(dust: float) -> float:
    """A power of two, as dust moves with every block and sizes need not."""
    if not 0.0 < dust < inf:
        return 0.0
    return float(2.0 ** floor(log2(FINE_SHARE * dust)))
