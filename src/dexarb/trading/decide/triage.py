"""Triage: below which profit an open cycle cannot be wanted by anybody.

The search sizes exactly only what earns at least this much. It decides nothing: a cycle below it
would be refused for its profit by every strategy, and is counted so as a near miss.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import product
from math import floor

import numpy as np

from dexarb.core.market import Market
from dexarb.core.pool import SwapGas
from dexarb.core.token import Address
from dexarb.search.result import HopWork
from dexarb.trading.decide.columns import Columns
from dexarb.trading.decide.desk import PRICE_UNIT
from dexarb.trading.decide.rules import MARGIN, ROUNDINGS
from dexarb.trading.models.gas import GasModel
from dexarb.trading.models.value import Valuation

NOBODY = 2**256
"""More than any pool holds: there is nobody who could want anything."""


class Triage:
    """The least gross profit that any strategy of a table could want.

    free_bid: strategies may bid less than their settings say.
    """

    def __init__(self, columns: Columns, gas: GasModel, *, free_bid: bool = False) -> None:
        self._columns = columns
        self._free_bid = free_bid
        self._gas = gas
        self._least: dict[frozenset[SwapGas], tuple[int, int]] = {}

    def least_gross(self, token: Address, market: Market, valuation: Valuation) -> int:
        """In the token's smallest unit, at least 1, at the prices and the base fee of the block."""
        by_terms = self.by_terms(token, market, valuation)
        return min(by_terms, default=NOBODY)

    def by_terms(self, token: Address, market: Market, valuation: Valuation) -> list[int]:
        """The same for each of the distinct terms."""
        terms = self._columns.terms_columns
        unit = valuation.price(token)
        wei = valuation.price(market.profile.wrapped_native)
        if not unit or not wei:
            # Nobody can trade, and the reason for that is not the profit.
            return [1] * len(terms.size)
        default = market.profile.default_priority_fee
        fee = np.where(terms.fee < 0, default, terms.fee).astype(np.float64)
        keep = terms.keep
        if self._free_bid:
            fee, keep = np.zeros_like(fee), np.ones_like(keep)
        own, flash = self._least_units(market)
        gas = np.where(terms.flash, flash, own)
        measured = gas * (market.block.base_fee_per_gas + fee) * (wei / PRICE_UNIT)
        cost = np.where(terms.fixed_cost < 0, measured, terms.fixed_cost)
        kept = self._columns.least + cost
        # The bound on the net of rules.py, turned round: what it takes to reach the minimum.
        with np.errstate(divide="ignore"):
            gross = np.where(kept <= ROUNDINGS, 0.0, kept / keep - ROUNDINGS)
        units = gross * (1.0 - MARGIN) / (unit / PRICE_UNIT) - 1.0
        return [max(1, floor(min(each, float(NOBODY)))) for each in units.tolist()]

    def _least_units(self, market: Market) -> tuple[int, int]:
        """Of any cycle, with own capital and with a flash swap."""
        known = self._least.get(market.swap_gas)
        if known is None:
            own, flash = (
                least_units(self._gas, market.swap_gas, flash=each) for each in (False, True)
            )
            known = self._least[market.swap_gas] = own, flash
        return known


def least_units(gas: GasModel, pools: Collection[SwapGas], *, flash: bool) -> int:
    """The least gas units that a cycle through such pools uses: two hops, no tick crossed."""
    return min(
        (
            gas.units((HopWork(one, 0), HopWork(other, 0)), flash=flash)
            for one, other in product(pools, repeat=2)
        ),
        default=0,
    )
