"""Why not: counts of skipped opportunities by strategy, hour and reason, and the nearest miss.

With zero trades this is the most important table of the program.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from itertools import repeat
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from dexarb.compiled import kernel, kernel_part
from dexarb.core.trade import REASON_CODE, REASONS, SkipCount, SkipReason, StrategyHash
from dexarb.trading.decide.arrays import Codes, Ints
from dexarb.trading.decide.columns import Thresholds

NOTHING = -(2**63)
"""In place of the best there was: there was none."""

_SPREAD = REASON_CODE[SkipReason.SPREAD]
_PROFIT = REASON_CODE[SkipReason.PROFIT]
_EXPECTED = REASON_CODE[SkipReason.EXPECTED]


class Counters(NamedTuple):
    """Of a group of strategies: times by (reason, strategy); the best misses and their blocks, by
    (reason, strategy) too, where only the rows of thresholds are in use."""

    times: Ints
    best: Ints
    block: Ints


def no_counts(size: int) -> Counters:
    shape = (len(REASONS), size)
    return Counters(
        np.zeros(shape, dtype=np.int64),
        np.full(shape, NOTHING, dtype=np.int64),
        np.zeros(shape, dtype=np.int64),
    )


class _Group(NamedTuple):
    hashes: tuple[StrategyHash, ...]
    needed: Thresholds
    counters: Counters


class SkipTally:
    """Mutable. Filled block by block, drained into the ledger now and then."""

    def __init__(self) -> None:
        self._groups: dict[int, _Group] = {}
        self._single: Counter[tuple[StrategyHash, SkipReason]] = Counter()

    def note_one(self, strategy: StrategyHash, reason: SkipReason) -> None:
        """One strategy let one opportunity pass, by no threshold."""
        self._single[strategy, reason] += 1

    def counters(self, hashes: tuple[StrategyHash, ...], needed: Thresholds) -> Counters:
        """To count in until the next drain: those of a group, known by the tuple itself.

        needed: what each strategy needs.
        """
        # By identity: to compare ten thousand names in every block takes longer than to decide.
        group = self._groups.get(id(hashes))
        if group is None:
            group = _Group(hashes, needed, no_counts(len(hashes)))
            self._groups[id(hashes)] = group
        return group.counters

    def drain(self, hour: int) -> list[SkipCount]:
        """The counters since the last drain, in a stable order, booked to a UTC hour number."""
        found: list[SkipCount] = []
        for group in sorted(self._groups.values(), key=lambda group: group.hashes):
            needed = {
                _SPREAD: group.needed.min_spread,
                _PROFIT: group.needed.min_profit,
                _EXPECTED: group.needed.min_expected,
            }
            times, best, block = group.counters
            for code, reason in enumerate(REASONS):
                # Ten thousand strategies have a hundred thousand of them.
                rows = np.flatnonzero(times[code])
                hashes = [group.hashes[row] for row in rows.tolist()]
                counted: tuple[Iterable[Any], ...]
                counted = hashes, repeat(hour), repeat(reason), times[code, rows].tolist()
                missed = best[code, rows] != NOTHING
                if missed.any():
                    misses = needed[code][rows], best[code, rows], block[code, rows]
                    counted += tuple(_or_none(each, missed) for each in misses)
                found += map(SkipCount, *counted)
        for (strategy, reason), once in sorted(self._single.items()):
            found.append(SkipCount(strategy, hour, reason, once))
        self.clear()
        return found

    def clear(self) -> None:
        """Nobody wants to know."""
        self._groups.clear()
        self._single.clear()


def _or_none(values: Ints, told: npt.NDArray[np.bool_]) -> list[int | None]:
    kept: list[int | None] = values.tolist()
    for place in np.flatnonzero(~told).tolist():
        kept[place] = None
    return kept


@kernel_part
def note(counters: Counters, code: int, row: int, best: int, block: int) -> None:
    """Count a miss of a threshold. Of equally near ones the first stays."""
    counters.times[code, row] += 1
    if best > counters.best[code, row]:
        counters.best[code, row] = best
        counters.block[code, row] = block


@kernel
def count(reasons: Codes, best: Ints, block: int, counters: Counters) -> None:
    """Opportunities as all strategies see them, a row each: a reason code for each strategy,
    negative where there is none.

    best: read where the reason is a threshold.
    """
    for at in range(len(reasons)):
        for row in range(reasons.shape[1]):
            code = reasons[at, row]
            if code in (_SPREAD, _PROFIT, _EXPECTED):
                note(counters, code, row, best[at, row], block)
            elif code >= 0:
                counters.times[code, row] += 1


@kernel_part
def _total(classes: Counters, code: int) -> int:
    # A method of the array would bring all that numba knows of arrays with it, at every start.
    total = 0
    for class_ in range(classes.times.shape[1]):
        total += classes.times[code, class_]
    return total


@kernel
def count_classes(classes: Counters, class_of: Ints, min_profit: Ints, counters: Counters) -> None:
    """Add what was counted for each class of strategies to all strategies of the class.

    A miss of the profit stays a miss, however little the float curve knows better.
    """
    for code in range(len(classes.times)):
        if _total(classes, code) == 0:
            continue
        for row in range(len(class_of)):
            class_ = class_of[row]
            times = classes.times[code, class_]
            if times == 0:
                continue
            counters.times[code, row] += times
            best = classes.best[code, class_]
            if code == _PROFIT:
                best = min(best, min_profit[row] - 1)
            if best > counters.best[code, row]:
                counters.best[code, row] = best
                counters.block[code, row] = classes.block[code, class_]
