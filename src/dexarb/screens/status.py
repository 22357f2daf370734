"""dexarb status: how the strategies stand, from the files alone."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from dexarb.config.paths import ConfigPaths, config_paths
from dexarb.core.text import as_name, in_a_line
from dexarb.errors import InputError, StoreError
from dexarb.screens.answer import Answer
from dexarb.screens.blockspace_lines import blockspace_lines
from dexarb.screens.collector_health import collector_remarks, proof_line, usage_line, usage_of
from dexarb.screens.console import plain_console
from dexarb.screens.csv_output import Cell
from dexarb.screens.fitting import fitting
from dexarb.screens.names import names_of, state_beside
from dexarb.screens.probe_lines import probing_as_json, probing_lines, probing_remarks
from dexarb.screens.status_lines import change_lines, since_line
from dexarb.screens.stopped import words
from dexarb.screens.strategy_row import STRATEGY_COLUMNS, strategy_row
from dexarb.screens.tables import COUNTS, ago, signed_usd, strategy_table
from dexarb.screens.when import When, range_of
from dexarb.store.ledger_rows import ALL_BLOCKS, StrategyTotals
from dexarb.store.snapshot import State
from dexarb.study.blockspace import BLOCKSPACE
from dexarb.study.last_change import last_change_as_json
from dexarb.study.totals import Totals, read_totals

POLL_S = 0.2
SEEN_AT_LEAST = 5
"""Strategies on a watched screen; what else there is to say gives way to them."""
ACTIVE, STOPPED = "active", "stopped"
IS_COLLECTING_S = 60.0
"""A state older than this makes one ask whether the collector runs."""
MOST_OF_CHAIN = 40
MANY_NAMES = 4
UNPLACED = "?: without fills whose place is not known: of these only the band is true."

_Key = Callable[[StrategyTotals], Any]
SORTS: dict[str, _Key] = {
    # Of equals those first of whom all is known.
    "profit": lambda row: (-row.placed_micro_usd, row.unplaced > 0, -row.band_low_micro_usd),
    "band": lambda row: -row.band_high_micro_usd,
    "seen": lambda row: -row.seen,
    "sent": lambda row: -row.sent,
    "filled": lambda row: -row.filled,
    "reverted": lambda row: -row.reverted,
    "lost": lambda row: -row.lost,
    "open": lambda row: -row.open,
    "name": lambda row: row.name.casefold(),
    "config": lambda _: 0,
}
"""By a figure, greatest first; `config`: as the configuration has them."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which strategies to show. text: part of a name or hash, or ACTIVE or STOPPED. limit: of the
    screen. first: COUNTS or PERFORMANCE, what of them is shown where there is not room for all.
    begin, end: only what was decided in these blocks is counted."""

    sort: str | None = None
    text: str = ""
    limit: int = 30
    first: str = COUNTS
    begin: When | None = None
    end: When | None = None

    def __post_init__(self) -> None:
        """Raises InputError."""
        if self.sort is not None and self.sort not in SORTS:
            raise InputError(f'--sort "{self.sort}" is none of {", ".join(SORTS)}')

    def of(self, totals: Totals) -> list[StrategyTotals]:
        """JSON keeps the configuration's order, people see the best first."""
        rows = [row for row in totals.rows if self._wants(row, totals)]
        return sorted(rows, key=SORTS[self.sort or "config"])

    def _wants(self, row: StrategyTotals, totals: Totals) -> bool:
        if self.text in (ACTIVE, STOPPED):
            return totals.state(row) == self.text
        return self.text.casefold() in row.name.casefold() or row.hash.startswith(self.text)


