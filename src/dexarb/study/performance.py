"""How a strategy has done over time: since when, how much a day, how often, and how far down."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dexarb.core.trade import StrategyHash
from dexarb.core.units import SECONDS_PER_DAY, usd_or_none
from dexarb.store.ledger_figures import EpochTimes, FillSums
from dexarb.store.ledger_rows import MAX_INTEGER, StrategyTotals

TELLS_FROM_S = 3600
"""A strategy that has taken part for less says nothing about a day."""


@dataclass(frozen=True, slots=True)
class Performance:
    """since: UTC second at which it first took part, None where that is not known yet. traded_s:
    seconds in which it took part since.

    per_day and drawdown in micro-USD. win_rate: of those that were filled, reverted or lost to the
    coin, how many gained; what expired is neither. drawdown: the deepest fall of the profit from
    any height before it, in the order of the books. None: not known, or nothing to tell from.
    """

    since: int | None
    traded_s: int
    per_day_micro_usd: int | None
    win_rate: float | None
    drawdown_micro_usd: int | None


def performance(
    row: StrategyTotals,
    periods: Mapping[StrategyHash, Period],
    drawdowns: Mapping[StrategyHash, int],
) -> Performance:
    """Where places of fills are not known, neither is what they came to."""
    period = periods.get(row.hash, Period(None, 0))
    if row.unplaced:
        return Performance(period.since, period.traded_s, None, None, None)
    is_long = period.traded_s >= TELLS_FROM_S
    return Performance(
        period.since,
        period.traded_s,
        row.profit_micro_usd * SECONDS_PER_DAY // period.traded_s if is_long else None,
        win_rate(row),
        drawdowns.get(row.hash, 0),
    )


def win_rate(row: StrategyTotals | FillSums) -> float | None:
    """Of what was filled, reverted or lost to the coin; None: nothing was, or it is not known."""
    trades = row.filled + row.reverted + row.lost
    return None if row.unplaced or not trades else row.gained / trades


def performance_as_json(found: Performance) -> dict[str, Any]:
    """Money in USD, `since` in UNIX seconds."""
    return {
        "since": found.since,
        "traded_s": found.traded_s,
        "profit_per_day_usd": usd_or_none(found.per_day_micro_usd),
        "win_rate": found.win_rate,
        "drawdown_usd": usd_or_none(found.drawdown_micro_usd),
    }


@dataclass(frozen=True, slots=True)
class Period:
    """Of all epochs of a strategy: see Performance."""

    since: int | None
    traded_s: int


def periods_of(
    epochs: Iterable[EpochTimes], now: int | None, span: tuple[int, int] = (0, MAX_INTEGER)
) -> dict[StrategyHash, Period]:
    """now: the newest UTC second that is known; an epoch that goes on has lasted until then. span:
    first and last second that are looked at; of an epoch counts what lies in them."""
    found: dict[StrategyHash, Period] = {}
    for each in epochs:
        if each.began is None or each.began > span[1]:
            continue
        end = each.ended if each.to_seq is not None and each.ended is not None else now
        if end is not None and end < span[0]:
            continue
        began = max(each.began, span[0])
        lasted = max(0, (began if end is None else min(end, span[1])) - began)
        before = found.get(each.strategy)
        since = began if before is None or before.since is None else before.since
        found[each.strategy] = Period(since, lasted + (before.traded_s if before else 0))
    return found


def drawdowns_of(nets: Iterable[tuple[Any, ...]]) -> dict[StrategyHash, int]:
    """By strategy: the deepest fall of the running sum, which begins at 0.

    nets: strategy and net in micro-USD, in order.
    """
    running: dict[StrategyHash, list[int]] = {}  # the sum, its height, the deepest fall
    for strategy, net in nets:
        book = running.get(strategy)
        if book is None:
            book = running[strategy] = [0, 0, 0]
        book[0] += net
        if net > 0:
            book[1] = max(book[1], book[0])
        elif book[1] - book[0] > book[2]:
            book[2] = book[1] - book[0]
    return {strategy: deepest for strategy, (_, _, deepest) in running.items()}
