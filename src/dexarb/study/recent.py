"""What was seen in the blocks that can still die.

A study that sums keeps the sums of what has settled, and beside them what each of the last blocks
showed. A dead block is dropped before it was ever summed, so nothing needs to be taken back.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, Protocol, Self, TypeVar

from dexarb.core.block import BlockHash
from dexarb.core.market import MAX_REORG_DEPTH

Shown = TypeVar("Shown")


class Foldable(Protocol):
    """Sums of one block, or of many."""

    def fold(self, other: Self, /) -> None:
        """Add those of later blocks."""
        ...


Sums = TypeVar("Sums", bound=Foldable)


class Recent(Generic[Shown]):
    """Mutable. The newest `depth` blocks, oldest first, each by its hash with what it showed."""

    def __init__(self, depth: int = MAX_REORG_DEPTH) -> None:
        self._depth = depth
        self._blocks: deque[tuple[BlockHash, Shown]] = deque()

    def __len__(self) -> int:
        return len(self._blocks)

    def __iter__(self) -> Iterator[Shown]:
        return (shown for _, shown in self._blocks)

    @property
    def newest(self) -> Shown | None:
        """What the newest block showed."""
        return self._blocks[-1][1] if self._blocks else None

    def add(self, block_hash: BlockHash, shown: Shown) -> Shown | None:
        """The next block; returns what the one showed that can no longer die, if there is one."""
        self._blocks.append((block_hash, shown))
        return self._blocks.popleft()[1] if len(self._blocks) > self._depth else None

    def rewind(self, block_hash: BlockHash) -> list[Shown]:
        """Forget the blocks behind this one: all of them where it came before the oldest. Returns
        what they showed, newest first."""
        died = []
        while self._blocks and self._blocks[-1][0] != block_hash:
            died.append(self._blocks.pop()[1])
        return died


class RunningSums(Generic[Sums]):
    """Mutable. For a study whose blocks show sums of their own. nothing: sums of no block. depth:
    so many of the newest blocks can still die."""

    def __init__(self, nothing: Callable[[], Sums], depth: int = MAX_REORG_DEPTH) -> None:
        self._nothing = nothing
        self._settled = nothing()
        self._recent = Recent[Sums](depth)

    def add(self, block_hash: BlockHash, shown: Sums) -> None:
        settled = self._recent.add(block_hash, shown)
        if settled is not None:
            self._settled.fold(settled)

    @property
    def newest(self) -> Sums:
        """Of the newest block, or all that has settled where none can die."""
        newest = self._recent.newest
        return self._settled if newest is None else newest

    def rewind(self, block_hash: BlockHash) -> list[Sums]:
        """See Recent."""
        return self._recent.rewind(block_hash)

    def total(self) -> Sums:
        """Of all blocks that stand."""
        total = self._nothing()
        for each in (self._settled, *self._recent):
            total.fold(each)
        return total