@dataclass(frozen=True, slots=True)
class Status(Answer):
    """What the files say. state: None where the collector has not written one."""

    state: State | None
    totals: Totals
    selection: Selection

    def age_s(self) -> float | None:
        """Seconds since the state's block was seen; 0 where it says later than this clock."""
        ahead_s = self.ahead_s()
        return None if ahead_s is None else max(0.0, -ahead_s)

    def ahead_s(self) -> float | None:
        """Seconds that the state's block is ahead of this machine's clock; negative: behind."""
        if self.state is None:
            return None
        return (self.state.block.seen_at or self.state.block.timestamp) - time.time()

    def as_json(self) -> dict[str, Any]:
        age_s = self.age_s()
        rows = self.selection.of(self.totals)
        return {
            "block": self.totals.block,
            "state_block": self.state.block.number if self.state else None,
            "state_age_s": None if age_s is None else round(age_s, 1),
            "collector": dict(self.state.metrics) if self.state else None,
            "timestamp": self.totals.timestamp,
            "since": self.totals.since,
            "until": self.totals.until,
            "last_change": last_change_as_json(self.totals.change),
            "usage": usage_of(self.state.metrics) if self.state else None,
            "probing": probing_as_json(self.totals.probed),
            BLOCKSPACE: self.state.metrics.get(BLOCKSPACE) if self.state else None,
            "strategies": [self.totals.as_json(row) for row in rows],
        }

    @property
    def csv_columns(self) -> tuple[str, ...]:
        return STRATEGY_COLUMNS

    def csv_rows(self) -> Iterator[Mapping[str, Cell]]:
        """All that --filter leaves, as in JSON."""
        rows = self.selection.of(self.totals)
        return (strategy_row(row, self.totals) for row in rows)

    def render(self) -> RenderableType:
        return self.screen(self.ranked(), self.selection.limit)

    def ranked(self) -> list[StrategyTotals]:
        """People see the best first."""
        return replace(self.selection, sort=self.selection.sort or "profit").of(self.totals)

    def screen(
        self, rows: Sequence[StrategyTotals], limit: int, *, is_brief: bool = False
    ) -> RenderableType:
        """is_brief: without what else there is to say, where there is no room for it."""
        totals = self.totals
        shown = rows[:limit]
        parts: list[RenderableType] = [_head(self)]
        if shown:
            states = {row.hash: totals.state(row) for row in shown}
            idle = {key: state for key, state in states.items() if state != ACTIVE}
            done = [totals.performance(row) for row in shown]
            first = self.selection.first
            table = strategy_table(shown, remarks=idle, performances=done, first=first)
            parts.append(table if totals.blocks == ALL_BLOCKS else table.without("seen"))
        if len(rows) > len(shown):
            more = f"{len(rows) - len(shown):,} more: --limit, --filter and --sort choose"
            parts.append(Text(more, style="dim"))
        if not is_brief:
            metrics = self.state.metrics if self.state is not None else None
            told = [
                since_line(totals, rows),
                *change_lines(totals.change, totals.timestamp),
                proof_line(metrics) if metrics is not None else None,
                usage_line(metrics) if metrics is not None else None,
                *probing_lines(totals.probed, names_of(self.state)),
                *blockspace_lines((metrics or {}).get(BLOCKSPACE) or {}),
            ]
            parts += [Text(line, style="dim") for line in told if line is not None]
            parts += [Text(line, style="yellow") for line in _remarks(self, rows)]
        return Group(*parts)


def answer(config: Path, selection: Selection) -> Status:
    """Raises ConfigError, and StoreError where nothing is written yet."""
    return _read(config_paths(config), selection)


def _read(files: ConfigPaths, selection: Selection) -> Status:
    state = state_beside(files.state_file)  # none beside the ledger of a replay
    now = state.block.timestamp if state else None
    wanted = partial(range_of, selection.begin, selection.end)
    return Status(state, read_totals(files.ledger_file, now, wanted), selection)


def _head(status: Status) -> Text:
    """`embedded: state of block 70, 3 s old; ledger at block 70`"""
    block = status.totals.block
    ledger = f"ledger at block {block}" if block is not None else "ledger still empty"
    age_s = status.age_s()
    if status.state is None or age_s is None:
        return Text(f"{ledger}; no state of a collector beside it")
    chain = in_a_line(status.state.chain, MOST_OF_CHAIN)
    state = f"{chain}: state of block {status.state.block.number}, {ago(age_s)} old"
    return Text(f"{state}; {ledger}", style="red" if age_s > IS_COLLECTING_S else "")


