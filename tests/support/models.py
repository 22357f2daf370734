"""One other model of each kind: what asks a model of reality does as that one says."""

from __future__ import annotations

from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass
from typing import ClassVar

from dexarb.core.block import Block, BlockUpdate
from dexarb.core.market import Market
from dexarb.core.pool import PoolKey
from dexarb.core.route import CycleId
from dexarb.core.token import Address
from dexarb.core.trade import Decision, Position
from dexarb.search.result import HopWork
from dexarb.trading.models.competition import CompetitionModel
from dexarb.trading.models.gas import GasModel
from dexarb.trading.models.latency import LatencyModel
from dexarb.trading.models.order import BlockPlaces, OrderModel
from dexarb.trading.models.room import BlockRoom, RoomModel
from dexarb.trading.models.value import PRICE_SHIFT, Valuation, ValueModel


@dataclass(frozen=True, slots=True)
class FlatGas(GasModel):
    """Every run that fills costs the same."""

    NAME: ClassVar[str] = "flat"

    flat: int = 77_777

    def units(self, work: Sequence[HopWork], *, flash: bool = False) -> int:  # noqa: ARG002
        return self.flat


@dataclass(frozen=True, slots=True)
class LaterBlocks(LatencyModel):
    """So many blocks later than a decision asks for."""

    NAME: ClassVar[str] = "later"

    blocks: int = 2

    def reaches(self, decision: Decision, block: Block, cutoff_ms: int) -> bool:  # noqa: ARG002
        return block.number >= decision.first_block + self.blocks


class _NoRoom(BlockRoom):
    def includes(self, priority_fee: int, gas_limit: int) -> bool:  # noqa: ARG002
        return False


@dataclass(frozen=True, slots=True)
class AlwaysFull(RoomModel):
    """No block has room for anything."""

    NAME: ClassVar[str] = "full"

    def room(self, update: BlockUpdate, tip_floor: int) -> BlockRoom:
        return _NoRoom(update, tip_floor)


class _Top(BlockPlaces):
    def is_known(self, position: Position) -> bool:  # noqa: ARG002
        return True

    def of(
        self,
        position: Position,  # noqa: ARG002
        priority_fee: int,  # noqa: ARG002
        bid_at: Callable[[int], int | None],  # noqa: ARG002
    ) -> int:
        return 0


@dataclass(frozen=True, slots=True)
class AlwaysFirst(OrderModel):
    """At the top of the block, whatever is bid."""

    NAME: ClassVar[str] = "first"

    def places(self, market: Market, update: BlockUpdate, valuation: Valuation) -> BlockPlaces:
        return _Top(market, update, valuation)


@dataclass(frozen=True, slots=True)
class AlwaysLost(CompetitionModel):
    """Somebody else takes everything, whatever the rate."""

    NAME: ClassVar[str] = "lost"

    def is_lost(
        self,
        chain_id: int,  # noqa: ARG002
        cycle_id: CycleId,  # noqa: ARG002
        opened_block: int,  # noqa: ARG002
        rate_ppm: int,  # noqa: ARG002
    ) -> bool:
        return True


class _Fixed(Valuation):
    def __init__(self, market: Market, micro_usd: int) -> None:
        self._units = {
            token.address: (micro_usd << PRICE_SHIFT) // 10**token.decimals
            for token in market.tokens.values()
        }
        super().__init__(market, 1)

    def price(self, token: Address) -> int | None:
        return self._units.get(token)


@dataclass(frozen=True, slots=True)
class FixedPrices(ValueModel):
    """A whole one of any token is worth the same, in micro-USD."""

    NAME: ClassVar[str] = "fixed"

    micro_usd: int = 1_000_000

    def valuation(
        self,
        market: Market,
        before: Valuation | None = None,  # noqa: ARG002
        changed: Container[PoolKey] = (),  # noqa: ARG002
    ) -> Valuation:
        return _Fixed(market, self.micro_usd)
