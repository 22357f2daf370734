"""A strategy as a row of CSV."""

from __future__ import annotations

from collections.abc import Mapping

from dexarb.screens.csv_output import Cell, iso
from dexarb.store.ledger_rows import ALL_BLOCKS, StrategyTotals
from dexarb.study.totals import Totals

STRATEGY_COLUMNS = (
    "strategy",
    "strategy_hash",
    "state",
    "stopped_by",
    "since",
    "traded_s",
    "seen",
    "sent",
    "filled",
    "gained",
    "reverted",
    "lost",
    "expired",
    "reorged",
    "open",
    "unplaced",
    "profit_micro_usd",
    "band_low_micro_usd",
    "band_high_micro_usd",
    "profit_per_day_micro_usd",
    "drawdown_micro_usd",
    "gas_cost_micro_usd",
    "gas_filled_micro_usd",
    "gas_reverted_micro_usd",
    "gas_lost_micro_usd",
    "won_over_taker_micro_usd",
    "placed_profit_micro_usd",
)
"""These stay, in this order; new ones come behind them."""


def strategy_row(row: StrategyTotals, totals: Totals) -> Mapping[str, Cell]:
    """By STRATEGY_COLUMNS. None where it is not known, or where there is nothing to tell from."""
    done, stop, known = totals.performance(row), totals.stops.get(row.hash), not row.unplaced
    return {
        "strategy": row.name,
        "strategy_hash": row.hash,
        "state": totals.state(row),
        "stopped_by": stop.by.value if stop else None,
        "since": iso(done.since),
        "traded_s": done.traded_s,
        "seen": row.seen if totals.blocks == ALL_BLOCKS else None,
        "sent": row.sent,
        "filled": row.filled,
        "gained": row.gained if known else None,
        "reverted": row.reverted,
        "lost": row.lost,
        "expired": row.expired,
        "reorged": row.reorged,
        "open": row.open,
        "unplaced": row.unplaced,
        "profit_micro_usd": row.profit_micro_usd if known else None,
        "band_low_micro_usd": row.band_low_micro_usd,
        "band_high_micro_usd": row.band_high_micro_usd,
        "profit_per_day_micro_usd": done.per_day_micro_usd,
        "drawdown_micro_usd": done.drawdown_micro_usd,
        "gas_cost_micro_usd": row.gas_cost_micro_usd,
        "gas_filled_micro_usd": row.gas_filled_micro_usd,
        "gas_reverted_micro_usd": row.gas_reverted_micro_usd,
        "gas_lost_micro_usd": row.gas_lost_micro_usd,
        "won_over_taker_micro_usd": totals.won_over_taker(row),
        "placed_profit_micro_usd": row.placed_micro_usd,
    }
