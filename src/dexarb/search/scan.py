"""From touched pools to opportunities: the search as the engine uses it."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np

from dexarb.compiled import require_writable_cache
from dexarb.core.block import Block
from dexarb.core.pool import Pool, PoolKey
from dexarb.core.route import CycleId
from dexarb.core.token import Address
from dexarb.core.trade import Opportunity
from dexarb.search.cycles import CycleIndex
from dexarb.search.exact import ExactRows, worth_looking_for
from dexarb.search.found import Floor, Found, Polished, Sized
from dexarb.search.open_cycles import Changes, OpenCycles, warm_up_table
from dexarb.search.packed import Floats, Ints
from dexarb.search.polish_rows import warm_up_polish
from dexarb.search.probe import raise_all_bounds
from dexarb.search.rates import RateMirror
from dexarb.search.result import (
    Dust,
    GasUnits,
    MinGross,
    OpenCycle,
    Searched,
    any_gain,
    no_dust,
)
from dexarb.search.sizing import Sizes, room_for, size_cycles

FLOAT_MARGIN = 1.0 + 1e-6
"""The triage drops by the float profit only what misses the minimum by more than this."""

MODEST, ROOMY = 1.0 / 8.0, 64.0
"""A floor is set to this share of what it has to stay below, and anew when it is above that, or
below by this much: gas and prices move all the time, and each new floor looks at all rows."""


class Offers(NamedTuple):
    """What passes the triage, exact and sized, by ascending cycle id, and its rows of the table."""

    opportunities: tuple[Opportunity, ...]
    rows: Ints


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """What is open at the end of `block`.

    offers: found when they are first asked for, which has to be before the next update, and while
    the market is the one that was searched: integers are what a search costs most, and many never
    ask. table: the open cycles, and changes what is new there; these two go on with the next
    update.
    """

    block: Block
    offers: Callable[[], Offers]
    table: OpenCycles
    changes: Changes

    @property
    def opportunities(self) -> tuple[Opportunity, ...]:
        return self.offers().opportunities

    @property
    def offered(self) -> Ints:
        """The rows of the opportunities, in that order."""
        return self.offers().rows

    @property
    def open_cycles(self) -> dict[CycleId, OpenCycle]:
        """All that are open, by ascending id, made for whoever looks."""
        rates = self.table.rows.rate
        return {c.id: OpenCycle(c, float(rates[row])) for row, c in self.table.cycles()}


class Scanner:
    """Keeps the open cycles of a market. What it returns does not depend on the way it got there:
    after any updates and rewinds it equals a new scanner's.

    start_tokens: amounts are in the first of them that a cycle passes; others are not searched.
    max_hops: 2 to 4. gas_units: the gas of a trade by what its hops do, under the gas schedule of
    the block ahead. Excluded pools and tokens are never looked at: fee-on-transfer and rebasing
    tokens break every formula. min_gross is asked anew in every update, so it can follow prices and
    configurations; so is dust, which says what nobody ever looks at one by one, however modest:
    that stays open and is counted, no more. Sizes are exact to a small share of it. told: is shown
    all that each update has found.
    """

    def __init__(
        self,
        market: Searched,
        *,
        start_tokens: Sequence[Address],
        gas_units: GasUnits,
        max_hops: int = 3,
        exclude_pools: Iterable[PoolKey] = (),
        exclude_tokens: Iterable[Address] = (),
        min_gross: MinGross = any_gain,
        dust: Dust = no_dust,
        told: Callable[[Found], None] | None = None,
    ) -> None:
        self._told = told
        self._found: Found | None = None
        self._min_gross = min_gross
        self._dust = dust
        self._excluded = frozenset(exclude_pools)
        self._excluded_tokens = frozenset(exclude_tokens)
        self._index = CycleIndex(start_tokens, max_hops)
        self._mirror = RateMirror(self._index.edges)
        self._table = OpenCycles(self._index)
        self._exact = ExactRows(self._table, gas_units, None if told is None else self._tell)
        self._worth: Floats = np.zeros(len(start_tokens))
        self._least = [1] * len(start_tokens)
        self._sizes = room_for(64, 256)
        self._is_wider = False
        self._turn = 0
        """Of updates."""
        self.scan = self.update(market, market.ahead)

    def widen(self, max_hops: int) -> bool:
        """Find cycles of so many hops as well from the next update on; whether that is new."""
        if max_hops <= self._index.max_hops:
            return False
        self._index.widen(max_hops)
        self._is_wider = True
        return True

    def update(self, market: Searched, touched: Collection[PoolKey]) -> Scan:
        """The scan of the market as it is now, or of a place inside its latest block.

        touched: what `Market.apply` or `Market.rewind` returned, and pools that came to the market
        or went; inside a block, what has changed since the place before. Pools whose fees move with
        time are read anew in any case.
        """
        found = self._found = None if self._told is None else Found()
        slots, gone = self._read(market, touched)
        if self._is_wider:
            slots, self._is_wider = list(self._index.edges.slots.values()), False
        minima = self._minima()
        edges, rates = self._index.find_open(slots)
        sizes, searched = self._size(edges), np.array(slots, dtype=np.int64)
        if found is not None:
            found.gone, found.slots = gone, searched
            found.routes, found.rates = edges.astype(np.int32), rates.copy()
            drawn = sizes.profit[: len(edges)] >= self._table.floors[self._index.starts_of(edges)]
            found.cycles = Sized.of(sizes, len(edges), drawn)
        changes = replace_rows(self._index, self._table, gone, searched, edges, rates, sizes)
        self._turn += 1
        offers = lru_cache(1)(partial(self._offers, market, minima, self._turn))
        self.scan = Scan(market.block, offers, self._table, changes)
        if found is not None and self._told is not None:
            found.offered = offers().rows
            self._told(found)
        return self.scan

    def _read(
        self, market: Searched, touched: Collection[PoolKey]
    ) -> tuple[list[int], list[PoolKey]]:
        """Mirror what changed; returns the slots to be searched and the pools that are gone."""
        changed: dict[int, Pool | None] = {}
        gone: list[PoolKey] = []
        ahead = market.ahead
        for key in {**dict.fromkeys(touched), **dict.fromkeys(market.timed)}:
            pool = ahead.get(key)
            slot = self._index.edges.slots.get(key)
            if slot is None:
                if pool is None or not self._admits(pool):
                    continue
                slot = self._index.add(pool)
                self._mirror.add(slot)
                if self._found is not None:
                    self._found.joined.append(key)
            elif pool is None:
                gone.append(key)
            elif self._mirror.pools[slot] is pool:
                continue
            changed[slot] = pool
        if changed:
            self._index.reprice(*self._mirror.read(changed))
        return list(changed), gone

    def _admits(self, pool: Pool) -> bool:
        return pool.key not in self._excluded and self._excluded_tokens.isdisjoint(pool.tokens)

    def _minima(self) -> Floats:
        """What has to be sized exactly, by start token; the floors follow it and the dust."""
        minima = np.empty(len(self._index.start_tokens))
        for start, token in enumerate(self._index.start_tokens):
            self._least[start] = max(1, self._min_gross(token))
            minima[start] = self._least[start] / FLOAT_MARGIN
            dust = self._dust(token)
            self._worth[start] = worth_looking_for(dust)
            limit = min(minima[start], dust)
            if not limit / ROOMY <= self._table.floors[start] <= limit:
                self._set_floor(start, limit * MODEST)
        return minima

    def _set_floor(self, start: int, floor: float) -> None:
        found = self._found

        def size(cycles: Ints) -> Sizes:
            sizes = self._size(cycles)
            if found is not None:
                found.floors.append(Floor(start, floor, Sized.of(sizes, len(cycles))))
            return sizes

        self._table.set_floor(start, floor, size)

    def _size(self, cycles: Ints) -> Sizes:
        """Best real sizes, reading on in pools wherever the known segments do not reach."""
        while True:
            if len(cycles) > len(self._sizes.profit):
                self._sizes = room_for(2 * len(cycles), len(self._sizes.pieces))
            size_cycles(self._mirror.segments, cycles, self._sizes)
            missing = self._sizes.missing[: len(cycles)]
            missing = np.unique(missing[missing >= 0])
            for edge in missing.tolist():
                self._mirror.read_on(edge)
            used = int(self._sizes.used[0])
            if used > len(self._sizes.pieces):
                self._sizes = room_for(len(self._sizes.profit), 2 * used)
            elif not len(missing):
                return self._sizes

    def _offers(self, market: Searched, minima: Floats, turn: int) -> Offers:
        """What earns enough with integers as well."""
        if turn != self._turn:
            raise LookupError("the search has gone on: what it offered is not known any more")
        rows = self._table.earning(minima)
        starts = self._table.rows.start[rows]
        found = self._exact.of(rows, self._worth[starts], market)
        columns = (each.tolist() for each in (rows, starts, self._table.rows.rate[rows]))
        offers, block = [], market.block
        for row, start, rate, exact in zip(*columns, found, strict=True):
            if exact.profit >= self._least[start]:
                offers.append((exact.opportunity(rate, block), row))
        offers.sort(key=lambda offer: offer[0].cycle.id)
        return Offers(
            tuple([opportunity for opportunity, _ in offers]),
            np.array([row for _, row in offers], dtype=np.int64),
        )

    def _tell(self, polished: Polished) -> None:
        if self._found is not None:
            self._found.polished.append(polished)


def replace_rows(
    index: CycleIndex,
    table: OpenCycles,
    gone: Iterable[PoolKey],
    slots: Ints,
    edges: Ints,
    rates: Floats,
    sizes: Sizes,
) -> Changes:
    """The table after an update: see `OpenCycles.update`. gone: pools that leave with it."""
    leaving = [edge for key in gone for edge in index.edges.of_pool(key)]
    changes = table.update(slots, edges, rates, sizes, np.array(leaving, dtype=np.int64))
    for key in gone:
        index.remove(key)
    return changes


def warm_up() -> None:
    """Compile all kernels, or load them from the cache: a twentieth of a second if they are there.

    Call it before the first block is wanted. Raises StoreError where NUMBA_CACHE_DIR is set but
    cannot be written.
    """
    require_writable_cache()
    index = CycleIndex((Address(""),), 4)
    mirror = RateMirror(index.edges)
    index.reprice(*mirror.read({}))
    raise_all_bounds(index.graph, 0)
    edges, rates = index.find_open(())
    sizes = room_for(1, 1)
    size_cycles(mirror.segments, edges, sizes)
    warm_up_table(index, edges, rates, sizes)
    warm_up_polish()
