"""Episodes: how long each cycle has been open. Facts of the market, the same for all strategies."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping

from dexarb.core.block import Block
from dexarb.core.market import MAX_REORG_DEPTH
from dexarb.core.route import CycleId


class Episodes:
    """Mutable: `observe` after every block, `rewind` when blocks are taken back."""

    def __init__(self) -> None:
        self._journal: deque[tuple[str, Mapping[CycleId, int]]] = deque(maxlen=MAX_REORG_DEPTH + 1)

    @property
    def opened(self) -> Mapping[CycleId, int]:
        """Cycle id to the number of the block at whose end it was first seen open."""
        return self._journal[-1][1] if self._journal else {}

    @property
    def opened_before(self) -> Mapping[CycleId, int]:
        """The same at what was observed before the latest block."""
        return self._journal[-2][1] if len(self._journal) > 1 else {}

    def observe(self, block: Block, open_cycles: Collection[CycleId]) -> frozenset[CycleId]:
        """Take the open cycles at the end of a block; returns those that have just opened.

        The same block again: other pools are there at its end than were first seen.
        """
        before = self.opened
        now = {cycle: before.get(cycle, block.number) for cycle in open_cycles}
        if self._journal and self._journal[-1][0] == block.hash:
            self._journal.pop()
        self._journal.append((block.hash, now))
        return frozenset(now.keys() - before.keys())

    def rewind(self, block_hash: str) -> None:
        while self._journal and self._journal[-1][0] != block_hash:
            self._journal.pop()
