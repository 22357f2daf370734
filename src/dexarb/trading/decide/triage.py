"""Triage: below which profit an open cycle cannot be wanted by anybody.

The search sizes exactly only what earns at least this much. It decides nothing: a cycle below it
would be refused for its profit by every strategy, and is counted so as a near miss.
"""

from __future__ import annotations

from functools import lru_cache
from math import floor

import numpy as np

from dexarb.core.market import Market
from dexarb.core.token import Address
from dexarb.trading.decide.columns import StrategyColumns
from dexarb.trading.decide.desk import PRICE_UNIT, gas_prices
from dexarb.trading.decide.rules import MARGIN, ROUNDINGS, Floats, GasPrices, costs_of
from dexarb.trading.models.gas import GasModel
from dexarb.trading.models.least_gas import LeastGas
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
        self._least = lru_cache(maxsize=1)(lambda *of: float(self._gross(*of).min()))

    def least_gross(self, token: Address, market: Market, valuation: Valuation) -> int:
        """In the token's smallest unit, at least 1, at the prices and the base fee of the block."""
        if not len(self._columns):
            return NOBODY
        unit, prices = valuation.price(token), gas_prices(market, valuation)
        if not unit or not prices.wei:
            return NOBODY
        return _whole(self._least(*self._gas.of(market), prices), unit)

    def by_terms(self, token: Address, market: Market, valuation: Valuation) -> list[int]:
        """The same for each of the distinct terms."""
        unit, prices = valuation.price(token), gas_prices(market, valuation)
        if not unit or not prices.wei:
            return [NOBODY] * len(self._columns.terms)
        return [_whole(each, unit) for each in self._gross(*self._gas.of(market), prices).tolist()]

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


def _whole(gross: float, unit: int) -> int:
    """From micro-USD to units of a token at its price."""
    units = gross * (1.0 - MARGIN) / (unit / PRICE_UNIT) - 1.0
    return max(1, floor(min(units, float(NOBODY))))
