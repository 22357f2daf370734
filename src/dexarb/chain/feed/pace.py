"""How fast the chain goes, measured on its own heads."""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from statistics import median

_HEADS = 17
_STILL_BLOCKS = 4
"""Block times without a new head after which one asks elsewhere."""
_UNKNOWN_STILL_S = 5.0


class Pace:
    """Mutable. Nothing may assume a block time: chains change theirs."""

    def __init__(self) -> None:
        self._heads: deque[tuple[int, int]] = deque(maxlen=_HEADS)

    def note(self, number: int, timestamp: int) -> None:
        """A head that was heard; a lower one than before starts the measurement anew."""
        if self._heads and number <= self._heads[-1][0]:
            if number == self._heads[-1][0]:
                return
            self._heads.clear()
        self._heads.append((number, timestamp))

    @property
    def block_time_s(self) -> float | None:
        """The median of the last heads, None where there are too few of them."""
        heads = list(self._heads)
        if len(heads) < 2 or heads[-1][0] - heads[0][0] < 2:
            return None
        spans = pairwise(heads)
        return median((t1 - t0) / (n1 - n0) for (n0, t0), (n1, t1) in spans)

    def still_s(self, shortest: float, longest: float) -> float:
        """So long without a new head, and either the chain or the endpoint stands still."""
        block_time_s = self.block_time_s
        expected = _UNKNOWN_STILL_S if block_time_s is None else _STILL_BLOCKS * block_time_s
        return min(longest, max(shortest, expected))
