"""dexarb history check: is a history whole?"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from rich.console import Group
from rich.text import Text

from dexarb.apps.console import plain_console
from dexarb.apps.output import print_json
from dexarb.apps.screens.walk import history_reader
from dexarb.apps.tables import plain_table
from dexarb.store.history_check import check as check_history


def check(history: Path | None, *, config: Path, as_json: bool) -> int:
    """Returns 0 for a whole history, 1 for one with something wrong. Raises ConfigError,
    StoreError."""
    folder = history_reader(history, config).folder
    found = check_history(folder)
    if as_json:
        print_json(asdict(found))
        return 0 if found.ok else 1
    table = plain_table(None, "", "")
    table.show_header = False
    for key, value in asdict(found).items():
        if key != "ok":
            table.add_row(key.replace("_", " "), "none" if value in ([], 0) else str(value))
    told = ("whole", "bold green") if found.ok else ("not whole", "bold red")
    head = Text.assemble(f"History {folder}: ", told)
    plain_console(highlight=False).print(Group(head, table), soft_wrap=True)
    return 0 if found.ok else 1
