"""A market in which somebody takes what opens, as on a chain: what is left pays too little."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from benchmarks.hub_market import HubMarket
from dexarb.core.pool import Pool
from dexarb.core.route import run
from dexarb.search.scan import Scanner
from dexarb.study.searching import MAX_HOPS
from tests.support.worlds.blocks import next_block


class Arbitraged:
    """Mutable: a market of its own, in which arbitrageurs follow every block of trades.

    takes: the profit from which on they trade, in the common measure of value. Where prices lie
    between cycles that pay less, they stay.
    """

    def __init__(self, hubs: HubMarket, takes: float) -> None:
        self._hubs, self._takes = hubs, takes
        self._market = hubs.market()
        self._search = Scanner(
            self._market,
            start_tokens=hubs.start_tokens,
            gas_units=lambda _: 0,
            max_hops=MAX_HOPS,
            min_gross=lambda _: 2**200,  # the best real size is near enough to trade at
            dust=lambda token: takes / hubs.values[token],
        )
        self._units = np.array([hubs.values[token] for token in hubs.start_tokens])

    def blocks(self, touched: int, opened: int) -> Iterator[list[Pool]]:
        """As HubMarket.blocks, and behind each block's trades those of the arbitrageurs."""
        for pools in self._hubs.blocks(touched, opened):
            moved = dict.fromkeys(pool.key for pool in pools)
            self._apply(pools)
            while behind := self._best_trade():
                moved |= dict.fromkeys(pool.key for pool in behind)
                self._apply(behind)
            yield [self._market.pools[key] for key in moved]

    def _apply(self, pools: Sequence[Pool]) -> None:
        self._search.update(self._market, self._market.apply(next_block(self._market, pools)))

    def _best_trade(self) -> list[Pool]:
        """The pools behind it; none where no trade earns enough."""
        table = self._search.scan.table
        awake, rows = table.awake, table.rows
        worth = rows.profit[awake] * self._units[rows.start[awake]]
        if not len(awake) or worth.max() < self._takes:
            return []
        row = int(awake[worth.argmax()])
        results = run(table.cycle(row), int(rows.amount_in[row]), self._market.pools.__getitem__)
        return [result.pool for result in results]
