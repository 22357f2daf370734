"""Triage: below which profit an open cycle cannot be wanted by anybody.

The search sizes exactly only what earns at least this much. It decides nothing: a cycle below it
would be refused for its profit by every strategy, and is counted so as a near miss.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import lru_cache
from itertools import product
from math import floor, inf

import numpy as np

from dexarb.core.gas_schedule import GasSchedule
from dexarb.core.market import Market
from dexarb.core.pool import SwapGas
from dexarb.core.token import Address
from dexarb.search.result import HopWork
from dexarb.trading.decide.columns import StrategyColumns
from dexarb.trading.decide.desk import PRICE_UNIT, gas_prices
from dexarb.trading.decide.rules import MARGIN, ROUNDINGS, Floats, GasPrices, costs_of
from dexarb.trading.models.gas import GasModel
from dexarb.trading.models.value import Valuation

NOBODY = 2**256
"""More than any pool holds: there is nobody who could want anything."""


class Triage:
    """The least gross profit that any strategy of a table could want.

    free_bid: strategies may bid less than their settings say.
    """

    def __init__(self, columns: StrategyColumns, gas: GasModel, *, free_bid: bool = False) -> None:
        self._columns = columns
        self._free_bid = free_bid
        self._gas = LeastGas(gas)
        # One for all start tokens of a block.
        self._gross = lru_cache(maxsize=1)(self._needed_gross)

    def least_gross(self, token: Address, market: Market, valuation: Valuation) -> int:
        """In the token's smallest unit, at least 1, at the prices and the base fee of the block."""
        units = self._units(token, market, valuation)
        return _whole(float(units.min())) if len(units) else NOBODY

    def by_terms(self, token: Address, market: Market, valuation: Valuation) -> list[int]:
        """The same for each of the distinct terms."""
        return [_whole(each) for each in self._units(token, market, valuation).tolist()]

    def _units(self, token: Address, market: Market, valuation: Valuation) -> Floats:
        unit, prices = valuation.price(token), gas_prices(market, valuation)
        if not unit or not prices.wei:
            return np.full(len(self._columns.terms_columns.size), float(NOBODY))
        gross = self._gross(*self._gas.of(market), prices)
        units: Floats = gross * (1.0 - MARGIN) / (unit / PRICE_UNIT) - 1.0
        return units

    def _needed_gross(self, own: int, flash: int, prices: GasPrices) -> Floats:
        """In micro-USD, the same for all start tokens. own, flash: the least gas."""
        terms, keep = self._columns.terms_columns, self._columns.terms_columns.keep
        if self._free_bid:
            terms, keep = terms._replace(fee=np.zeros_like(terms.fee)), np.ones_like(keep)
        kept = self._columns.least + costs_of(terms, own, flash, prices)
        # The bound on the net of rules.py, turned round: what it takes to reach the minimum.
        with np.errstate(divide="ignore", invalid="ignore"):  # nothing kept, nothing asked
            gross: Floats = np.where(kept <= ROUNDINGS, 0.0, kept / keep - ROUNDINGS)
        return gross


def _whole(units: float) -> int:
    return max(1, floor(min(units, float(NOBODY))))


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
        unit, prices = valuation.price(token), gas_prices(market, valuation)
        if not unit or not prices.wei:
            return inf
        return min(self.of(market)) * prices.base_fee * prices.wei / (unit / PRICE_UNIT)


def least_units(gas: GasModel, pools: Collection[SwapGas], *, flash: bool) -> int:
    """The least gas units that a cycle through such pools uses: two hops, no tick crossed."""
    return min(
        (
            gas.units((HopWork(one, 0), HopWork(other, 0)), flash=flash)
            for one, other in product(pools, repeat=2)
        ),
        default=0,
    )
