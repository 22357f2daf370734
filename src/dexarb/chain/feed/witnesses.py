"""Which endpoints have named which blocks.

Who names a block names its ancestors, because a header carries the hash of its parent.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from itertools import accumulate

from dexarb.core.block import BlockHash, BlockRef

_REMEMBERED = 512


class Witnesses:
    """Mutable. `name` takes what an endpoint says; the rest are questions about it."""

    def __init__(self) -> None:
        self._named: dict[str, OrderedDict[BlockHash, None]] = {}
        self._newest: dict[str, BlockRef] = {}

    def name(self, endpoint: str, block: BlockRef, parent_hash: BlockHash) -> None:
        """The endpoint has the block, and with it the block's parent."""
        named = self._named.setdefault(endpoint, OrderedDict())
        for block_hash in (parent_hash, block.hash):
            named[block_hash] = None
            named.move_to_end(block_hash)
        while len(named) > _REMEMBERED:
            named.popitem(last=False)
        self._newest[endpoint] = block

    def counts(self, path: Sequence[BlockHash]) -> list[int]:
        """By how many endpoints each of these blocks is named; each is the next one's parent."""
        ends = [0] * len(path)
        for named in self._named.values():
            last = next((at for at in reversed(range(len(path))) if path[at] in named), None)
            if last is not None:
                ends[last] += 1
        return list(accumulate(reversed(ends)))[::-1]

    def agreed(self, branch: Sequence[BlockRef], endpoints: int) -> BlockRef | None:
        """The newest block of a branch that at least so many endpoints have named."""
        counts = self.counts([block.hash for block in branch])
        found = [block for block, count in zip(branch, counts, strict=True) if count >= endpoints]
        return found[-1] if found else None

    def contradictions(self, branch: Sequence[BlockRef]) -> dict[str, BlockRef]:
        """What endpoints have named last in the place of a block of a branch, by endpoint."""
        ours = dict(branch)
        return {
            endpoint: newest
            for endpoint, newest in self._newest.items()
            if ours.get(newest.number, newest.hash) != newest.hash
        }
