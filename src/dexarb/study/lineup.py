"""Which strategies a ledger says took part in which entry of the history."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from functools import lru_cache

from dexarb.core.trade import StrategyHash
from dexarb.store.ledger_rows import Epoch, StrategyRow
from dexarb.trading.strategy import StrategySettings


class Lineup:
    """turns: the entries at which others take part than in the one before, ascending. known: all
    that ever did, by hash."""

    def __init__(self, strategies: Sequence[StrategyRow], epochs: Sequence[Epoch]) -> None:
        self._epochs = epochs
        ends = {epoch.to_seq + 1 for epoch in epochs if epoch.to_seq is not None}
        self.turns: Sequence[int] = sorted(ends | {epoch.from_seq for epoch in epochs})
        self.known: Mapping[StrategyHash, StrategySettings] = {
            row.hash: StrategySettings.from_canonical(row.name, row.config) for row in strategies
        }
        self._between = lru_cache(maxsize=1)(self._taking_part)

    def at(self, seq: int) -> tuple[StrategySettings, ...]:
        """Those of an entry, in the order of the rows."""
        return self._between(bisect_right(self.turns, seq))

    def _taking_part(self, turn: int) -> tuple[StrategySettings, ...]:
        """The same for all entries from one turn to the next."""
        seq = self.turns[turn - 1] if turn else 0
        active = {epoch.strategy for epoch in self._epochs if epoch.holds(seq)}
        return tuple(each for key, each in self.known.items() if key in active)
