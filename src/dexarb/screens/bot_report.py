"""dexarb-bot report: how far paper was off, where the time went, and what paper should use."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from dexarb.config.live import load_live
from dexarb.core.units import GWEI, MICRO_USD
from dexarb.screens.answer import Answer
from dexarb.screens.bot_status import charged, said_of
from dexarb.screens.csv_output import Cell
from dexarb.screens.live_trade_row import LIVE_TRADE_COLUMNS, live_trade_row, used_up_row
from dexarb.screens.names import Names, names_of, state_beside
from dexarb.screens.output import counted
from dexarb.screens.tables import plain_table, signed_usd
from dexarb.screens.unproven import unproven_line
from dexarb.study.bot_report import BotReport, report
from dexarb.study.live_results import read_results
from dexarb.study.live_trades import LiveTrade, LiveTrades, read_trades

SHOWN = 10
STEPS = {
    "decided": "block seen, decided",
    "signed": "decided, signed",
    "accepted": "signed, accepted",
    "included": "accepted, included",
    "out": "block seen, accepted",
}


@dataclass(frozen=True, slots=True)
class Report(Answer):
    found: BotReport
    trades: LiveTrades
    names: Names
    unproven: Sequence[str] = ()
    ways_micro_usd: int = 0
    per_landed_micro_usd: int = 0

    def problems(self) -> Iterator[str]:
        if self.found.problem is not None:
            yield f"warning: {self.found.problem}"

    def as_json(self) -> dict[str, Any]:
        found = self.found
        return {
            "said": said_of(found.optimism),
            "optimism_percent": found.optimism.percent,
            "optimism_usd": {
                name: value / MICRO_USD
                for name, value in found.optimism._asdict().items()
                if name != "trades"
            },
            "unproven": list(self.unproven),
            "compared": found.optimism.trades,
            "sent": len(found.trades),
            "ended": found.ended,
            "included": found.included,
            "filled": found.filled,
            "copied": found.copied,
            "ways_usd": self.ways_micro_usd / MICRO_USD,
            "steps_ms": {name: each._asdict() for name, each in found.steps.items()},
            "places": found.places._asdict(),
            "tips_gwei": {
                name: None if value is None else value / GWEI
                for name, value in found.tips._asdict().items()
                if name != "overtaken"
            },
            "overtaken": found.tips.overtaken,
            "proposed": _proposed(found),
            "trades": [_trade_json(each) for each in found.trades],
        }

    def render(self) -> RenderableType:
        found = self.found
        parts: list[RenderableType] = [Text(said_of(found.optimism), style="bold")]
        if self.unproven:
            parts.append(Text(unproven_line(self.unproven), style="bold yellow"))
        parts.append(
            Text(
                f"{len(found.trades)} sent, {found.included} included, {found.filled} filled;"
                f" copied: {found.copied}, overtaken in their pools: {found.tips.overtaken}"
                + charged(self.ways_micro_usd)
            )
        )
        if found.steps:
            parts.append(_steps(found))
        if found.places.compared:
            parts.append(Text(_places(found)))
        if found.included:
            parts.append(Text(_tips(found)))
        if found.trades:
            parts.append(_latest(found))
        proposed = {name: each for name, each in _proposed(found).items() if each is not None}
        if proposed:
            lines = [f"  {name} = {each:g}" for name, each in proposed.items()]
            parts.append(Text("\n".join(("For a paper strategy like life:", *lines))))
        return Group(*parts)

    @property
    def csv_columns(self) -> tuple[str, ...]:
        return LIVE_TRADE_COLUMNS

    def csv_rows(self) -> Iterator[Mapping[str, Cell]]:
        """All that stands in a block, by block and place."""
        rows = [
            live_trade_row(
                each,
                each.fill,
                self.trades.strategies.get(each.decision.strategy),
                self.names,
                self.per_landed_micro_usd,
            )
            for each in self.trades.trades
            if each.fill is not None and each.fill.gas_used
        ]
        rows += [used_up_row(each) for each in self.trades.used_up]
        return iter(sorted(rows, key=_where))


def _where(row: Mapping[str, Cell]) -> tuple[int, int]:
    return int(row["block"] or 0), int(row["place"] or 0)


def answer(config_path: Path) -> Report:
    """Raises ConfigError, StoreError."""
    config = load_live(config_path)
    journal, ledger = config.journal_file, config.paper.general.ledger_file
    trades = read_trades(journal, ledger)
    results = read_results(journal, ledger)
    found = report(trades, results.optimism)
    names = names_of(state_beside(config.paper.general.state_file))
    return Report(
        found, trades, names, results.unproven, results.ways_micro_usd, results.per_landed_micro_usd
    )


def _proposed(found: BotReport) -> dict[str, float | None]:
    told = found.proposed
    return {
        "latency_ms": told.latency_ms,
        "latency_blocks": told.latency_blocks,
        "priority_fee_gwei": None if told.priority_fee is None else told.priority_fee / GWEI,
    }


def _trade_json(each: LiveTrade) -> dict[str, Any]:
    fill, place, paper = each.fill, each.place, each.predicted
    return {
        "decision": each.decision.id,
        "strategy": each.decision.strategy,
        "hash": each.signed.hash,
        "decided_block": each.decision.block.number,
        "block": fill.block.number if fill and fill.gas_used else None,
        "status": fill.status.value if fill else "open",
        "net_usd": fill.net_micro_usd / MICRO_USD if fill else None,
        "steps_ms": each.steps._asdict(),
        "place": fill.place if fill and fill.gas_used else None,
        "predicted": paper
        and {
            "block": paper.block.number,
            "place": paper.place,
            "status": paper.outcome.status.value,
            "net_usd": paper.outcome.net_micro_usd / MICRO_USD,
        },
        "places": place.places if place else None,
        "tip_gwei": _gwei(place.tip) if place else None,
        "tip_before_gwei": _gwei(place.before) if place else None,
        "tip_after_gwei": _gwei(place.after) if place else None,
        "tip_ahead_gwei": _gwei(place.ahead) if place else None,
        "copied": place.is_copied if place else None,
    }


def _gwei(wei: int | None) -> float | None:
    return None if wei is None else wei / GWEI


def _steps(found: BotReport) -> Table:
    table = plain_table("Milliseconds from step to step", "step")
    for name in ("p50", "p90", "p99", "of"):
        table.add_column(name, justify="right")
    for name, each in found.steps.items():
        table.add_row(
            STEPS[name],
            f"{each.p50:,.1f}",
            f"{each.p90:,.1f}",
            f"{each.p99:,.1f}",
            f"{each.values}",
        )
    return table


def _places(found: BotReport) -> str:
    told = found.places
    return (
        f"Places as paper told them: {told.there} of {told.compared}; {told.before} before it,"
        f" {told.behind} behind it, {told.median:+g} in the middle."
    )


def _tips(found: BotReport) -> str:
    tips = found.tips
    told = {
        "ours": tips.own,
        "before us": tips.before,
        "behind us": tips.after,
        "who overtook": tips.ahead,
    }
    shown = [f"{name} {each / GWEI:,.6g}" for name, each in told.items() if each is not None]
    return f"Tips in gwei, in the middle: {', '.join(shown) or 'not known'}."


def _latest(found: BotReport) -> Table:
    table = plain_table(f"The newest {counted(min(SHOWN, len(found.trades)), 'trade')}", "block")
    for name in ("out ms", "place", "told", "tip", "before", "behind", "result", "net USD"):
        table.add_column(name, justify="right", no_wrap=True)
    for each in found.trades[-SHOWN:]:
        fill, place = each.fill, each.place
        is_inside = fill is not None and bool(fill.gas_used)
        same = (
            each.predicted is not None
            and fill is not None
            and each.predicted.block.hash == fill.block.hash
        )
        status = "open" if fill is None else fill.status.value
        table.add_row(
            str(fill.block.number) if fill is not None and is_inside else "-",
            "-" if each.steps.out is None else f"{each.steps.out:,.0f}",
            str(fill.place) if fill is not None and is_inside else "-",
            str(each.predicted.place) if each.predicted is not None and same else "-",
            _short(place.tip if place else None),
            _short(place.before if place else None),
            _short(place.after if place else None),
            f"{status}, copied" if place and place.is_copied else status,
            signed_usd(fill.net_micro_usd) if fill else "-",
        )
    return table


def _short(wei: int | None) -> str:
    return "-" if wei is None else f"{wei / GWEI:,.4g}"
