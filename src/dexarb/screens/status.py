"""dexarb status: how the strategies stand, from the files alone."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.live import Live
from rich.text import Text

from dexarb.config.where import Where, where
from dexarb.core.units import MICRO_USD
from dexarb.errors import InputError, StoreError
from dexarb.screens.collector_health import collector_remarks, proof_line
from dexarb.screens.console import plain_console
from dexarb.screens.output import print_json
from dexarb.screens.tables import ago, strategy_table
from dexarb.store.ledger_rows import Standing
from dexarb.store.snapshot import State, read_state
from dexarb.study.standing import Standings, read_standings

POLL_S = 0.2
AROUND = 12
"""Lines of a watched screen that are no strategies."""
ACTIVE = "active"
IS_COLLECTING_S = 60.0
"""A state older than this makes one ask whether the collector runs."""
MANY_NAMES = 4

_Key = Callable[[Standing], Any]
SORTS: dict[str, _Key] = {
    # An unknown profit comes behind the known ones, in order of what it is at least.
    "profit": lambda row: (row.unplaced > 0, -row.profit_micro_usd, -row.band_low_micro_usd),
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
class Choice:
    """Which strategies to show. text: part of a name or hash, or ACTIVE. limit: of the screen."""

    sort: str | None
    text: str
    limit: int

    def of(self, standings: Standings) -> list[Standing]:
        """JSON keeps the configuration's order, people see the best first."""
        rows = [row for row in standings.rows if self._wants(row, standings)]
        return sorted(rows, key=SORTS[self.sort or "config"])

    def _wants(self, row: Standing, standings: Standings) -> bool:
        if self.text == ACTIVE:
            return standings.state(row) == ACTIVE
        return self.text.casefold() in row.name.casefold() or row.hash.startswith(self.text)


@dataclass(frozen=True, slots=True)
class Look:
    """What the files say. state: None where the collector has not written one."""

    state: State | None
    standings: Standings

    def age_s(self) -> float | None:
        """Seconds since the state's block was seen."""
        if self.state is None:
            return None
        return time.time() - (self.state.block.seen_at or self.state.block.timestamp)


def run(
    config: Path,
    *,
    watch: bool,
    sort: str | None,
    filter_text: str,
    limit: int,
    as_json: bool,
) -> int:
    """Returns 0. Raises ConfigError, InputError, and StoreError where nothing is written yet.
    A watch ends with KeyboardInterrupt."""
    if sort is not None and sort not in SORTS:
        raise InputError(f'--sort "{sort}" is none of {", ".join(SORTS)}')
    files = where(config)
    choice = Choice(sort, filter_text, limit)
    if watch:
        _watch(files, choice, as_json=as_json)
    elif as_json:
        print_json(_json(_look(files), choice))
    else:
        plain_console().print(_screen(_look(files), choice))
    return 0


def _look(files: Where) -> Look:
    standings = read_standings(files.ledger_file)
    try:
        return Look(read_state(files.state_file), standings)
    except StoreError:
        # The ledger of a replay has no collector beside it.
        return Look(None, standings)


def _json(look: Look, choice: Choice) -> dict[str, Any]:
    age_s = look.age_s()
    return {
        "block": look.standings.block,
        "state_block": look.state.block.number if look.state else None,
        "state_age_s": None if age_s is None else round(age_s, 1),
        "collector": dict(look.state.metrics) if look.state else None,
        "strategies": [look.standings.as_json(row) for row in choice.of(look.standings)],
    }


# -- for people -----------------------------------------------------------------------------------


def _screen(look: Look, choice: Choice) -> RenderableType:
    standings = look.standings
    leaders = choice if choice.sort else Choice("profit", choice.text, choice.limit)
    rows = leaders.of(standings)
    shown = rows[: choice.limit]
    parts: list[RenderableType] = [_head(look)]
    if shown:
        states = {row.hash: standings.state(row) for row in shown}
        idle = {key: state for key, state in states.items() if state != ACTIVE}
        parts.append(strategy_table(shown, remarks=idle))
    if len(rows) > len(shown):
        told = f"{len(rows) - len(shown)} more: --limit, --filter and --sort choose"
        parts.append(Text(told, style="dim"))
    if look.state is not None:
        parts.append(Text(proof_line(look.state.metrics), style="dim"))
    parts += [Text(line, style="yellow") for line in _remarks(look, rows, choice)]
    return Group(*parts)


