"""dexarb report: a run as one file of HTML, made of the same answers as the screens."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from dexarb.config.paths import config_paths
from dexarb.core.trade import StrategyHash
from dexarb.core.units import MICRO_USD, SECONDS_PER_HOUR
from dexarb.errors import ConfigError, DexarbError
from dexarb.screens import (
    backruns,
    calibrate,
    money_map,
    spreads,
    status,
    verdict,
    why,
    winners,
)
from dexarb.screens.answer import Answer
from dexarb.screens.by_whom import TARGET
from dexarb.screens.page import (
    Cell,
    Html,
    Line,
    Section,
    chart,
    page,
    table,
    text_block,
)
from dexarb.screens.tables import as_text, band, signed_usd
from dexarb.screens.when import BlocksAsked, utc
from dexarb.store.files import disk_errors, replace_file
from dexarb.store.ledger_reader import read_only

LINES = 12
"""Strategies in the chart: those whose profit or loss is largest."""
ROWS = 100


@dataclass(frozen=True, slots=True)
class Reported(Answer):
    """missing: sections that could not be made, and why."""

    path: Path
    size: int
    sections: Sequence[str]
    missing: Mapping[str, str]

    def as_json(self) -> dict[str, Any]:
        return {
            "file": str(self.path),
            "bytes": self.size,
            "sections": list(self.sections),
            "missing": dict(self.missing),
        }

    def render(self) -> RenderableType:
        left = f"; without {', '.join(self.missing)}" if self.missing else ""
        return Text(f"{self.path}: {len(self.sections)} sections, {self.size / 1e6:.1f} MB{left}")


def answer(asked: BlocksAsked, out: Path, *, force: bool) -> Reported:
    """asked: the blocks that the studies of the market look at; the books are told whole.

    Raises ConfigError where `out` is there and nobody forces it, StoreError.
    """
    if out.exists() and not force:
        raise ConfigError(
            "is there already", file=str(out), remedy="Name another file, or say --force"
        )
    made: list[Section] = []
    missing: dict[str, str] = {}
    for title, make in _parts(asked):
        try:
            made.append(make())
        except DexarbError as error:
            missing[title] = str(error)
            made.append(Section(title, f"Not to be told: {error}", ()))
    now = status.answer(asked.config, status.Selection(limit=ROWS))
    text = page(*_head(now), made)
    with disk_errors(out, "cannot be written"):
        out.parent.mkdir(parents=True, exist_ok=True)
    replace_file(out, text.encode(), durable=False)
    told = [each.title for each in made if each.title not in missing]
    return Reported(out, len(text.encode()), told, missing)


def _head(now: status.Status) -> tuple[str, str]:
    totals = now.totals
    when = utc(totals.timestamp) if totals.timestamp else "no block yet"
    since = min((each.since for each in totals.periods.values() if each.since), default=None)
    hours = max((each.traded_s for each in totals.periods.values()), default=0) / SECONDS_PER_HOUR
    lasted = f"from {utc(since)} ({hours:,.1f} h) " if since is not None else ""
    return (
        f"dexarb: {len(totals.rows)} strategies at block {totals.block or 0:,}",
        f"Chain {totals.history.name}, {lasted}until {when}. Paper trades are settled to the wei on"
        " what the chain became; the band is what other places in the block would have paid.",
    )


def _parts(asked: BlocksAsked) -> Iterator[tuple[str, Callable[[], Section]]]:
    config = asked.config
    yield "Leaderboard", lambda: _leaderboard(config)
    yield "Profit over time", lambda: _profit(config)
    yield "Verdict", lambda: _verdict(config)
    yield "Why not more", lambda: _shown("Why not more", WHY, why.answer(config, []))
    yield (
        "Spreads",
        lambda: _shown(
            "Spreads",
            SPREADS,
            spreads.answer(asked, size_usd=None, with_strategies=True),
        ),
    )
    yield "Money map", lambda: _map(asked)
    yield "Inside the block", lambda: _shown("Inside the block", INSIDE, backruns.answer(asked))
    yield "Winners", lambda: _shown("Winners", WINNERS, winners.answer(asked, by=TARGET))
    yield (
        "Calibration",
        lambda: _shown(
            "Calibration",
            CALIBRATION,
            calibrate.answer(asked.history, config=config, first=asked.first, last=asked.last),
        ),
    )


WHY = "Where opportunities ended, for each strategy, and what stands most in the way."
SPREADS = "What the market offered, against what the strategies need."
INSIDE = "What opened inside blocks, behind whom, and what of it was still there at their ends."
WINNERS = "Who earned by arbitrage on this chain, through whichever pools."
CALIBRATION = "What others really did, against what our integers say of it."


def _leaderboard(config: Path) -> Section:
    found = status.answer(config, status.Selection(sort="profit", limit=ROWS))
    rows = sorted(
        (found.totals.as_json(row) for row in found.totals.rows),
        key=lambda row: -(row["placed_profit_usd"] or 0.0),
    )
    shown = [
        [
            Cell(row["name"]),
            *(str(row[key]) for key in ("seen", "sent", "filled", "reverted", "lost", "open")),
            _usd(row["profit_usd"]),
            band(*(round(each * MICRO_USD) for each in row["band_usd"])),
            row["state"],
        ]
        for row in rows[:ROWS]
    ]
    heads = ("strategy", "seen", "sent", "fill", "rev", "lost", "open", "net USD", "band USD", "")
    lead = "Net of gas, settled a block later. ? where a place in a block is not known."
    parts = [table(heads, shown, "Leaderboard")]
    if len(rows) > ROWS:
        parts.append(text_block(f"{len(rows) - ROWS:,} more: dexarb status --json"))
    return Section("Leaderboard", lead, parts)


def _usd(value: float | None) -> Cell:
    if value is None:
        return Cell("?")
    micro_usd = round(value * MICRO_USD)
    return Cell(signed_usd(micro_usd).plain, (micro_usd > 0) - (micro_usd < 0))


def _profit(config: Path) -> Section:
    with read_only(config_paths(config).ledger_file) as ledger:
        names = {row.hash: row.name for row in ledger.strategies()}
        fills = sorted(
            (row.fill.block.timestamp, row.fill.decision.strategy, row.fill.net_micro_usd)
            for row in ledger.fills()
        )
    sums: dict[StrategyHash, int] = {}
    for _, strategy, net in fills:
        sums[strategy] = sums.get(strategy, 0) + net
    most = sorted(sums, key=lambda each: -abs(sums[each]))[:LINES]
    if not fills:
        return Section("Profit over time", "No trade has been settled yet.", ())
    x: list[float] = []
    lines: dict[StrategyHash, list[float]] = {each: [] for each in most}
    running = dict.fromkeys(most, 0)
    for at, (second, strategy, net) in enumerate(fills):
        if strategy in running:
            running[strategy] += net
        if at + 1 == len(fills) or fills[at + 1][0] != second:
            x.append(float(second))
            for each in most:
                lines[each].append(running[each] / MICRO_USD)
    drawn = [Line(names[each], lines[each]) for each in most]
    lead = f"Net USD by the block's time, of the {len(most)} largest."
    return Section(
        "Profit over time",
        lead,
        [chart(x, drawn, x_label="time (UTC)", y_label="net USD", time=True)],
    )


def _verdict(config: Path) -> Section:
    found = verdict.answer(None, config).as_json()
    rows = [
        [
            Cell(row["name"]),
            row["verdict"],
            _usd(row["net_usd"]),
            str(row["settled"]),
            str(row["days"]),
            Cell(row["reason"], wide=True),
        ]
        for row in found["strategies"][:ROWS]
    ]
    lead = (
        f"Who may be called a winner, of {found['family_size']:,} that were ever tried here. Paper"
        " alone promotes nobody."
    )
    heads = ("strategy", "verdict", "net USD", "settled", "days", Cell("why", wide=True))
    return Section("Verdict", lead, [table(heads, rows, "Verdict")])


def _map(asked: BlocksAsked) -> Section:
    found = money_map.answer(asked, tips_gwei=())
    told = found.as_json()
    ways = {
        "without seeing the trigger": told["without_trigger"]["tips"],
        "seeing the trigger": told["with_trigger"]["tips"],
    }
    tips = sorted({row["tip_gwei"] for rows in ways.values() for row in rows})
    lines = []
    for name, rows in ways.items():
        at = {row["tip_gwei"]: row["net_usd_a_day"] for row in rows}
        lines.append(Line(name, [at.get(tip) for tip in tips]))
    parts: list[Html] = []
    if tips:
        parts.append(chart(tips, lines, x_label="tip, gwei", y_label="net USD a day", log=True))
    parts.append(text_block(as_text(found.render())))
    lead = "Net USD a day against the tip: one send for each open cycle, rivals frozen."
    return Section("Money map", lead, parts)


def _shown(title: str, lead: str, found: Answer) -> Section:
    """As on a terminal."""
    return Section(title, lead, [text_block(as_text(found.render()))])
