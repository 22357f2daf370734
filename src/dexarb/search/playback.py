"""A scanner that finds nothing itself: it plays back what another has found in the same updates.

So a market is searched once for any number of strategies, in as many processes as there are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from functools import lru_cache, partial

import numpy as np

from dexarb.core.block import Block
from dexarb.core.pool import PoolKey
from dexarb.core.token import Address
from dexarb.core.trade import Curve
from dexarb.search.cycles import CycleIndex
from dexarb.search.exact import Exact
from dexarb.search.found import Found
from dexarb.search.open_cycles import OpenCycles
from dexarb.search.packed import Ints
from dexarb.search.result import Searched
from dexarb.search.scan import Offers, Scan, replace_rows


class PlayedScanner:
    """Mutable. Gives scans that equal those of the scanner that was listened to: the same rows of
    the same table, the same opportunities.

    found: what that one was told, from its making on; each update takes the next. market, max_hops:
    as it was made with. The pools of the market are asked for what they are, never for a rate.
    """

    def __init__(
        self,
        market: Searched,
        found: Iterator[Found],
        *,
        start_tokens: Sequence[Address],
        max_hops: int,
    ) -> None:
        self._found = found
        self._index = CycleIndex(start_tokens, max_hops)
        self._table = OpenCycles(self._index)
        self._exact: dict[int, Exact] = {}
        self.scan = self.update(market, ())

    def widen(self, max_hops: int) -> bool:
        """As Scanner.widen."""
        if max_hops <= self._index.max_hops:
            return False
        self._index.widen(max_hops)
        return True

    def update(self, market: Searched, touched: Collection[PoolKey]) -> Scan:  # noqa: ARG002
        """As Scanner.update. Raises StopIteration where nothing more was found."""
        found, index, table = next(self._found), self._index, self._table
        for key in found.joined:
            index.add(market.ahead[key])
        for start, floor, woken in found.floors:
            sizes = woken.sizes()
            table.set_floor(start, floor, lambda _, sizes=sizes: sizes)  # type: ignore[misc]
        edges = found.routes.astype(np.int64)
        cycles = found.cycles.sizes()
        changes = replace_rows(index, table, found.gone, found.slots, edges, found.rates, cycles)
        for row, amount_in, amount_out, gas_units in found.polished:
            curve = table.curve(row) if amount_out else Curve(())
            self._exact[row] = Exact(table.cycle(row), amount_in, amount_out, gas_units, curve)
        offers = lru_cache(1)(partial(self._offers, market.block, found.offered))
        self.scan = Scan(market.block, offers, table, changes)
        return self.scan

    def _offers(self, block: Block, rows: Ints) -> Offers:
        rates = self._table.rows.rate[rows].tolist()
        opportunities = [
            self._exact[row].opportunity(rate, block)
            for row, rate in zip(rows.tolist(), rates, strict=True)
        ]
        return Offers(tuple(opportunities), rows)
