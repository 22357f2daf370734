"""dexarb-bot status: armed or why not, what came of what was sent, and how far paper was off."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from dexarb.config.live import load_live
from dexarb.config.paths import rehearsal_ledger
from dexarb.core.sending import Twin
from dexarb.core.token import Address
from dexarb.core.units import MICRO_USD
from dexarb.screens.answer import Answer
from dexarb.screens.names import state_beside
from dexarb.screens.output import counted
from dexarb.screens.tables import plain_table, usd
from dexarb.screens.unproven import unproven_line
from dexarb.store.journal import bot_of
from dexarb.store.ledger_db import trader_of
from dexarb.study.live_results import LaneResults, LiveResults, Optimism, read_results
from dexarb.study.live_trades import LiveTrades, read_trades

SHOWN = 8
LANE_LENGTH = 10
NEWEST = 200
"""Transactions whose blocks are read for what was copied: that takes time."""
MOST_PERCENT = 1_000
"""Beyond that a percentage tells how little life paid, and nothing of paper."""


@dataclass(frozen=True, slots=True)
class BotStatus(Answer):
    """process: of the bot that runs, None where none does. rehearses: it sends nothing. finalized:
    the newest block that no reorganisation reaches, None where the chain does not say. copied: by
    lane, of so many of the newest trades whose block is known; see `study.live_trades`."""

    results: LiveResults
    process: int | None
    rehearses: bool = False
    finalized: int | None = None
    copied: Mapping[Address, tuple[int, int]] = field(default_factory=dict)

    @property
    def final(self) -> int | None:
        """Included trades that no reorganisation reaches."""
        if self.finalized is None:
            return None
        return sum(number <= self.finalized for number in self.results.blocks)

    def as_json(self) -> dict[str, Any]:
        found = self.results
        return {
            "armed": found.armed,
            "reason": found.reason,
            "process": self.process,
            "rehearses": self.rehearses,
            "unproven": list(found.unproven),
            "lanes": [self._lane_json(each) for each in found.lanes],
            "sent": found.sent,
            "included": found.included,
            "filled": found.filled,
            "reverted": found.reverted,
            "final": self.final,
            "finalized_block": self.finalized,
            "dropped": sum(found.dropped.values()),
            "dropped_by_reason": dict(found.dropped),
            "open": found.open,
            "profit_usd": found.profit_micro_usd / MICRO_USD,
            "gas_usd": found.gas_micro_usd / MICRO_USD,
            "ways_usd": found.ways_micro_usd / MICRO_USD,
            "twins": found.twins,
            "differences": sum(found.differences.values()),
            "differences_by_kind": dict(found.differences),
            "optimism_percent": found.optimism.percent,
            "optimism_usd": {
                name: value / MICRO_USD
                for name, value in found.optimism._asdict().items()
                if name != "trades"
            },
            "avoided": dict(found.avoided),
            "rehearsed": {
                "run": len(found.rehearsed),
                "refused": sum(each.amount_out is None for each in found.rehearsed),
            },
        }

    def _lane_json(self, lane: LaneResults) -> dict[str, Any]:
        copied, known = self.copied.get(lane.lane, (None, 0))
        return {
            **lane._asdict(),
            "open": lane.open and lane.open._asdict(),
            "copied": copied,
            "copied_of": known,
        }

    def render(self) -> RenderableType:
        found = self.results
        parts: list[RenderableType] = [_headline(self), Text(_sums(self))]
        if found.unproven:
            parts.insert(1, Text(unproven_line(found.unproven), style="bold yellow"))
        if found.lanes:
            parts.append(_lanes(self))
        if found.latest:
            parts.append(_twins(found))
        parts.append(Text(said_of(found.optimism)))
        kinds = ", ".join(f"{count} {kind}" for kind, count in found.differences.items())
        parts.append(Text(f"Twins: {found.twins}, {kinds or 'no difference'}"))
        parts += [
            Text(f"not sent, {times}: {reason}", style="dim")
            for reason, times in [*found.dropped.items()][:SHOWN]
        ]
        if found.avoided:
            parts.append(Text("Avoided, until dexarb-bot trust or that block:", style="yellow"))
            parts += [Text(f" {each}  {why}") for each, why in found.avoided.items()]
        if found.rehearsed:
            refused = sum(each.amount_out is None for each in found.rehearsed)
            line = f"Rehearsed: {counted(len(found.rehearsed), 'decision')}, {refused} refused"
            parts.append(Text(line))
        return Group(*parts)


def answer(config_path: Path) -> BotStatus:
    """Raises ConfigError, StoreError."""
    config = load_live(config_path)
    ledger = config.paper.general.ledger_file
    found = read_results(config.journal_file, ledger)
    process = bot_of(config.journal_file)
    rehearses = process is not None and trader_of(rehearsal_ledger(ledger)) == process
    state = state_beside(config.paper.general.state_file)
    finalized = state.metrics.get("finalized_block") if state else None
    copied = _copied(read_trades(config.journal_file, ledger, NEWEST))
    return BotStatus(found, process, rehearses, finalized, copied)


def said_of(found: Optimism) -> str:
    """How far paper was off, in one line: in percent of what life paid, where that says anything,
    and in USD."""
    if not found.trades:
        return "Nothing to compare with paper yet."
    way = "too good" if found.total > 0 else "too bad"
    percent = found.percent
    parts = {
        "place": found.place,
        "delay": found.delay,
        "gas": found.gas,
        "tip": found.tip,
        "not included": found.not_included,
    }
    sign = 1 if found.total > 0 else -1
    if percent is not None and abs(percent) <= MOST_PERCENT:
        how_much = f"{abs(percent):.1f} % ({usd(abs(found.total))} USD)"
        told = {name: f"{sign * 100 * each / abs(found.live):.1f}" for name, each in parts.items()}
    else:
        how_much = f"{usd(abs(found.total))} USD"
        told = {name: usd(sign * each) for name, each in parts.items()}
    shares = ", ".join(f"{told[name]} {name}" for name, each in parts.items() if each)
    return f"Paper was {how_much} {way} over {counted(found.trades, 'trade')}" + (
        f": {shares}." if shares else "."
    )


def _headline(status: BotStatus) -> Text:
    found = status.results
    if status.rehearses:
        return Text(f"rehearses, process {status.process}: nothing is sent", style="bold")
    runs = f"process {status.process}" if status.process else "not running"
    if found.armed:
        return Text(f"armed, {runs}", style="bold")
    return Text(f"not armed, {runs}: {found.reason}", style="bold yellow")


def _sums(status: BotStatus) -> str:
    found = status.results
    final = f", {status.final} final" if status.final is not None else ""
    return (
        f"{found.sent} sent, {found.included} included ({found.filled} filled, {found.reverted}"
        f" reverted{final}), {found.open} open; net {usd(found.profit_micro_usd)} USD, gas"
        f" {usd(found.gas_micro_usd)} USD"
    ) + charged(found.ways_micro_usd)


def charged(ways_micro_usd: int) -> str:
    return f"; the ways charge {usd(ways_micro_usd)} USD" if ways_micro_usd else ""


def _copied(trades: LiveTrades) -> dict[Address, tuple[int, int]]:
    """By lane: how many, and of how many."""
    found: dict[Address, tuple[int, int]] = {}
    for each in trades.trades:
        if each.place is not None:
            copied, known = found.get(each.signed.lane, (0, 0))
            found[each.signed.lane] = copied + each.place.is_copied, known + 1
    return found


def _lanes(status: BotStatus) -> RenderableType:
    table = plain_table(None, "lane")
    for name in ("signed", "landed", "filled", "missed", "blocks", "place", "copied"):
        table.add_column(name, justify="right")
    table.add_column("open")
    for lane in status.results.lanes:
        copied, known = status.copied.get(lane.lane, (0, 0))
        table.add_row(
            f"{lane.lane[:LANE_LENGTH]}..",
            *(str(each) for each in (lane.signed, lane.landed, lane.filled, lane.missed)),
            f"{lane.blocks / lane.landed:.1f}" if lane.landed else "-",
            "-" if lane.off is None else f"{lane.off:+g}",
            f"{copied}/{known}" if known else "-",
            lane.open.state if lane.open else "-",
        )
    return table


def _twins(found: LiveResults) -> RenderableType:
    table = plain_table("Live beside its twin, behind the same transactions", "block")
    for name in ("place", "live", "net USD", "twin", "net USD", "difference"):
        table.add_column(name, justify="right")
    for each in found.latest:
        twin = each.twin
        table.add_row(
            str(each.block.number),
            str(each.place),
            each.live.status,
            usd(each.live.net_micro_usd),
            twin.status if twin else "?",
            usd(twin.net_micro_usd) if twin else "?",
            _how_far(each),
        )
    return table


def _how_far(each: Twin) -> str:
    """Of the amounts, and of the gas."""
    if each.twin is None:
        return each.difference
    wei = each.live.amount_out - each.twin.amount_out
    gas = 100 * (each.live.gas_used - each.twin.gas_used) / max(each.twin.gas_used, 1)
    return f"{wei} wei, {gas:+.1f} % gas"
