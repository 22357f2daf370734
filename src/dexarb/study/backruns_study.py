"""What opened inside the blocks of a history: after which transaction, for how long, for whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from dexarb.core.block import BlockHash
from dexarb.core.market import Market
from dexarb.errors import MarketError
from dexarb.study.backruns import Backrun, BackrunsFound, End, RunKey
from dexarb.study.inside_blocks import BlockSearch
from dexarb.study.opened_inside import Look, Standing
from dexarb.study.order_meter import Order
from dexarb.study.recent import RunningSums
from dexarb.study.walk import Moment


@dataclass(slots=True)
class _Sums:
    """Mutable. ended: of a block's sums, what earlier ones opened. after: its end."""

    blocks: int = 0
    runs: dict[RunKey, Backrun] = field(default_factory=dict)
    ended: Mapping[RunKey, End] = field(default_factory=dict)
    order: Order = field(default_factory=Order)
    after: Standing | None = None

    def fold(self, other: _Sums) -> None:
        self.blocks += other.blocks
        self.order.fold(other.order)
        self.runs |= other.runs
        for key, end in other.ended.items():
            self.runs[key] = replace(self.runs[key], end=end)
        self.after = other.after


class BackrunsStudy:
    """A study of a walk's moments. It searches behind every transaction that changed a pool."""

    def __init__(self) -> None:
        self._search = BlockSearch()
        self._sums = RunningSums(_Sums)
        self._market: Market | None = None

    def add(self, seen: Moment) -> None:
        block, self._market = seen.update.block, seen.market
        before = self._sums.newest.after
        if before is not None and before.block_hash != block.parent_hash:
            before = None
        shown = Look(seen, before).through(self._search.places(seen))
        self._sums.add(
            block.hash, _Sums(1, dict(shown.opened), shown.ended, shown.order, shown.after)
        )

    def rewind(self, block_hash: BlockHash) -> None:
        self._sums.rewind(block_hash)

    def answer(self) -> BackrunsFound:
        """Raises MarketError before the first block."""
        if self._market is None:
            raise MarketError("no block has been looked at yet")
        sums = self._sums.total()
        return BackrunsFound(sums.blocks, self._market, tuple(sums.runs.values()), sums.order)
