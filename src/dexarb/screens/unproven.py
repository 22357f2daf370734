"""What every screen of a bot says beside what it was asked for: it only rehearses, or
trades without a verdict."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dexarb.config.paths import config_paths, is_rehearsal
from dexarb.errors import DexarbError
from dexarb.screens.output import abridged, complain

_LIVE = b"[live]"


def tell_unproven(config: Path) -> None:
    """On standard error, where the file is a bot's."""
    try:
        if _LIVE not in config.read_bytes():
            return
        # `dexarb --help` does without these.
        from dexarb.store.ledger_notes import UNPROVEN
        from dexarb.store.ledger_reader import read_only

        ledger = config_paths(config).ledger_file
        if is_rehearsal(ledger):
            complain("rehearsal: nothing of this was sent")
        with read_only(ledger) as books:
            names = books.note(UNPROVEN)
    except (OSError, DexarbError):
        return  # whoever shows the rest says what is wrong
    if names:
        complain(unproven_line(names))


def unproven_line(names: Sequence[str]) -> str:
    return f"unproven: the bot trades {abridged(names)} without a verdict"
