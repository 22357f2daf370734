"""dexarb history check: is a history whole?"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from dexarb.screens.answer import Answer
from dexarb.screens.console import unbroken
from dexarb.store.history_check import HistoryCheck, check
from dexarb.study.span import history_reader

SHOWN = 20
"""Ranges and problems that are told one by one."""


@dataclass(frozen=True, slots=True)
class CheckedHistory(Answer):
    """A history that has been read from its beginning to its end."""

    folder: Path
    found: HistoryCheck

    @property
    def exit_code(self) -> int:
        """1 where something is wrong."""
        return 0 if self.found.ok else 1

    def as_json(self) -> dict[str, Any]:
        return asdict(self.found)

    def render(self) -> RenderableType:
        table = Table.grid("", Column(overflow="fold"), padding=(0, 2, 0, 0))
        for key, value in asdict(self.found).items():
            if key != "ok":
                table.add_row(key.replace("_", " "), _ranges(value))
        verdict = ("whole", "bold green") if self.found.ok else ("not whole", "bold red")
        return Group(unbroken(f"History {self.folder}: ", verdict), table)


def answer(history: Path | None, *, config: Path) -> CheckedHistory:
    """Raises ConfigError, StoreError."""
    folder = history_reader(history, config).folder
    return CheckedHistory(folder, check(folder))


def _ranges(value: object) -> Text:
    """Ranges as `5,001 to 5,003`, a number alone where both ends are the same."""
    if value in (0, None) or value == []:
        return Text("none")
    if not isinstance(value, list):
        return Text(f"{value:,}")
    shown = [_range(each) if isinstance(each, tuple) else str(each) for each in value[:SHOWN]]
    if len(value) > SHOWN:
        shown.append(f"and {len(value) - SHOWN:,} more")
    return Text("\n".join(shown))


def _range(ends: tuple[int, int]) -> str:
    first, last = ends
    return f"{first:,}" if first == last else f"{first:,} to {last:,}"