def _head(look: Look) -> Text:
    """`embedded: state of block 70, 3 s old; ledger at block 70`"""
    block = look.standings.block
    ledger = f"ledger at block {block}" if block is not None else "ledger still empty"
    age_s = look.age_s()
    if look.state is None or age_s is None:
        return Text(f"{ledger}; no state of a collector beside it")
    state = f"{look.state.chain}: state of block {look.state.block.number}, {ago(age_s)} old"
    return Text(f"{state}; {ledger}", style="red" if age_s > IS_COLLECTING_S else "")


def _remarks(look: Look, rows: Sequence[Standing], choice: Choice) -> Iterator[str]:
    """What the table does not say, and what to do next."""
    standings, state = look.standings, look.state
    age_s = look.age_s()
    if age_s is not None and age_s > IS_COLLECTING_S:
        yield "The state is old: is data-collector running?"
    if state and standings.block is not None and standings.block < state.block.number:
        behind = state.block.number - standings.block
        yield f"paper-trading is {behind} blocks behind the collector"
    if state is not None:
        yield from collector_remarks(state.metrics)
    if not standings.rows:
        yield "No strategies yet: paper-trading takes them up with the next block it sees"
    elif not rows:
        yield f'No strategy matches "{choice.text}"'
    elif not any(row.sent for row in rows):
        yield "Nothing sent yet. `dexarb why` says what stands in the way of the strategies,"
        yield "`dexarb spreads` what the market offers against what the strategies need."
    if any(row.unplaced for row in rows):
        yield "?: the place of some fills in their block is not known, so only the band is true."
    won = [(row.name, standings.won_over_taker(row)) for row in rows]
    told = [f"{name} {net / MICRO_USD:+,.2f}" for name, net in won if net]
    if told:
        more = [f"and {len(told) - MANY_NAMES} more"] if len(told) > MANY_NAMES else []
        names = ", ".join(told[:MANY_NAMES] + more)
        yield f"Of this, USD won over a taker who was really there: {names}"
    failed = [row.name for row in rows if standings.state(row) == "failed"]
    if failed:
        yield f"Failed in their own code and stopped: {', '.join(failed)}. `dexarb why` has more."


# -- watching -------------------------------------------------------------------------------------


def _watch(files: Where, choice: Choice, *, as_json: bool) -> None:
    """Until interrupted. Something is written only when something has changed."""
    console = plain_console()
    if as_json:
        for look in _changes(files):
            sys.stdout.write(json.dumps(_json(look, choice)) + "\n" if look else "")
            sys.stdout.flush()
    elif not console.is_terminal:
        for look in _changes(files):
            console.print(_screen(look, choice) if look else _waiting(files))
    else:
        with Live(console=console, auto_refresh=False) as live:
            for look in _changes(files, ticking=True):
                fitting = replace(choice, limit=max(1, min(choice.limit, console.height - AROUND)))
                live.update(_screen(look, fitting) if look else _waiting(files), refresh=True)


def _waiting(files: Where) -> Text:
    return Text(f"Waiting for {files.ledger_file}: paper-trading writes it", style="yellow")


def _changes(files: Where, *, ticking: bool = False) -> Iterator[Look | None]:
    """Without end: a look whenever the files have changed, None while there is no ledger.

    ticking: also when the age has, as it is told.
    """
    ledger = files.ledger_file
    watched = (files.state_file, ledger, ledger.with_name(ledger.name + "-wal"))
    marks: object = ()
    failed = False
    told, look = "", None
    while True:
        now = tuple(map(_mark, watched))
        changed = now != marks
        if changed:
            try:
                look = _look(files) if ledger.exists() else None
            except StoreError:
                # A ledger that is just being made has no tables for a moment.
                if failed:
                    raise
                failed = True
                time.sleep(POLL_S)
                continue
            marks, failed = now, False
        age_s = look.age_s() if look and ticking else None
        age = "" if age_s is None else ago(age_s)
        if changed or age != told:
            told = age
            yield look
        time.sleep(POLL_S)


def _mark(path: Path) -> tuple[int, int] | None:
    """What changes whenever the file does."""
    try:
        found = path.stat()
    except FileNotFoundError:
        return None
    return found.st_mtime_ns, found.st_size
