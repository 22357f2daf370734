"""dexarb history check: is a history whole?"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from rich.console import Group
from rich.table import Column, Table
from rich.text import Text

from dexarb.screens.console import plain_console
from dexarb.screens.output import print_json
from dexarb.store.history_check import check as check_history
from dexarb.study.walk import history_reader

SHOWN = 20
"""Ranges and problems that are told one by one."""


def check(history: Path | None, *, config: Path, as_json: bool) -> int:
    """Returns 0 for a whole history, 1 for one with something wrong. Raises ConfigError,
    StoreError."""
    folder = history_reader(history, config).folder
    found = check_history(folder)
    if as_json:
        print_json(asdict(found))
        return 0 if found.ok else 1
    table = Table.grid("", Column(overflow="fold"), padding=(0, 2, 0, 0))
    for key, value in asdict(found).items():
        if key != "ok":
            table.add_row(key.replace("_", " "), _told(value))
    told = ("whole", "bold green") if found.ok else ("not whole", "bold red")
    head = Text.assemble(f"History {folder}: ", told)
    plain_console(highlight=False).print(Group(head, table), soft_wrap=True)
    return 0 if found.ok else 1


def _told(value: object) -> Text:
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