def _remarks(status: Status, rows: Sequence[StrategyTotals]) -> Iterator[str]:
    """What the table does not say, and what to do next."""
    totals, state = status.totals, status.state
    age_s = status.age_s()
    if age_s is not None and age_s > IS_COLLECTING_S:
        yield "The state is old: is data-collector running?"
    ahead_s = status.ahead_s()
    # Where the collector knows how far the clock is off, it says so below.
    if ahead_s is not None and ahead_s >= 1 and state and not state.metrics.get("clock_offset_s"):
        yield f"The state's block is {ago(ahead_s)} ahead of this machine's clock: is that right?"
    if state and totals.block is not None and totals.block < state.block.number:
        behind = state.block.number - totals.block
        yield f"paper-trading is {behind} blocks behind the collector"
    if state is not None:
        yield from collector_remarks(state.metrics)
    yield from probing_remarks(totals.probed)
    if not totals.rows:
        yield "No strategies yet: paper-trading takes them up with the next block it sees"
    elif not rows:
        yield f'No strategy matches "{status.selection.text}"'
    elif not any(row.sent for row in rows):
        when = "yet" if totals.blocks == ALL_BLOCKS else "in these blocks"
        yield f"Nothing sent {when}. `dexarb why` says what stands in the way of the strategies,"
        yield "`dexarb spreads` what the market offers against what the strategies need."
    if any(row.unplaced for row in rows):
        yield UNPLACED
    won = [(as_name(row.name), totals.won_over_taker(row)) for row in rows]
    gains = [f"{name} {signed_usd(net).plain}" for name, net in won if net]
    if gains:
        more = [f"and {len(gains) - MANY_NAMES} more"] if len(gains) > MANY_NAMES else []
        names = ", ".join(gains[:MANY_NAMES] + more)
        yield f"Of this, USD won over a taker who was really there: {names}"
    yield from _stopped(totals, rows)
    failed = [as_name(row.name) for row in rows if totals.state(row) == "failed"]
    if failed:
        yield f"Failed in their own code and stopped: {', '.join(failed)}. `dexarb why` has more."


def _stopped(totals: Totals, rows: Sequence[StrategyTotals]) -> Iterator[str]:
    found = [
        (as_name(row.name), totals.stops[row.hash]) for row in rows if totals.state(row) == STOPPED
    ]
    for name, stop in found[:MANY_NAMES]:
        yield f"{name}: {words(stop)}"
    if len(found) > MANY_NAMES:
        yield f"and {len(found) - MANY_NAMES} more are stopped: --filter stopped shows them"


# -- watching -------------------------------------------------------------------------------------


def follow(config: Path, selection: Selection, *, as_json: bool) -> None:
    """Until interrupted. Something is written only when something has changed.

    Raises ConfigError, StoreError.
    """
    files = config_paths(config)
    console = plain_console()
    if as_json:
        for status in _changes(files, selection):
            sys.stdout.write(json.dumps(status.as_json()) + "\n" if status else "")
            sys.stdout.flush()
    elif not console.is_terminal:
        for status in _changes(files, selection):
            console.print(status.render() if status else _waiting(files))
    else:
        with Live(console=console, auto_refresh=False) as live:
            for status in _changes(files, selection, ticking=True):
                live.update(_fit(status, console) if status else _waiting(files), refresh=True)


def _fit(status: Status, console: Console) -> RenderableType:
    """The strategies first: on twelve lines they are seen, and nothing but them."""
    rows = status.ranked()
    limit = status.selection.limit
    enough = min(limit, len(rows), SEEN_AT_LEAST)
    whole = fitting(console, partial(status.screen, rows), limit, enough)
    brief = partial(status.screen, rows, is_brief=True)
    return whole or fitting(console, brief, limit) or brief(1)


def _waiting(files: ConfigPaths) -> Text:
    return Text(f"Waiting for {files.ledger_file}: paper-trading writes it", style="yellow")


def _changes(
    files: ConfigPaths, selection: Selection, *, ticking: bool = False
) -> Iterator[Status | None]:
    """Without end: whenever the files have changed, and None while there is no ledger.

    ticking: also when the age has, as it is shown.
    """
    ledger = files.ledger_file
    watched = (files.state_file, ledger, ledger.with_name(ledger.name + "-wal"))
    marks: object = ()
    failed = False
    shown, status = "", None
    while True:
        now = tuple(map(_mark, watched))
        changed = now != marks
        if changed:
            try:
                status = _read(files, selection) if ledger.exists() else None
            except StoreError:
                # A ledger that is just being made has no tables for a moment.
                if failed:
                    raise
                failed = True
                time.sleep(POLL_S)
                continue
            marks, failed = now, False
        age_s = status.age_s() if status and ticking else None
        age = "" if age_s is None else ago(age_s)
        if changed or age != shown:
            shown = age
            yield status
        time.sleep(POLL_S)


def _mark(path: Path) -> tuple[int, int] | None:
    """What changes whenever the file does."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_size
