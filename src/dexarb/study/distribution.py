"""How a figure was distributed over blocks, and how often it rose to a threshold."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field

GRAIN = 100
"""Values are kept to a hundredth: of a basis point, that is one part in a million."""


@dataclass(slots=True)
class Distribution:
    """Mutable. Values, each with the number of blocks for which it stood. missing: blocks without
    a value."""

    blocks_by_value: dict[int, int] = field(default_factory=dict)
    missing: int = 0

    def copy(self) -> Distribution:
        return Distribution(self.blocks_by_value.copy(), self.missing)

    def add(self, value: float | None, blocks: int) -> None:
        if value is None:
            self.missing += blocks
        elif blocks:
            key = round(value * GRAIN)
            self.blocks_by_value[key] = self.blocks_by_value.get(key, 0) + blocks

    @property
    def blocks(self) -> int:
        """Those with a value."""
        return sum(self.blocks_by_value.values())

    @property
    def greatest(self) -> float | None:
        return max(self.blocks_by_value) / GRAIN if self.blocks_by_value else None

    def quantile(self, share: float) -> float | None:
        """The least value that at least this share of the blocks does not exceed."""
        left = share * self.blocks
        for key in sorted(self.blocks_by_value):
            left -= self.blocks_by_value[key]
            if left <= 0:
                return key / GRAIN
        return self.greatest

    def at_least(self, value: float) -> int:
        """Blocks whose value was not below this."""
        least = round(value * GRAIN)
        return sum(blocks for key, blocks in self.blocks_by_value.items() if key >= least)

    def histogram(self, edges: Sequence[float]) -> list[int]:
        """Blocks below the first edge, from each edge to the next (not included), and from the
        last on: one more than there are edges."""
        counts = [0] * (len(edges) + 1)
        grains = [round(edge * GRAIN) for edge in edges]
        for key, blocks in self.blocks_by_value.items():
            counts[bisect_right(grains, key)] += blocks
        return counts


@dataclass(slots=True)
class Course:
    """Mutable. A figure that is heard of when it changes and stands until then.

    rises: for each of the ascending thresholds, how often it rose across any of them and then stood
    at this one or beyond; to begin there is to rise. So what is a rise for one threshold is one for
    every lower threshold too: who waits at 0.1 % sees all that who waits at 0.3 % sees, also while
    it stands above 0.1 % all the time.
    """

    thresholds: Sequence[float]
    rises: list[int] = field(init=False)
    values: Distribution = field(default_factory=Distribution)
    _value: float | None = None
    _since: int | None = None
    _risen: int = 0
    """How many thresholds the value reaches."""

    def __post_init__(self) -> None:
        self.rises = [0] * len(self.thresholds)

    def copy(self) -> Course:
        made = Course(self.thresholds, self.values.copy(), self._value, self._since, self._risen)
        made.rises = self.rises.copy()
        return made

    def observe(self, block: int, value: float | None) -> None:
        """From the end of this block on it has this value; None: it has none."""
        if self._since is not None:
            if value == self._value:
                return  # it stands on, and is counted when it ends
            self.values.add(self._value, block - self._since)
        risen = bisect_right(self.thresholds, value) if value is not None else 0
        for index in range(risen if risen > self._risen else 0):
            self.rises[index] += 1
        self._value, self._since, self._risen = value, block, risen

    def close(self, block: int) -> None:
        """Count the blocks before this one."""
        if self._since is not None:
            self.values.add(self._value, block - self._since)
            self._since = block

    def skip(self, block: int) -> None:
        """Nothing is known from this block on, until it is heard of again."""
        self.close(block)
        self._value, self._since, self._risen = None, None, 0
