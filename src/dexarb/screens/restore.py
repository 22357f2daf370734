"""dexarb restore: a backup back to where it belongs, all of it or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType

from dexarb.config.run_files import data_at_home, settings_at_home
from dexarb.screens.answer import Answer
from dexarb.screens.console import unbroken
from dexarb.screens.output import counted
from dexarb.screens.progress import told
from dexarb.store.backup_folder import Item, read_list
from dexarb.store.restoring import Restored, restore
from dexarb.store.snapshot import read_state


@dataclass(frozen=True, slots=True)
class RestoredBackup(Answer):
    """What stands where now, and what the check of the history said."""

    source: Path
    restored: Restored

    def problems(self) -> Iterator[str]:
        found = self.restored.history
        for count, what in (
            (len(found.gaps), "gap"),
            (found.duplicates, "duplicate"),
            (found.state_mismatches, "state mismatch"),
        ):
            if count:
                yield f"warning: the history has {counted(count, what)}, as it had before"
        places = {item.kind: place for place, item in self.restored.placed.items()}
        if "state" in places and read_state(places["state"]).history != places["history"]:
            yield (
                f"warning: {places['state']} names another history than {places['history']}: start"
                " data-collector before paper-trading"
            )

    def as_json(self) -> dict[str, Any]:
        backup, found = self.restored.backup, self.restored.history
        return {
            "backup": str(self.source),
            "chain_id": backup.chain_id,
            "made_at": backup.made_at,
            "ledger_entry": backup.entry,
            "history": {"first_block": found.first_block, "last_block": found.last_block},
            "placed": [str(place) for place in self.restored.placed],
            "kept": {str(place): str(kept) for place, kept in self.restored.kept.items()},
        }

    def render(self) -> RenderableType:
        found = self.restored.history
        blocks = f"blocks {found.first_block:,} to {found.last_block:,}" if found.blocks else "none"
        lines = [f"Restored {self.source}: {blocks}"]
        for place in self.restored.placed:
            kept = self.restored.kept.get(place)
            lines.append(f"  {_short(place)}" + (f"  (before: {kept.name})" if kept else ""))
        return Group(*map(unbroken, lines))


def answer(source: Path, *, config: Path, force: bool) -> RestoredBackup:
    """config: where the paper trader's file belongs; the others belong where it and they say.
    Raises StoreError, with everything as it was."""
    items = read_list(source).items
    return RestoredBackup(
        source,
        restore(source, {each: _place(each, config) for each in items}, force=force, tell=told),
    )


def _place(item: Item, config: Path) -> Path:
    if item.kind == "paper":
        return config
    if item.kind == "settings":
        return settings_at_home(item.home, config)
    return data_at_home(item.home, config)


def _short(place: Path) -> str:
    here = Path.cwd()
    return str(place.relative_to(here) if place.is_relative_to(here) else place)
