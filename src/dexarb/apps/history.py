"""dexarb history check: is a history whole?"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from dexarb.apps.output import print_json
from dexarb.store.history_check import check as check_history


def check(folder: Path, *, as_json: bool) -> int:
    """Returns 0 for a whole history, 1 for one with something wrong."""
    found = check_history(folder)
    if as_json:
        print_json(asdict(found))
    else:
        table = Table(title=f"History {folder}", show_header=False)
        for key, value in asdict(found).items():
            table.add_row(key.replace("_", " "), "none" if value in ([], 0) else str(value))
        Console().print(table)
    return 0 if found.ok else 1
