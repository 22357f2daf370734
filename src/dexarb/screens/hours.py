"""dexarb status --by-hour: at which hours of the day the strategies earn."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from dexarb.config.paths import config_paths
from dexarb.screens import status
from dexarb.screens.answer import Answer
from dexarb.screens.status import Selection
from dexarb.screens.tables import UNKNOWN, bar, percent, plain_table, signed_usd, usd
from dexarb.store.ledger_figures import FillSums
from dexarb.study.by_hour import hour_as_json, read_by_hour
from dexarb.study.performance import win_rate

BAR = 16


@dataclass(frozen=True, slots=True)
class ByHour(Answer):
    """hours: 24, from midnight UTC on. strategies: how many they are of."""

    hours: Sequence[FillSums]
    strategies: int

    def as_json(self) -> dict[str, Any]:
        return {
            "strategies": self.strategies,
            "by_hour": [hour_as_json(hour, sums) for hour, sums in enumerate(self.hours)],
        }

    def render(self) -> RenderableType:
        if not any(sums.settled for sums in self.hours):
            return Text("Nothing settled yet: there are no hours to compare.", style="yellow")
        title = f"Net by hour of the day (UTC), of {self.strategies:,} strategies together"
        table = plain_table(None, "hour")
        for name in ("settled", "fill", "rev", "lost", "won %", "gas USD", "net USD"):
            table.add_column(name, justify="right", no_wrap=True)
        table.add_column("", no_wrap=True)
        most = max(abs(sums.net_micro_usd) for sums in self.hours) or 1
        for hour, sums in enumerate(self.hours):
            length = bar(abs(sums.net_micro_usd) / most, BAR)
            color = "red" if sums.net_micro_usd < 0 else "green"
            table.add_row(
                Text(f"{hour:02d}"),
                *map(str, (sums.settled, sums.filled, sums.reverted, sums.lost)),
                percent(win_rate(sums)),
                usd(sums.gas_cost_micro_usd),
                Text(UNKNOWN) if sums.unplaced else signed_usd(sums.net_micro_usd),
                Text("" if sums.unplaced else length, style=color),
                style=None if sums.settled else "dim",
            )
        return Group(Text(title, style="bold"), table)


def answer(config: Path, selection: Selection) -> ByHour:
    """Of the selected strategies, all of them. Raises ConfigError, StoreError."""
    totals = status.answer(config, selection).totals
    chosen = [row.hash for row in selection.of(totals)]
    ledger = config_paths(config).ledger_file
    return ByHour(read_by_hour(ledger, chosen, totals.blocks), len(chosen))
