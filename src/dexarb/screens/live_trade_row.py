"""A transaction of a bot as a row of CSV, for whoever reckons the taxes."""

from __future__ import annotations

from collections.abc import Mapping

from dexarb.core.token import Address
from dexarb.core.trade import Fill, FillStatus
from dexarb.screens.csv_output import Cell, iso
from dexarb.screens.names import Names
from dexarb.study.live_trades import LiveTrade, UsedUp

LIVE_TRADE_COLUMNS = (
    "time",
    "block",
    "block_hash",
    "place",
    "hash",
    "account",
    "kind",
    "strategy",
    "strategy_hash",
    "decision",
    "route",
    "pools",
    "token",
    "token_address",
    "amount_in",
    "amount_out",
    "amount_in_units",
    "amount_out_units",
    "gain_units",
    "gas_used",
    "gas_price_wei",
    "gas_wei",
    "gas_native",
    "gas_micro_usd",
    "gross_micro_usd",
    "net_micro_usd",
    "ways_micro_usd",
)
"""These stay, in this order; new ones come behind them."""
COIN_DECIMALS = 18


def live_trade_row(
    trade: LiveTrade, fill: Fill, strategy: str | None, names: Names, ways_micro_usd: int
) -> Mapping[str, Cell]:
    """By LIVE_TRADE_COLUMNS. Amounts exactly: in whole coins as decimals, `_units` in the token's
    smallest unit, `gas_native` in the chain's own coin. None where it is not known. What reverted
    is a fee: nothing but its gas was spent. ways_micro_usd: what the ways charge for one that
    landed, no part of its net."""
    cycle = trade.decision.cycle
    token = cycle.start_token
    is_filled = fill.status is FillStatus.FILLED
    gas_wei = fill.gas_used * fill.gas_price
    return {
        "time": iso(fill.block.timestamp),
        "block": fill.block.number,
        "block_hash": fill.block.hash,
        "place": fill.place,
        "hash": trade.signed.hash,
        "account": trade.signed.lane,
        "kind": "trade" if is_filled else "fee: reverted",
        "strategy": strategy,
        "strategy_hash": trade.decision.strategy,
        "decision": trade.decision.id,
        "route": names.tokens_of(cycle),
        "pools": " ".join(cycle.pools),
        "token": names.symbol(token),
        "token_address": token,
        "amount_in": _whole(names, token, fill.amount_in) if is_filled else None,
        "amount_out": _whole(names, token, fill.amount_out) if is_filled else None,
        "amount_in_units": fill.amount_in if is_filled else None,
        "amount_out_units": fill.amount_out if is_filled else None,
        "gain_units": fill.amount_out - fill.amount_in if is_filled else None,
        "gas_used": fill.gas_used,
        "gas_price_wei": fill.gas_price,
        "gas_wei": gas_wei,
        "gas_native": decimal(gas_wei, COIN_DECIMALS),
        "gas_micro_usd": fill.gas_cost_micro_usd,
        "gross_micro_usd": fill.net_micro_usd + fill.gas_cost_micro_usd,
        "net_micro_usd": fill.net_micro_usd,
        "ways_micro_usd": ways_micro_usd,
    }


def used_up_row(each: UsedUp) -> Mapping[str, Cell]:
    """As `live_trade_row`. Nobody valued it: its gas stands in the chain's coin alone."""
    block, of = each.update.block, each.transaction
    gas_wei = of.gas_used * of.effective_gas_price
    row: dict[str, Cell] = dict.fromkeys(LIVE_TRADE_COLUMNS)
    return row | {
        "time": iso(block.timestamp),
        "block": block.number,
        "block_hash": block.hash,
        "place": of.index,
        "hash": of.hash,
        "account": each.signed.lane,
        "kind": "fee: nonce used up",
        "gas_used": of.gas_used,
        "gas_price_wei": of.effective_gas_price,
        "gas_wei": gas_wei,
        "gas_native": decimal(gas_wei, COIN_DECIMALS),
    }


def _whole(names: Names, token: Address, amount: int) -> str | None:
    known = names.tokens.get(token)
    return None if known is None else decimal(amount, known.decimals)


def decimal(amount: int, decimals: int) -> str:
    """`1.5` of 15 tenths: all of its digits, and none more."""
    whole, rest = divmod(amount, 10**decimals)
    digits = f"{rest:0{decimals}d}".rstrip("0") if rest else ""
    return f"{whole}.{digits}" if digits else f"{whole}"
