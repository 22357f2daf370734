"""Which threshold would have seen how many opportunities: episodes, not blocks.

An episode is a cycle from the block at whose end it was first seen open until it is closed at a
block end; however long it lasts, it can be taken once.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dexarb.core.route import Cycle, CycleId


@dataclass(slots=True)
class Best:
    """The best of an episode so far at each size: net micro-USD, and the block. None: no price."""

    cycle: Cycle
    opened: int
    net_micro_usd: list[int | None]
    block: list[int]


class EpisodeBook:
    """Mutable. Told what was open at the end of each block, it keeps the best of every episode."""

    def __init__(self, sizes: int) -> None:
        self._sizes = sizes
        self._open: dict[CycleId, Best] = {}
        self._closed: list[Best] = []

    def copy(self) -> EpisodeBook:
        """Those that have closed change no more."""
        made = EpisodeBook(self._sizes)
        made._closed = self._closed.copy()
        made._open = {
            key: Best(best.cycle, best.opened, best.net_micro_usd.copy(), best.block.copy())
            for key, best in self._open.items()
        }
        return made

    def observe(
        self,
        block: int,
        opened: Mapping[CycleId, int],
        offers: Sequence[tuple[Cycle, Sequence[int | None]]],
    ) -> None:
        """opened: the offered cycles by id, with the block since when they are open. offers: the
        net at each size."""
        for cycle, nets in offers:
            best = self._open.get(cycle.id)
            if best is None or best.opened != opened[cycle.id]:
                if best is not None:
                    self._closed.append(best)
                empty: list[int | None] = [None] * self._sizes
                best = Best(cycle, opened[cycle.id], empty, [block] * self._sizes)
                self._open[cycle.id] = best
            for index, net in enumerate(nets):
                known = best.net_micro_usd[index]
                if net is not None and (known is None or net > known):
                    best.net_micro_usd[index], best.block[index] = net, block

    def episodes(self) -> list[Best]:
        """All so far, the open ones included, by the block where they opened."""
        every = [*self._closed, *self._open.values()]
        return sorted(every, key=lambda best: (best.opened, best.cycle.id))


class Ladder:
    """The bests of episodes, at each size in order."""

    def __init__(self, episodes: Sequence[Best], sizes: int) -> None:
        self._nets = [
            sorted(net for best in episodes if (net := best.net_micro_usd[size]) is not None)
            for size in range(sizes)
        ]

    def reaching(self, size: int, net_micro_usd: int) -> int:
        """Episodes whose best at this size was not below a threshold."""
        nets = self._nets[size]
        return len(nets) - bisect_left(nets, net_micro_usd)

    @property
    def best(self) -> int | None:
        """Of all episodes and sizes."""
        return max((nets[-1] for nets in self._nets if nets), default=None)
