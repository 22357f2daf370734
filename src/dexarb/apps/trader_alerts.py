"""What the paper trader's alerts are told of its trading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import astuple, dataclass, fields

from dexarb.alerts.alerts import Alerts
from dexarb.config.alerts import AlertKind
from dexarb.core.ledger import Ledger
from dexarb.core.trade import Fill, FillStatus, Incident, SkipReason, StrategyHash
from dexarb.core.units import MICRO_USD
from dexarb.screens.stopped import PARAMETERS
from dexarb.store.ledger_rows import StrategyTotals
from dexarb.trading.strategy import StrategySettings


@dataclass(frozen=True, slots=True)
class _Sums:
    """Over all strategies, named as in their rows and columns."""

    sent: int = 0
    filled: int = 0
    reverted: int = 0
    lost: int = 0
    profit_micro_usd: int = 0

    @classmethod
    def of(cls, rows: Sequence[StrategyTotals]) -> _Sums:
        return cls(*(sum(getattr(row, each.name) for row in rows) for each in fields(cls)))

    @classmethod
    def of_books(cls, books: Ledger) -> _Sums:
        return cls(*(int(books.column(each.name).sum()) for each in fields(cls)))

    def since(self, before: _Sums) -> _Sums:
        """What has come on top; less than nothing where a fork took more back."""
        pairs = zip(astuple(self), astuple(before), strict=True)
        return _Sums(*(now - then for now, then in pairs))

    def __str__(self) -> str:
        counts = f"{self.sent:,} sent, {self.filled:,} filled, {self.reverted:,} reverted"
        net = self.profit_micro_usd / MICRO_USD
        return f"{counts}, {self.lost:,} lost; {net:+,.2f} USD net of gas"


class TraderAlerts:
    """Mutable: remembers who has filled, who is stopped, and how it stood at the last digest."""

    def __init__(self, alerts: Alerts) -> None:
        self._alerts = alerts
        self._have_filled: set[StrategyHash] = set()
        self._base, self._digests = _Sums(), 0
        self._stops: tuple[Sequence[tuple[StrategySettings, SkipReason]], int] = ((), 0)

    def know(self, books: Ledger) -> None:
        """What the books have from before is no news."""
        filled = books.column("filled")
        self._have_filled = {strategy for strategy, row in books.rows.items() if filled[row]}
        self._base = _Sums.of_books(books)

    def filled(self, fills: Sequence[Fill], settings: Sequence[StrategySettings]) -> None:
        """settings: of those that take part, for their names."""
        first: dict[StrategyHash, Fill] = {}
        for fill in fills:
            strategy = fill.decision.strategy
            if fill.status is FillStatus.FILLED and strategy not in self._have_filled:
                first.setdefault(strategy, fill)
        if not first:
            return  # in nearly every block
        self._have_filled |= first.keys()
        names = {each.hash: each.name for each in settings}
        for strategy, fill in first.items():
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
        sums = _Sums.of(rows)
        if self._alerts.digests != self._digests:
            self._digests, self._base = self._alerts.digests, sums
        since = "the last digest" if self._digests else "the start"
        lines = [
            f"block {block:,}; strategies: {active:,}",
            f"since {since}: {sums.since(self._base)}",
            f"in all: {sums}",
        ]
        if rows:
            best = max(rows, key=lambda row: row.profit_micro_usd)
            worst = min(rows, key=lambda row: row.profit_micro_usd)
            for word, row in (("best", best), ("worst", worst)):
                lines.append(f'{word}: "{row.name}" {row.profit_micro_usd / MICRO_USD:+,.2f} USD')
        self._alerts.facts = lines
