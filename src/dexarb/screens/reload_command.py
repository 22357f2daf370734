"""dexarb reload: let the running trader read its configuration again, and say what came of it."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType

from dexarb.config.live import load_traded
from dexarb.config.paths import rehearsal_ledger
from dexarb.errors import ConfigError, OutsideError
from dexarb.screens.answer import Answer
from dexarb.screens.console import unbroken
from dexarb.screens.output import problem_lines
from dexarb.store.ledger_db import trader_of
from dexarb.store.ledger_notes import RELOAD, TRADER, ReloadOutcome
from dexarb.store.ledger_reader import LedgerReader, read_only

POLL_S = 0.02
REFUSED = 2


@dataclass(frozen=True, slots=True)
class Reload(Answer):
    """What came of it: what changes on standard output; what is wrong on standard error."""

    outcome: ReloadOutcome

    @property
    def exit_code(self) -> int:
        """2 for a configuration that was refused."""
        return 0 if self.outcome.ok else REFUSED

    def problems(self) -> Iterator[str]:
        yield from problem_lines(self.outcome.errors, self.outcome.warnings)
        if not self.outcome.ok:
            yield "refused: everything goes on as before"

    def as_json(self) -> dict[str, Any]:
        return asdict(self.outcome) | {"ok": self.outcome.ok}

    def render(self) -> RenderableType:
        outcome = self.outcome
        if not outcome.ok:
            return Group()
        counts = ", ".join(f"{count} {name}" for name, count in (outcome.counts or {}).items())
        lines = [*outcome.changes, f"reloaded in {outcome.took_ms:.0f} ms: {counts}"]
        return Group(*map(unbroken, lines))


def answer(config_path: Path, *, timeout_s: float) -> Reload:
    """Raises ConfigError(s) for a file that is wrong without asking anybody, and OutsideError where
    no trader runs, or where it does not answer."""
    ledger = load_traded(config_path).general.ledger_file
    pid = trader_of(ledger)
    if pid is None and (pid := trader_of(rehearsal_ledger(ledger))) is not None:
        ledger = rehearsal_ledger(ledger)
    if pid is None:
        raise OutsideError(
            f"no paper-trading or dexarb-bot runs on {ledger}. Start it with --config {config_path}"
        )
    with read_only(ledger) as reader:
        theirs = reader.note(TRADER)
        if theirs is not None and Path(theirs) != config_path.resolve():
            raise ConfigError(
                f"process {pid} trades by {theirs}",
                file=str(config_path),
                remedy=f"Give --config {theirs}",
            )
        return Reload(_ask(pid, ledger, reader, timeout_s))


def _ask(pid: int, ledger: Path, reader: LedgerReader, timeout_s: float) -> ReloadOutcome:
    """Send SIGHUP and wait for the outcome of a reload that began after it."""
    before = reader.note(RELOAD)
    number = before.number if before else 0
    asked_at = time.monotonic()
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGHUP)
    while time.monotonic() - asked_at < timeout_s:
        outcome = reader.note(RELOAD)
        # A reload that was under way may have read the file before it was changed.
        if outcome is not None and outcome.number > number and outcome.clock >= asked_at:
            return outcome
        if trader_of(ledger) != pid:
            raise OutsideError(f"process {pid} has ended before it reloaded: see its log")
        time.sleep(POLL_S)
    raise OutsideError(
        f"process {pid} has not answered within {timeout_s:g} s: it replays its history, or waits "
        f"for a disk. It will still reload; its log and the next dexarb reload tell"
    )
