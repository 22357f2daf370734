"""Strategies that one of their limits has stopped: by which, since when, until when."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from dexarb.core.trade import SkipReason, StrategyHash
from dexarb.core.units import SECONDS_PER_DAY
from dexarb.store.ledger_reader import LedgerReader
from dexarb.store.ledger_rows import AgainstLimits, StrategyRow
from dexarb.trading.decide.limits import Counted, stopped_by
from dexarb.trading.strategy import StrategySettings


@dataclass(frozen=True, slots=True)
class Stop:
    """since_block: of the trade that was one too many, or the newest of them. until: a block for
    losses in a row, a UTC timestamp for limits of a day; both None: for good."""

    by: SkipReason
    since_block: int
    until_block: int | None = None
    until_timestamp: int | None = None


def stops_now(
    reader: LedgerReader,
    settings: Mapping[StrategyHash, StrategySettings],
    now: int | None = None,
) -> dict[StrategyHash, Stop]:
    """Of these strategies, which take part.

    now: a UTC timestamp, where something newer than the ledger knows it.
    """
    last = reader.last_block
    limited = {key: each for key, each in settings.items() if _has_limits(each)}
    if last is None or not limited:
        return {}
    day = max(reader.last_timestamp or 0, now or 0) // SECONDS_PER_DAY
    known = reader.against_limits(day)
    found = {}
    for key, each in limited.items():
        row = known[key]
        counted = Counted(
            row.day_trades, row.day_net_micro_usd, row.losses_in_a_row, row.last_loss_block
        )
        reason = stopped_by(each, counted, last[0])
        if reason is not None:
            found[key] = _stop(reason, row, each.cooldown_blocks, day)
    return found


class _Limits(msgspec.Struct):
    """What of a strategy's parameters can stop it."""

    max_daily_trades: int | None = None
    daily_loss_limit_micro_usd: int | None = None
    max_consecutive_losses: int | None = None


_limits = msgspec.json.Decoder(_Limits)


def limited(strategies: Iterable[StrategyRow]) -> dict[StrategyHash, StrategySettings]:
    """Those that have a limit: of ten thousand most have none, and reading the parameters of all
    would take as long as all sums of their fills."""
    return {
        row.hash: StrategySettings.from_canonical(row.name, row.config)
        for row in strategies
        if _limits.decode(row.config) != _Limits()
    }


def _stop(by: SkipReason, row: AgainstLimits, cooldown_blocks: int, day: int) -> Stop:
    if by is SkipReason.CONSECUTIVE_LOSSES:
        until = row.last_loss_block + cooldown_blocks if cooldown_blocks else None
        return Stop(by, row.last_loss_block, until_block=until)
    last = row.last_trade_block if by is SkipReason.DAILY_TRADES else row.last_loss_block
    return Stop(by, last, until_timestamp=(day + 1) * SECONDS_PER_DAY)


def stop_as_json(stop: Stop | None) -> dict[str, Any]:
    """Null where nothing has stopped it, and where it is stopped for good."""
    return {
        "stopped_by": stop.by.value if stop else None,
        "stopped_since_block": stop.since_block if stop else None,
        "stopped_until_block": stop.until_block if stop else None,
        "stopped_until_timestamp": stop.until_timestamp if stop else None,
    }


def _has_limits(settings: StrategySettings) -> bool:
    limits = (
        settings.max_daily_trades,
        settings.daily_loss_limit_micro_usd,
        settings.max_consecutive_losses,
    )
    return any(limit is not None for limit in limits)
