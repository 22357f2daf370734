"""Why not, for every open cycle and every strategy, one at a time: nothing is kept, nothing summed.

Rules of docs/honest-fills.md. The oracle of `trading.decide.near_misses`.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil, floor, sqrt

from dexarb.core.route import Cycle
from dexarb.core.token import pair_of
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
    for row, cycle in fresh.table.cycles():
        rate, profit = (float(c[row]) for c in (fresh.table.rows.rate, fresh.table.rows.profit))
        curve = fresh.table.curve(row)
        for each in settings:
            reason, best = _reason(view, cycle, rate, curve, each)
            if _is_dust(view, cycle, profit):
                best = None
            times, nearest = missed.get((each.hash, reason), (0, None))
            if best is not None and (nearest is None or best > nearest):
                nearest = best
            missed[each.hash, reason] = times + 1, nearest
    return missed


def _reason(
    view: View, cycle: Cycle, rate: float, curve: Curve, each: StrategySettings
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
    net = _at_most(view, cycle, curve, each, unit / PRICE_UNIT, wei / PRICE_UNIT)
    return SkipReason.PROFIT, min(net, each.min_profit_micro_usd - 1)


def _at_most(
    view: View, cycle: Cycle, curve: Curve, each: StrategySettings, unit: float, wei: float
) -> int:
    """The net of the largest size that pays, by the float curve with its margin."""
    most = each.max_trade_size_micro_usd / unit
    amount_in = amount_out = 0.0
    for piece in curve.pieces:
        if piece.input_from > most:
            break
        best = (sqrt(piece.rate) - 1.0) / piece.depth if piece.rate > 1.0 else 0.0
        x = min(most - piece.input_from, best)
        amount_in = piece.input_from + x
        amount_out = piece.output_from + piece.rate * x / (1.0 + piece.depth * x)
    value = (amount_out - amount_in) * unit + (1e-9 * (amount_out + amount_in) * unit + 4.0)
    bid = 0 if each.gas_cost_micro_usd is not None else each.bid_ppm or 0
    if value > 0.0:
        value *= max(0.0, 1.0 - (bid + each.slippage_haircut_ppm) / MILLION)
    if each.gas_cost_micro_usd is not None:
        return ceil(value - each.gas_cost_micro_usd)
    work = [HopWork(view.market.pools[pool].gas, 0) for pool in cycle.pools]
    gas = float(REALITY.gas.units(work, flash=each.funding.value == "flash"))
    fee = 0 if each.bid_ppm is not None else each.priority_fee
    fee = view.market.profile.default_priority_fee if fee is None else fee
    return ceil(value - gas * (float(view.market.block.base_fee_per_gas) + float(fee)) * wei)


def _is_dust(view: View, cycle: Cycle, profit: float) -> bool:
    unit, wei = view.valuation.price(cycle.start_token), view.valuation.native_price
    kinds = [HopWork(gas, 0) for gas in view.market.swap_gas]
    ways = [(one, other, flash) for one in kinds for other in kinds for flash in (False, True)]
    gas = min(REALITY.gas.units((one, other), flash=flash) for one, other, flash in ways)
    cost = gas * float(view.market.block.base_fee_per_gas) * ((wei or 0) / PRICE_UNIT)
    return not unit or profit < cost / (unit / PRICE_UNIT)
