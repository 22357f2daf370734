"""dexarb history prune: what can go out of a history, and what can no longer be asked then."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from dexarb.config.paths import config_paths
from dexarb.errors import InputError
from dexarb.screens.answer import Answer
from dexarb.screens.output import counted
from dexarb.store.ledger_reader import read_only
from dexarb.store.prune import Old, old_segments, prune
from dexarb.study.checkpoint import STATE_FORMAT
from dexarb.study.span import history_reader

NO_LONGER = (
    "scan, spreads, rivals, winners, census, backruns, map and calibrate of blocks before it",
    "`why A B`, which needs the history from the trader's first block on",
    "a ledger begun anew from before it, and the state of a ledger that has lost its checkpoints",
)
"""What cannot be asked of a history that begins later."""


@dataclass(frozen=True, slots=True)
class PrunedHistory(Answer):
    """done: False where it was only looked at."""

    folder: Path
    old: Old
    done: bool
    archive: Path | None

    def as_json(self) -> dict[str, Any]:
        return {
            "history": str(self.folder),
            "segments": [segment.path.name for segment in self.old.segments],
            "bytes": self.old.size,
            "first_block": self.old.first.number,
            "done": self.done,
            "archive": None if self.archive is None else str(self.archive),
            "no_longer": list(NO_LONGER) if self.old.segments else [],
        }

    def render(self) -> RenderableType:
        if not self.old.segments:
            return Text(f"{self.folder}: nothing is old enough to go")
        what = f"{counted(len(self.old.segments), 'segment')}, {self.old.size / 2**20:,.1f} MiB"
        first = f"{self.folder} begins at block {self.old.first.number:,}"
        if not self.done:
            lines = [f"{what} can go; then {first}", "Not possible any more then:"]
        elif self.archive is None:
            lines = [f"{what} deleted: {first}", "Not possible any more:"]
        else:
            lines = [
                f"{what} moved to {self.archive}: {first}",
                "Not possible any more, until they are moved back:",
            ]
        last = [] if self.done else ["Nothing has changed yet: say --yes"]
        return Group(*map(Text, [*lines, *(f"  {each}" for each in NO_LONGER), *last]))


def answer(
    history: Path | None,
    *,
    config: Path,
    ledgers: Sequence[Path],
    archive: Path | None,
    yes: bool,
) -> PrunedHistory:
    """ledgers: of traders that follow the history, beside the configuration's own. Raises
    ConfigError, InputError, StoreError."""
    reader = history_reader(history, config)
    own = config_paths(config).ledger_file if config.exists() else None
    paths = [path for path in (own, *ledgers) if path is not None and path.exists()]
    missing = [path for path in ledgers if not path.exists()]
    if missing:
        raise InputError(f"--ledger {missing[0]}: there is no such file")
    if not paths:
        raise InputError(
            f"{reader.folder}: no trader's ledger says what is needed of it;"
            " name one with --ledger, or the configuration with --config"
        )
    with ExitStack() as stack:
        books = [stack.enter_context(read_only(path)) for path in paths]
        old = old_segments(reader, books, STATE_FORMAT)
    if yes:
        prune(old, archive)
    return PrunedHistory(reader.folder, old, yes, archive)
