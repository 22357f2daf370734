"""The pools inside the latest block, transaction by transaction."""

from __future__ import annotations

from collections.abc import Iterator

from dexarb.core.block import Block
from dexarb.core.market import Market
from dexarb.core.pool import Pool, PoolKey


class InsideBlock:
    """Mutable: the pools of a market as a transaction at some place in its latest block finds them,
    at the top to begin with.

    It can be searched as a market can. The market itself stays at the end of the block, and is not
    to be moved on meanwhile.
    """

    def __init__(self, market: Market) -> None:
        self.block: Block = market.block
        self.timed = market.timed
        self.inexact = market.inexact
        self.next_gas_schedule = market.profile.gas_schedule(market.block.number)
        """That of the block."""
        self.next_surcharges = market.profile.surcharges_at(market.block.number)
        self._moves = market.moves()
        moved = {key for pools in self._moves.values() for key in pools}
        at_top = {key: market.pool_at(key, 0) for key in {*moved, *market.timed}}
        self._top = at_top
        self.ahead: dict[PoolKey, Pool] = {**market.pools, **at_top}
        """As our transaction would find them here."""

    def back(self) -> frozenset[PoolKey]:
        """To the top of the block again; returns the pools that have changed on the way."""
        self.ahead |= self._top
        return frozenset(self._top)

    def transactions(self) -> Iterator[tuple[int, frozenset[PoolKey]]]:
        """From the top on: moves behind each transaction that changed pools, and gives its index
        and these pools."""
        for index, pools in self._moves.items():
            self.ahead |= pools
            yield index, frozenset(pools)
