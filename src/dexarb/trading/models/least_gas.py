"""The least gas that any trade of a market uses, and what it comes to."""

from __future__ import annotations

from collections.abc import Collection
from itertools import product
from math import inf

from dexarb.core.gas_schedule import GasSchedule
from dexarb.core.market import Market
from dexarb.core.pool import SwapGas
from dexarb.core.token import Address
from dexarb.search.result import HopWork
from dexarb.trading.models.gas import GasModel
from dexarb.trading.models.value import Valuation


class LeastGas:
    """The least gas units that any cycle of a market uses, remembered."""

    def __init__(self, gas: GasModel) -> None:
        self._gas = gas
        self._known: dict[tuple[GasSchedule, frozenset[SwapGas]], tuple[int, int]] = {}

    def of(self, market: Market) -> tuple[int, int]:
        """With own capital, and with a flash swap."""
        key = schedule, pools = market.next_gas_schedule, market.swap_gas
        if key not in self._known:
            gas = self._gas.under(schedule)
            own, flash = (least_units(gas, pools, flash=each) for each in (False, True))
            self._known[key] = own, flash
        return self._known[key]

    def dust(self, token: Address, market: Market, valuation: Valuation) -> float:
        """In the token's smallest unit: a cycle that earns less than this before gas cannot pay for
        the cheapest trade at the base fee. All of them, where nobody can trade for want of a price.
        """
        unit, wei = valuation.price(token), valuation.native_price
        if not unit or not wei:
            return inf
        return min(self.of(market)) * float(market.block.base_fee_per_gas) * wei / unit


def least_units(gas: GasModel, pools: Collection[SwapGas], *, flash: bool) -> int:
    """The least gas units that a cycle through such pools uses: two hops, no tick crossed."""
    return min(
        (
            gas.units((HopWork(one, 0), HopWork(other, 0)), flash=flash)
            for one, other in product(pools, repeat=2)
        ),
        default=0,
    )
