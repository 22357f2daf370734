"""Why not, for every open cycle and every strategy, one at a time: nothing is kept, nothing summed.

Rules of docs/honest-fills.md. The oracle of `trading.decide.near_misses`.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import ceil, floor, inf

from dexarb.core.pool import SwapGas
from dexarb.core.route import Cycle
from dexarb.core.token import Address, pair_of
from dexarb.core.trade import Curve, SkipReason, StrategyHash
from dexarb.search.result import HopWork
from dexarb.search.scan import Scan
from dexarb.trading.models.reality import REALITY
from dexarb.trading.seams import View
from dexarb.trading.strategy import StrategySettings

MILLION = 1_000_000
PRICE_UNIT = 2.0**96
Missed = dict[tuple[StrategyHash, SkipReason], tuple[int, int | None]]
"""By strategy and reason: how often, and the nearest miss where the reason is a threshold."""


def near_misses(view: View, fresh: Scan, settings: Sequence[StrategySettings]) -> Missed:
    """fresh: of a new scanner that knows all curves; nothing in it is an opportunity."""
    missed: Missed = {}
    dust = {token: _dust(view, token) for token in view.market.profile.start_tokens}
    for row, cycle in fresh.table.cycles():
        rate, profit = (float(c[row]) for c in (fresh.table.rows.rate, fresh.table.rows.profit))
        curve, best_size = fresh.table.curve(row), float(fresh.table.rows.amount_in[row])
        for each in settings:
            reason, best = _reason(view, cycle, rate, curve, best_size, each)
            if profit < dust[cycle.start_token]:
                best = None
            times, nearest = missed.get((each.hash, reason), (0, None))
            if best is not None and (nearest is None or best > nearest):
                nearest = best
            missed[each.hash, reason] = times + 1, nearest
    return missed


def _reason(
    view: View, cycle: Cycle, rate: float, curve: Curve, best_size: float, each: StrategySettings
) -> tuple[SkipReason, int | None]:
    if not {pair_of(hop.token_in, hop.token_out) for hop in cycle.hops} <= set(each.pairs):
        return SkipReason.PAIR, None
    dexes = {view.market.pools[pool].dex for pool in cycle.pools}
    if len(cycle.hops) > each.max_hops or (each.dexes and not dexes <= set(each.dexes)):
        return SkipReason.HOPS, None
    unit, wei = view.valuation.price(cycle.start_token), view.valuation.native_price
    if not unit or not wei:
        return SkipReason.NO_PRICE, None
    if (rate - 1.0) * MILLION < each.min_spread_ppm:
        return SkipReason.SPREAD, floor((rate - 1.0) * MILLION)
    if not view.valuation.amount(cycle.start_token, each.max_trade_size_micro_usd):
        return SkipReason.SIZE, None
    price, wei_price = unit / PRICE_UNIT, wei / PRICE_UNIT
    size = min(each.max_trade_size_micro_usd / price, best_size)
    net = _at_most(view, cycle, size, curve.amount_out(size), each, price, wei_price)
    return SkipReason.PROFIT, min(net, each.min_profit_micro_usd - 1)


def _at_most(
    view: View,
    cycle: Cycle,
    amount_in: float,
    amount_out: float,
    each: StrategySettings,
    unit: float,
    wei: float,
) -> int:
    """The net of the largest size that pays, by the float curve with its margin."""
    value = (amount_out - amount_in) * unit + (1e-9 * (amount_out + amount_in) * unit + 4.0)
    bid = 0 if each.gas_cost_micro_usd is not None else each.bid_ppm or 0
    if value > 0.0:
        value *= max(0.0, 1.0 - (bid + each.slippage_haircut_ppm) / MILLION)
    if each.gas_cost_micro_usd is not None:
        return ceil(value - each.gas_cost_micro_usd)
    kinds = tuple(view.market.pools[pool].gas for pool in cycle.pools)
    gas = float(_gas(kinds, each.funding.value == "flash"))
    fee = 0 if each.bid_ppm is not None else each.priority_fee
    fee = view.market.profile.default_priority_fee if fee is None else fee
    return ceil(value - gas * (float(view.market.block.base_fee_per_gas) + float(fee)) * wei)


@cache
def _gas(kinds: tuple[SwapGas, ...], flash: bool) -> int:
    return REALITY.gas.units([HopWork(gas, 0) for gas in kinds], flash=flash)


def _dust(view: View, token: Address) -> float:
    """What does not pay for the cheapest trade at the base fee: two hops of the cheapest kinds."""
    unit, wei = view.valuation.price(token), view.valuation.native_price
    if not unit or not wei:
        return inf
    kinds = view.market.swap_gas
    gas = min(_gas((a, b), flash) for a in kinds for b in kinds for flash in (False, True))
    cost = gas * float(view.market.block.base_fee_per_gas) * (wei / PRICE_UNIT)
    return cost / (unit / PRICE_UNIT)
