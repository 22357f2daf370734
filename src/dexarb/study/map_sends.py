"""One send at one tip: its place in a block, and what it comes to there."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import cached_property

from dexarb.core.route import Cycle
from dexarb.core.token import Address
from dexarb.core.trade import Position
from dexarb.core.units import HOURS_PER_DAY, SECONDS_PER_HOUR
from dexarb.study.inside_blocks import Place, Worth
from dexarb.study.money_map import Rung, Send, Sight
from dexarb.study.walk import Moment
from dexarb.trading.models.reality import REALITY
from dexarb.trading.models.rivals import rivals
from dexarb.trading.models.tips import is_own


class MapBlock:
    """One block, at all of whose places it is known what was open.

    A run is sized at its place, as an executor that looks at the pools first would do. Everybody
    else does as he did.
    """

    def __init__(self, seen: Moment, places: Sequence[Place]) -> None:
        self._seen = seen
        self._places = places
        self._behind = [each.index + 1 for each in places]
        self._by_fee = REALITY.order.places(seen.market, seen.update, seen.valuation)
        base_fee = seen.update.block.base_fee_per_gas
        self._own = {each.index for each in seen.update.transactions if is_own(each, base_fee)}
        profile, number = seen.market.profile, seen.update.block.number
        self._room = REALITY.room.room(seen.update, profile.tip_floor(number))
        self._gas = REALITY.gas.under(profile.gas_schedule(number))

    @property
    def is_ordered(self) -> bool:
        """Whether a place by tip can be told."""
        return self._by_fee.is_known(Position.FEE)

    def is_own(self, index: int) -> bool:
        """Whether that transaction is one of the chain's own."""
        return index in self._own

    def send(
        self, cycle: Cycle, rung: Rung, gas_units: int, trigger: tuple[int, int] | None
    ) -> Send:
        """gas_units: what the sender expects it to use, by which its limit goes. trigger: index and
        tip of the transaction that it has seen."""
        first, tip = 0, rung.tip
        if rung.sight is Sight.TRIGGERS and trigger is not None:
            first, tip = trigger[0] + 1, min(tip, trigger[1])
        place = max(first, self._by_fee.of(Position.FEE, tip, lambda _: None))
        nets = [self._net(cycle, each, tip) for each in self._from(first)]
        is_included = self._room.includes(tip, self._gas.limit(gas_units))
        found = self._at(place)
        worth = found.worths.get(cycle.id)
        net = self._net(cycle, found, tip) if is_included else 0
        timestamp = self._seen.update.block.timestamp
        return Send(
            rung,
            is_included,
            is_included and worth is not None,
            net,
            (min(0, *nets), max(0, *nets)),
            place,
            self._by_fee.end,
            tuple(sorted(cycle.tokens)),
            timestamp // SECONDS_PER_HOUR % HOURS_PER_DAY,
            self._rival(cycle, place) if is_included and worth is not None else None,
        )

    def _at(self, place: int) -> Place:
        """What stands there: behind the last that changed pools before it."""
        return self._places[bisect_right(self._behind, place) - 1]

    def _from(self, first: int) -> Sequence[Place]:
        return self._places[bisect_right(self._behind, first) - 1 :]

    def _net(self, cycle: Cycle, place: Place, tip: int) -> int:
        """Micro-USD after gas. A cycle that is not worth its gas at the base fee is refused before
        it moves anything."""
        worth: Worth | None = place.worths.get(cycle.id)
        if worth is None:
            pools = self._seen.market.pools
            refused = self._gas.before_run([pools[key].gas for key in cycle.pools])
            return -self._cost(refused, tip)
        return worth.gross_micro_usd - self._cost(worth.opportunity.gas_units, tip)

    def _cost(self, gas_units: int, tip: int) -> int:
        price = self._seen.update.block.base_fee_per_gas + tip
        cost = self._seen.valuation.native_cost_micro_usd(gas_units * price)
        # What is worth anything has a price for its gas; without one nothing is ever sent.
        return cost or 0

    def _rival(self, cycle: Cycle, place: int) -> Address | None:
        """Whose arbitrage ends it behind our place, in the same block."""
        for each in self._places[1:]:
            if each.index >= place and cycle.id not in each.worths:
                return self._takers.get(each.index)
        return None

    @cached_property
    def _takers(self) -> dict[int, Address | None]:
        """The contracts that arbitrages called, by transaction index."""
        targets = {each.index: each.to for each in self._seen.update.transactions}
        return {
            each.transaction_index: targets.get(each.transaction_index)
            for each in rivals(self._seen.market, self._seen.update)
        }
