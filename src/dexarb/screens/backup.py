"""dexarb backup: books, history, state and settings as one folder, while the programs go on."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from msgspec import structs
from rich.console import RenderableType

from dexarb.config.run_files import RunFiles, run_files
from dexarb.errors import StoreError
from dexarb.screens.answer import Answer
from dexarb.screens.console import unbroken
from dexarb.screens.output import counted
from dexarb.screens.progress import shown, told
from dexarb.store.backup import BackupRun, Source
from dexarb.store.backup_folder import Backup
from dexarb.store.ledger_reader import read_only
from dexarb.store.snapshot import read_state
from dexarb.store.trials import register_of


@dataclass(frozen=True, slots=True)
class BackedUp(Answer):
    """A backup that has been made."""

    folder: Path
    backup: Backup

    @property
    def bytes(self) -> int:
        return sum(each.size for each in self.backup.contents)

    def as_json(self) -> dict[str, Any]:
        return {
            "folder": str(self.folder),
            "chain_id": self.backup.chain_id,
            "made_at": self.backup.made_at,
            "ledger_entry": self.backup.entry,
            "files": len(self.backup.contents),
            "bytes": self.bytes,
            "items": [structs.asdict(each) for each in self.backup.items],
        }

    def render(self) -> RenderableType:
        backup = self.backup
        books = "no books yet" if backup.entry is None else f"books up to entry {backup.entry:,}"
        size = f"{counted(len(backup.contents), 'file')}, {self.bytes / 1e6:,.1f} MB"
        return unbroken(f"Backup {self.folder}: {books}; {size}")


def answer(target: Path, *, config: Path) -> BackedUp:
    """Raises ConfigError, and StoreError where nothing has been made."""
    with BackupRun(target, _source(run_files(config))) as run:
        segments = run.begin()
        for _ in shown(run.copy(segments), "copying the history", len(segments)):
            pass
        told("looking into the copy")
        return BackedUp(target, run.finish())


def _source(files: RunFiles) -> Source:
    state = files.state.path if files.state.path.exists() else None
    ledger = files.ledger.path if files.ledger.path.exists() else None
    if state is not None:
        folder = read_state(state).history
    elif ledger is not None:
        with read_only(ledger) as books:
            folder = books.history
    else:
        raise StoreError(
            files.state.path,
            "does not exist, nor does a ledger: there is nothing to back up",
            "Name the paper trader's file with --config",
        )
    history = files.history(folder)
    there = [each for each in (files.state, files.ledger) if each.path in (state, ledger)]
    trials = files.history(register_of(folder))
    homes = {each.path: each.home for each in (*files.settings, *there, history, trials)}
    register = trials.path if trials.path.exists() else None
    return Source([each.path for each in files.settings], state, ledger, folder, register, homes)
