"""dexarb reload: let the running trader read its configuration again, and say what came of it."""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path

from dexarb.config.paper import load_paper
from dexarb.errors import ConfigError, OutsideError
from dexarb.screens.output import print_json
from dexarb.store.ledger_db import trader_of
from dexarb.store.ledger_notes import RELOAD, TRADER, Reload
from dexarb.store.ledger_reader import LedgerReader, read_only

POLL_S = 0.02
REFUSED = 2


def run(config_path: Path, *, timeout_s: float, as_json: bool) -> int:
    """Returns 0 for a reload that took effect, 2 for one that was refused.

    Raises ConfigError(s) for a file that is wrong without asking anybody, and OutsideError where
    no trader runs, or where it does not answer.
    """
    config = load_paper(config_path)
    ledger = config.general.ledger_file
    pid = trader_of(ledger)
    if pid is None:
        raise OutsideError(
            f"no paper-trading runs on {ledger}. Start it with --config {config_path}"
        )
    with read_only(ledger) as reader:
        theirs = reader.note(TRADER)
        if theirs is not None and Path(theirs) != config_path.resolve():
            raise ConfigError(
                f"process {pid} trades by {theirs}",
                file=str(config_path),
                remedy=f"Give --config {theirs}",
            )
        outcome = _ask(pid, ledger, reader, timeout_s)
    if as_json:
        print_json(asdict(outcome) | {"ok": outcome.ok})
    else:
        _print(outcome)
    return 0 if outcome.ok else REFUSED


def _ask(pid: int, ledger: Path, reader: LedgerReader, timeout_s: float) -> Reload:
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


def _print(outcome: Reload) -> None:
    """What changes on standard output; what is wrong, as always, on standard error."""
    for error in outcome.errors:
        sys.stderr.write(f"error: {error}\n")
    for warning in outcome.warnings:
        sys.stderr.write(f"warning: {warning}\n")
    if not outcome.ok:
        sys.stderr.write("refused: everything goes on as before\n")
        return
    for line in outcome.changes:
        sys.stdout.write(f"{line}\n")
    counts = ", ".join(f"{count} {name}" for name, count in (outcome.counts or {}).items())
    sys.stdout.write(f"reloaded in {outcome.took_ms:.0f} ms: {counts}\n")
