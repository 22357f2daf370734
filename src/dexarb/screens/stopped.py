"""A strategy that a limit has stopped, in words."""

from __future__ import annotations

from dexarb.core.trade import SkipReason
from dexarb.screens.when import utc_minute
from dexarb.study.stops import Stop

PARAMETERS = {
    SkipReason.DAILY_TRADES: "max_daily_trades",
    SkipReason.DAILY_LOSS: "daily_loss_limit_usd",
    SkipReason.CONSECUTIVE_LOSSES: "max_consecutive_losses",
}


def words(stop: Stop) -> str:
    """`stopped by consecutive_losses since block 812, for good`"""
    return f"stopped by {PARAMETERS[stop.by]} since block {stop.since_block}, {_until(stop)}"


def _until(stop: Stop) -> str:
    if stop.until_block is not None:
        return f"until block {stop.until_block}"
    if stop.until_timestamp is not None:
        return f"until {utc_minute(stop.until_timestamp)}"
    return "for good: set cooldown_blocks, or change a parameter and reload"
