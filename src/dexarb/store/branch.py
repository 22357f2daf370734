"""The branch that a history follows: what is left when dead blocks have been taken off."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from itertools import pairwise

from dexarb.store.codec import Header


class Branch:
    """Mutable. Headers of one line of blocks, oldest first, built by `follow`.

    The block of a keyframe counts as one of its blocks.
    """

    def __init__(self, headers: Iterable[Header] = (), *, limit: int | None = None) -> None:
        """limit: how many headers to remember, all of them if None."""
        self._headers: deque[Header] = deque(maxlen=limit)
        for header in headers:
            if not self.follow(header):
                self._restart(header)

    @property
    def tip(self) -> Header | None:
        return self._headers[-1] if self._headers else None

    def __iter__(self) -> Iterator[Header]:
        return iter(self._headers)

    def holds(self, block_hash: str) -> bool:
        return any(header.hash == block_hash for header in reversed(self._headers))

    def follow(self, header: Header) -> bool:
        """Take the next entry. False, and nothing changed, for a block without a known parent.

        A block whose parent is not the tip takes the blocks after its parent off. A keyframe of
        another block than the tip starts anew: it takes off all blocks from its own number on.
        """
        tip = self.tip
        if header.is_keyframe:
            if tip is None or tip.hash != header.hash:
                self._restart(header)
            return True
        if tip is None or tip.hash != header.parent_hash:
            if not self.holds(header.parent_hash):
                return False
            while self._headers[-1].hash != header.parent_hash:
                self._headers.pop()
        self._headers.append(header)
        return True

    def _restart(self, header: Header) -> None:
        while self._headers and self._headers[-1].number >= header.number:
            self._headers.pop()
        self._headers.append(header)

    def recent(self, depth: int) -> list[tuple[int, str]]:
        """Number and hash of the last `depth` blocks at most, oldest first, without holes."""
        if not self._headers:
            return []
        unbroken = [self._headers[-1]]
        for later, earlier in pairwise(reversed(self._headers)):
            if later.parent_hash != earlier.hash or len(unbroken) == depth:
                break
            unbroken.append(earlier)
        return [(header.number, header.hash) for header in reversed(unbroken)]
