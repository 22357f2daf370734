"""What `dexarb status` says of all strategies together, in a line or two."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from dexarb.core.text import as_name
from dexarb.screens.output import listed
from dexarb.screens.tables import UNKNOWN, ago, signed_usd, usd
from dexarb.screens.when import utc_minute
from dexarb.store.ledger_rows import StrategyTotals
from dexarb.study.last_change import LastChange
from dexarb.study.totals import Totals

NAMES = 3


def since_line(totals: Totals, rows: Sequence[StrategyTotals]) -> str | None:
    """`Since 2026-08-01 12:30 UTC (24 h): gas 12.30 USD, for 40 filled 9.10, ...`"""
    since, until = totals.since, totals.until
    if since is None or until is None:
        return None
    begin, lasted = utc_minute(since), ago(max(0, until - since))
    head = f"Since {begin} ({lasted})"
    if until != totals.timestamp:
        head = f"{begin} to {utc_minute(until)} ({lasted})"
    if not any(row.sent for row in rows):
        return head
    parts = (
        (row_sum(rows, "filled"), "filled", row_sum(rows, "gas_filled_micro_usd")),
        (row_sum(rows, "reverted"), "reverted", row_sum(rows, "gas_reverted_micro_usd")),
        (row_sum(rows, "lost"), "lost", row_sum(rows, "gas_lost_micro_usd")),
    )
    told = [f"{count:,} {what} {usd(gas)}" for count, what, gas in parts if count]
    expired = row_sum(rows, "expired")
    if expired:
        told.append(f"{expired:,} not included 0")
    gas = usd(row_sum(rows, "gas_cost_micro_usd"))
    return f"{head}: gas {gas} USD" + (f", for {', '.join(told)}" if told else "")


def row_sum(rows: Sequence[StrategyTotals], field: str) -> int:
    return sum(getattr(row, field) for row in rows)


def change_lines(change: LastChange | None, now: int | None) -> Iterator[str]:
    """What the last change was, and what has come of all strategies since."""
    if change is None:
        return
    kinds = (
        ("began", change.began),
        ("ended", change.ended),
        ("changed", change.changed),
        ("in another model of reality", change.revalued),
    )
    what = "; ".join(f"{_some(names)} {verb}" for verb, names in kinds if names)
    at = f" at block {change.block}" if change.block is not None else ""
    if change.timestamp is not None and now is not None:
        at += f", {ago(max(0, now - change.timestamp))} ago"
    yield f"Last change of the strategies{at}: {what}."
    sums = change.sums
    net = UNKNOWN if sums.unplaced else signed_usd(sums.net_micro_usd).plain
    yield (
        f"Since then {change.sent:,} sent, {sums.filled:,} filled, {sums.reverted:,} reverted,"
        f" {sums.lost:,} lost: net {net} USD, gas {usd(sums.gas_cost_micro_usd)} USD."
    )


def _some(names: Sequence[str]) -> str:
    return listed([as_name(name) for name in names], NAMES)
