"""The branch that a history follows: what is left when dead blocks have been taken off."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import pairwise

from dexarb.core.block import BlockHash, BlockRef
from dexarb.core.market import Break
from dexarb.store.codec import ChangeHeader, EntryHeader, LinkHeader


class Branch:
    """Mutable. Headers of one line of blocks, oldest first, built by `follow`.

    The block of a keyframe counts as one of its blocks. is_broken: a break came last, and only a
    keyframe can follow; the tip is then the fork point.
    """

    def __init__(self, entries: Iterable[EntryHeader] = (), *, limit: int | None = None) -> None:
        """entries: of a history from one of its keyframes on, so that parents may be missing where
        it reaches back behind that. limit: how many headers to remember, all of them if None."""
        self._headers: deque[LinkHeader] = deque(maxlen=limit)
        self.is_broken = False
        for entry in entries:
            if not self.follow(entry) and isinstance(entry, LinkHeader):
                self._restart(entry)

    @property
    def tip(self) -> LinkHeader | None:
        return self._headers[-1] if self._headers else None

    @property
    def oldest(self) -> LinkHeader | None:
        return self._headers[0] if self._headers else None

    def __iter__(self) -> Iterator[LinkHeader]:
        return iter(self._headers)

    def holds(self, block_hash: BlockHash) -> bool:
        return any(header.hash == block_hash for header in reversed(self._headers))

    def follow(self, entry: EntryHeader) -> bool:
        """Take the next entry. False, and nothing changed, for a block without a known parent and
        for pools that change at another block than the tip.

        A block whose parent is not the tip takes the blocks after its parent off; one that is on
        the branch already changes nothing. A keyframe of another block than the tip starts anew: it
        takes off all blocks from its own number on. A break takes off what lies behind its fork
        point.
        """
        if isinstance(entry, Break):
            self._break(entry.fork_point)
            return True
        tip = self.tip
        if isinstance(entry, ChangeHeader):
            return not self.is_broken and tip is not None and tip.ref == entry.block
        if entry.is_keyframe:
            if tip is None or tip.hash != entry.hash:
                self._restart(entry)
            self.is_broken = False
            return True
        if self.is_broken:
            return False
        if tip is None or tip.hash != entry.parent_hash:
            if self.holds(entry.hash):
                return True
            if not self.holds(entry.parent_hash):
                return False
            while self._headers[-1].hash != entry.parent_hash:
                self._headers.pop()
        self._headers.append(entry)
        return True

    def _break(self, fork_point: BlockRef | None) -> None:
        self.is_broken = True
        while self._headers and (
            fork_point is None or self._headers[-1].number > fork_point.number
        ):
            self._headers.pop()

    def _restart(self, header: LinkHeader) -> None:
        while self._headers and self._headers[-1].number >= header.number:
            self._headers.pop()
        self._headers.append(header)

    def recent(self, depth: int) -> list[BlockRef]:
        """The last `depth` blocks at most, oldest first, without holes."""
        if not self._headers:
            return []
        unbroken = [self._headers[-1]]
        for later, earlier in pairwise(reversed(self._headers)):
            if later.parent_hash != earlier.hash or len(unbroken) == depth:
                break
            unbroken.append(earlier)
        return [header.ref for header in reversed(unbroken)]
