"""Why not: counts of skipped opportunities by strategy, hour and reason, and the nearest miss.

With zero trades this is the most important table of the program.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from dexarb.core.trade import Skip, SkipReason

REASONS = tuple(SkipReason)
REASON_CODE = {reason: code for code, reason in enumerate(REASONS)}
SECONDS_PER_HOUR = 3600
_PROFIT = REASON_CODE[SkipReason.PROFIT]
_NO_MISS = np.iinfo(np.int64).max


class SkipCount(NamedTuple):
    """A counter that changed: strategy hash, UTC hour number, reason, how many more.

    The nearest miss since the last drain is set where the reason is PROFIT: what was needed and
    the best there was in micro-USD, and the block.
    """

    strategy: str
    hour: int
    reason: SkipReason
    times: int
    needed_micro_usd: int | None
    best_micro_usd: int | None
    block: int | None


class _Columns:
    """Counters of a group of strategies: reason by strategy, and the nearest miss of each."""

    def __init__(self, size: int) -> None:
        self.counts = np.zeros((len(REASONS), size), dtype=np.int64)
        self.gap = np.full(size, _NO_MISS, dtype=np.int64)
        self.needed = np.zeros(size, dtype=np.int64)
        self.block = np.zeros(size, dtype=np.int64)


class SkipTally:
    """Mutable. Filled block by block, drained into the ledger now and then."""

    def __init__(self) -> None:
        self._groups: dict[tuple[str, ...], _Columns] = {}

    def add(self, skip: Skip) -> None:
        """One skip of one strategy."""
        reasons = np.array([REASON_CODE[skip.reason]], dtype=np.int8)
        needed = np.array([skip.needed_micro_usd or 0], dtype=np.int64)
        best = np.array([skip.best_micro_usd or 0], dtype=np.int64)
        self.add_column((skip.strategy,), reasons, needed, best, skip.block.number)

    def add_column(
        self,
        hashes: tuple[str, ...],
        reasons: npt.NDArray[np.int8],
        needed: npt.NDArray[np.int64],
        best: npt.NDArray[np.int64],
        block_number: int,
    ) -> None:
        """One opportunity as all strategies see it: a reason code each, negative where none.

        needed and best, micro-USD, are read where the reason is PROFIT.
        """
        group = self._groups.get(hashes)
        if group is None:
            group = self._groups[hashes] = _Columns(len(hashes))
        skipped = np.flatnonzero(reasons >= 0)
        group.counts[reasons[skipped], skipped] += 1
        missed = np.flatnonzero(reasons == _PROFIT)
        nearer = missed[needed[missed] - best[missed] < group.gap[missed]]
        group.gap[nearer] = needed[nearer] - best[nearer]
        group.needed[nearer] = needed[nearer]
        group.block[nearer] = block_number

    def drain(self, hour: int) -> Iterator[SkipCount]:
        """The counters since the last drain, in a stable order, booked to a UTC hour number."""
        for hashes, group in sorted(self._groups.items()):
            for code, row in np.argwhere(group.counts):
                miss = code == _PROFIT
                needed = int(group.needed[row])
                yield SkipCount(
                    hashes[int(row)],
                    hour,
                    REASONS[int(code)],
                    int(group.counts[code, row]),
                    needed if miss else None,
                    needed - int(group.gap[row]) if miss else None,
                    int(group.block[row]) if miss else None,
                )
        self._groups.clear()


def one(hashes: Sequence[str], index: int, reason: SkipReason) -> npt.NDArray[np.int8]:
    """A column in which only one strategy skips."""
    codes = np.full(len(hashes), -1, dtype=np.int8)
    codes[index] = REASON_CODE[reason]
    return codes
