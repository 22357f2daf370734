"""In how many blocks the order of tips held: a fold over a history, by block and by hour."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from dexarb.core.block import BlockHash, BlockUpdate
from dexarb.core.market import MAX_REORG_DEPTH
from dexarb.core.token import Address
from dexarb.core.units import SECONDS_PER_HOUR
from dexarb.study.recent import RunningSums
from dexarb.trading.models.tips import bids, inversions


@dataclass(slots=True)
class Kept:
    """Mutable. blocks: those that the node gave receipts of. kept: those in order among them.
    inversions: pairs of transactions of a block of which the later bid more."""

    blocks: int = 0
    kept: int = 0
    inversions: int = 0

    def add(self, inverted: int) -> None:
        self.blocks += 1
        self.kept += not inverted
        self.inversions += inverted

    def fold(self, other: Kept) -> None:
        self.blocks += other.blocks
        self.kept += other.kept
        self.inversions += other.inversions

    def as_json(self) -> dict[str, int]:
        return {"blocks": self.blocks, "kept": self.kept, "inversions": self.inversions}


@dataclass(slots=True)
class Order:
    """Mutable. by_hour: by hours since 1970, UTC, of the blocks' timestamps. by_producer: of the
    blocks whose header names theirs. without_receipts: blocks of which nobody can tell."""

    whole: Kept = field(default_factory=Kept)
    by_hour: dict[int, Kept] = field(default_factory=dict)
    by_producer: dict[Address, Kept] = field(default_factory=dict)
    without_receipts: int = 0

    def fold(self, other: Order) -> None:
        self.whole.fold(other.whole)
        self.without_receipts += other.without_receipts
        for hour, kept in other.by_hour.items():
            self.by_hour.setdefault(hour, Kept()).fold(kept)
        for producer, kept in other.by_producer.items():
            self.by_producer.setdefault(producer, Kept()).fold(kept)

    def as_json(self) -> dict[str, Any]:
        """by_hour: each by the UNIX second that the hour begins at."""
        hours = sorted(self.by_hour.items())
        return {
            **self.whole.as_json(),
            "without_receipts": self.without_receipts,
            "by_hour": [{"hour": at * SECONDS_PER_HOUR, **kept.as_json()} for at, kept in hours],
            "by_producer": [
                {"producer": producer, **kept.as_json()}
                for producer, kept in sorted(self.by_producer.items())
            ],
        }


def order_of(update: BlockUpdate) -> Order:
    """Of one block."""
    order = Order()
    if not update.has_receipts:
        order.without_receipts = 1
        return order
    inverted = inversions(bids(update))
    order.whole.add(inverted)
    order.by_hour[update.block.timestamp // SECONDS_PER_HOUR] = replace(order.whole)
    if update.producer is not None:
        order.by_producer[update.producer] = replace(order.whole)
    return order


class OrderStudy:
    """A study of block updates. depth: so many of the newest blocks can still die."""

    def __init__(self, depth: int = MAX_REORG_DEPTH) -> None:
        self._sums = RunningSums(Order, depth)

    def add(self, seen: BlockUpdate) -> None:
        self._sums.add(seen.block.hash, order_of(seen))

    def rewind(self, block_hash: BlockHash) -> None:
        self._sums.rewind(block_hash)

    def answer(self) -> Order:
        return self._sums.total()
