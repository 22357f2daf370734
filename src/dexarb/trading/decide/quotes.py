"""Exact quotes of cycles at one size, known as long as their pools stay as they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from dexarb.core.pool import Pool, PoolKey
from dexarb.core.route import Cycle, CycleId, run, surcharge_of
from dexarb.core.token import Address
from dexarb.errors import PoolError
from dexarb.search.exact import run_all, work_of
from dexarb.search.open_cycles import OpenCycles
from dexarb.search.pool_states import PoolStates
from dexarb.search.result import HopWork, hop_work
from dexarb.trading.models.gas import GasModel

QUOTES_KEPT = 10_000
"""Of a cycle whose pools do not change: its sizes move with the prices, block after block."""


class Quote(NamedTuple):
    """A cycle at one size: exact amounts, and the gas of the fill."""

    amount_in: int
    amount_out: int
    gas_units: int


Quoted = tuple[Quote, Quote]
"""Paid by own capital, and by a flash swap."""


class _Known(NamedTuple):
    """Of a cycle, while these are its pools. gas: units of own capital and a flash swap, by what
    hops do, which hardly depends on the amount."""

    pools: tuple[Pool, ...]
    by_size: dict[int, Quoted]
    gas: dict[bytes, tuple[int, int]]


class Quotes:
    """Mutable: `open` a block, then ask."""

    def __init__(self) -> None:
        self._gas: GasModel
        self._surcharges: Mapping[Address, int]
        self._pools: Mapping[PoolKey, Pool]
        self._known: dict[CycleId, _Known] = {}
        self._table: OpenCycles | None = None
        self._states: PoolStates

    def clear(self) -> None:
        """Gas is another."""
        self._known.clear()

    def open(
        self,
        cycles: Iterable[Cycle],
        pools: Mapping[PoolKey, Pool],
        gas: GasModel,
        surcharges: Mapping[Address, int],
    ) -> None:
        """For these cycles. pools: as a trade would find them."""
        self._pools, self._gas, self._surcharges = pools, gas, surcharges
        before, self._known = self._known, {}
        for cycle in cycles:
            known, here = before.get(cycle.id), tuple(pools[pool] for pool in cycle.pools)
            if (
                known is None
                or any(a is not b for a, b in zip(known.pools, here, strict=True))
                or len(known.by_size) > QUOTES_KEPT
            ):
                known = _Known(here, {}, {})
            self._known[cycle.id] = known

    def of(self, cycle: Cycle, amount_in: int) -> Quoted:
        """What the pools would refuse gives nothing."""
        pools, by_size, _ = self._known[cycle.id]
        quotes = by_size.get(amount_in)
        if quotes is None:
            try:
                results = run(cycle, amount_in, self._pools.__getitem__)
            except PoolError:
                amount_out, work = 0, tuple(HopWork(pool.gas, 0) for pool in pools)
            else:
                amount_out, work = results[-1].amount_out, hop_work(pools, results)
            units = self._units(cycle, work)
            quotes = by_size[amount_in] = _quoted(amount_in, amount_out, *units)
        return quotes

    def look_at(self, table: OpenCycles, wanted: Iterable[tuple[int, Cycle, int]]) -> None:
        """Know these, in one compiled call as far as that can tell: rows of the table, which are
        such cycles, and amounts."""
        anew = {
            (row, amount): cycle
            for row, cycle, amount in wanted
            if amount not in self._known[cycle.id].by_size
        }
        if not anew:
            return
        if table is not self._table:
            self._table, self._states = table, PoolStates(table.index.edges)
        made = run_all(table, self._states, list(anew), self._pools)
        for ((_, amount_in), cycle), found in zip(anew.items(), made, strict=True):
            if found is not None:
                amount_out, done = found
                pools, by_size, gas = self._known[cycle.id]
                if done not in gas:
                    gas[done] = self._units(cycle, work_of((pool.gas for pool in pools), done))
                by_size[amount_in] = _quoted(amount_in, amount_out, *gas[done])

    def _units(self, cycle: Cycle, work: Sequence[HopWork]) -> tuple[int, int]:
        own = self._gas.units(work) + surcharge_of(cycle.tokens, self._surcharges)
        return own, own + self._gas.flash_more(work)


def _quoted(amount_in: int, amount_out: int, own: int, flash: int) -> Quoted:
    return Quote(amount_in, amount_out, own), Quote(amount_in, amount_out, flash)
