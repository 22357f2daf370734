"""Room: whether a block had any for one more transaction (docs/honest-fills.md, Full blocks)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

from dexarb.core.block import BlockUpdate
from dexarb.trading.models.model import Model
from dexarb.trading.models.tips import bids


@dataclass(frozen=True, slots=True)
class RoomModel(Model):
    """As much as the block left, or the room of whoever bid less; none below the chain's floor."""

    NAME: ClassVar[str] = "gas_left"
    VERSION: ClassVar[int] = 1

    def room(self, update: BlockUpdate, tip_floor: int) -> BlockRoom:
        """tip_floor: wei per gas that the chain asks for in this block."""
        return BlockRoom(update, tip_floor)


class BlockRoom:
    """Of one block. Asked for every decision that it could include."""

    def __init__(self, update: BlockUpdate, tip_floor: int) -> None:
        self._update = update
        self._tip_floor = tip_floor
        self._gas_left = update.block.gas_limit - update.block.gas_used

    @cached_property
    def _lowest_tip(self) -> int | None:
        """Of those that were included, the chain's own apart; None where nobody can tell."""
        return min((bid.tip for bid in bids(self._update)), default=None)

    def includes(self, priority_fee: int, gas_limit: int) -> bool:
        """priority_fee: wei per gas. A bid as high as the lowest included one finds room."""
        if priority_fee < self._tip_floor:
            return False
        if gas_limit <= self._gas_left or self._lowest_tip is None:
            return True
        return priority_fee >= self._lowest_tip
