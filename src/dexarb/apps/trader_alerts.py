"""What the paper trader's alerts are told of its trading."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from dexarb.alerts.alerts import Alerts
from dexarb.config.alerts import AlertKind
from dexarb.core.trade import FillStatus, Incident, SkipReason, StrategyHash
from dexarb.core.units import MICRO_USD
from dexarb.screens.stopped import PARAMETERS
from dexarb.store.ledger_rows import StrategyTotals
from dexarb.trading.seams import Step
from dexarb.trading.strategy import StrategySettings


class TraderAlerts:
    """Mutable: remembers who has filled."""

    def __init__(self, alerts: Alerts) -> None:
        self._alerts = alerts
        self._have_filled: set[StrategyHash] = set()
        self._stops: tuple[Sequence[tuple[StrategySettings, SkipReason]], int] = ((), 0)

    def know(self, rows: Iterable[StrategyTotals]) -> None:
        """What the books have from before is no news."""
        self._have_filled = {row.hash for row in rows if row.filled}

    def step(self, step: Step, names: Mapping[StrategyHash, str]) -> None:
        for fill in step.fills:
            strategy = fill.decision.strategy
            if fill.status is FillStatus.FILLED and strategy not in self._have_filled:
                self._have_filled.add(strategy)
                net = fill.net_micro_usd / MICRO_USD
                name = names.get(strategy, strategy)
                text = f'"{name}" at block {fill.block.number}: {net:+,.2f} USD net of gas'
                self._alerts.happened(AlertKind.FIRST_FILL, text)

    def failed(self, incidents: Sequence[Incident], names: Mapping[StrategyHash, str]) -> None:
        for incident in incidents:
            name = names.get(incident.strategy, incident.strategy)
            last_line = incident.problem.strip().rpartition("\n")[2]
            text = f'"{name}" failed in its own code and takes no further part: {last_line}'
            self._alerts.happened(AlertKind.STRATEGY_STOPPED, text)

    def stopped(self, stops: Sequence[tuple[StrategySettings, SkipReason]], block: int) -> None:
        """stops: all that there are now."""
        self._stops = stops, block
        by_loss: dict[str, str] = {}
        by_other: dict[str, str] = {}
        for each, reason in stops:
            texts = by_loss if reason is SkipReason.DAILY_LOSS else by_other
            texts[each.hash] = f'"{each.name}" by {PARAMETERS[reason]} at block {block}'
        self._alerts.holds(AlertKind.LOSS_LIMIT, by_loss)
        self._alerts.holds(AlertKind.STRATEGY_STOPPED, by_other)

    def again(self) -> None:
        """What still holds, for alerts that may not have been told."""
        self.stopped(*self._stops)

    def stand(self, rows: Sequence[StrategyTotals], active: int, block: int) -> None:
        """For the digest: the books of all that there have ever been."""
        net = sum(row.profit_micro_usd for row in rows) / MICRO_USD
        counts = ", ".join(
            f"{sum(getattr(row, count) for row in rows):,} {count}"
            for count in ("sent", "filled", "reverted", "lost")
        )
        lines = [f"block {block:,}, {active:,} strategies", f"{counts}; {net:+,.2f} USD net of gas"]
        if rows:
            best = max(rows, key=lambda row: row.profit_micro_usd)
            worst = min(rows, key=lambda row: row.profit_micro_usd)
            for word, row in (("best", best), ("worst", worst)):
                lines.append(f'{word}: "{row.name}" {row.profit_micro_usd / MICRO_USD:+,.2f} USD')
        self._alerts.facts = lines
