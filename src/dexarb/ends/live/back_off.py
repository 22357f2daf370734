"""Which pools a bot leaves alone for a while, because its trades through them revert on and on.

That paper agrees with each of them makes them no cheaper. A pool is at fault as long as no trade
through it is filled: those that others use as well are soon cleared. Pure; what it says goes into
the journal, with the entry from which it holds.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dexarb.core.pool import PoolKey
from dexarb.core.sending import Difference, Rest, Twin
from dexarb.core.trade import DecisionId, FillStatus

PATIENCE = 5
"""Reverts in a row, from which on a pool rests behind each."""
SHORTEST, LONGEST = 8, 1_024
"""Blocks: twice as many each time."""
MEMORY = 8 * LONGEST
"""Blocks, behind which a revert is forgotten."""


class BackOff:
    """Mutable: by pool, the trades that have reverted since one was filled."""

    def __init__(self, known: Iterable[Twin] = ()) -> None:
        self._rows: dict[PoolKey, dict[DecisionId, int]] = {}
        for twin in known:
            self.take(twin)

    def take(self, twin: Twin) -> Sequence[tuple[Rest, int]]:
        """The pools that rest from now on, and how often in a row they have reverted. A trade that
        a reorganisation has brought in once more counts once; one that came to something else than
        its twin does not: that is looked at elsewhere."""
        cycle, number = twin.decision.cycle, twin.block.number
        if twin.live.status is FillStatus.FILLED:
            for pool in cycle.pools:
                self._rows.pop(pool, None)
        if twin.live.status is not FillStatus.REVERTED or twin.difference is Difference.MODEL:
            return []
        found = []
        for pool in cycle.pools:
            row = self._rows.get(pool, {}) | {twin.decision.id: number}
            row = {each: at for each, at in row.items() if at > number - MEMORY}
            self._rows[pool] = row
            over = len(row) - PATIENCE
            if over >= 0:
                blocks = min(SHORTEST << min(over, LONGEST.bit_length()), LONGEST)
                found.append((Rest(pool, number + blocks), len(row)))
        return found
