"""What opened inside the blocks of a history: after which transaction, for how long, for whom."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from dexarb.core.block import BlockHash
from dexarb.core.market import Market
from dexarb.errors import MarketError
from dexarb.study.backruns import Backrun, BackrunsFound, RunKey
from dexarb.study.inside_blocks import BlockSearch
from dexarb.study.opened_inside import Look, Shown, Standing
from dexarb.study.order_meter import Order
from dexarb.study.recent import Recent
from dexarb.study.walk import Moment


@dataclass(slots=True)
class _Sums:
    """Mutable."""

    blocks: int = 0
    runs: dict[RunKey, Backrun] = field(default_factory=dict)
    order: Order = field(default_factory=Order)

    def fold(self, shown: Shown) -> None:
        self.blocks += 1
        self.order.fold(shown.order)
        self.runs |= shown.opened
        for key, end in shown.ended.items():
            self.runs[key] = replace(self.runs[key], end=end)


class BackrunsStudy:
    """A study of a walk's moments. It searches behind every transaction that changed a pool."""

    def __init__(self) -> None:
        self._search = BlockSearch()
        self._settled = _Sums()
        self._settled_after: Standing | None = None
        self._recent = Recent[Shown]()
        self._market: Market | None = None

    def add(self, seen: Moment) -> None:
        block, self._market = seen.update.block, seen.market
        before = self._standing()
        if before is not None and before.block_hash != block.parent_hash:
            before = None
        shown = Look(seen, before).through(self._search.places(seen))
        settled = self._recent.add(block.hash, shown)
        if settled is not None:
            self._settled.fold(settled)
            self._settled_after = settled.after

    def rewind(self, block_hash: BlockHash) -> None:
        self._recent.rewind(block_hash)

    def answer(self) -> BackrunsFound:
        """Raises MarketError before the first block."""
        if self._market is None:
            raise MarketError("no block has been looked at yet")
        sums = _Sums(self._settled.blocks, dict(self._settled.runs))
        sums.order.fold(self._settled.order)
        for shown in self._recent:
            sums.fold(shown)
        return BackrunsFound(sums.blocks, self._market, tuple(sums.runs.values()), sums.order)

    def _standing(self) -> Standing | None:
        newest = self._recent.newest
        return newest.after if newest is not None else self._settled_after
