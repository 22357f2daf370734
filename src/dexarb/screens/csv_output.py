"""Answers as CSV on standard output, for spreadsheets and other programs.

Columns only ever come at the end. Integers are exact: micro-USD, wei, smallest units. Text is data:
a spreadsheet takes what begins with `=`, `+`, `-` or `@` for a formula and runs it, so such text
gets an apostrophe before it; what cannot be printed is written as an escape.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Protocol

Cell = str | int | bool | None

_FORMULA = tuple("=+-@\uff1d\uff0b\uff0d\uff20")
"""The last four are the wide forms of the others, which some programs take for them."""


class Tabular(Protocol):
    """What can be shown so."""

    def csv_rows(self) -> Iterable[Mapping[str, Cell]]:
        """All with the same columns, in the same order."""
        ...

    @property
    def csv_columns(self) -> tuple[str, ...]:
        """Also where there are no rows."""
        ...


def show_csv(answer: Tabular) -> int:
    """A header, then a line each. Returns the exit code."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    columns = answer.csv_columns
    writer.writerow(columns)
    for row in answer.csv_rows():
        writer.writerow([written(row[column]) for column in columns])
    sys.stdout.flush()
    return 0


def written(cell: Cell) -> str:
    """As it stands in the file: digits for an integer, nothing for None."""
    if cell is None:
        return ""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    return str(cell) if isinstance(cell, int) else defused(cell)


def defused(text: str) -> str:
    """Text that no spreadsheet runs and no terminal obeys."""
    shown = "".join(each if each.isprintable() else _escape(each) for each in text)
    return f"'{shown}" if shown.lstrip().startswith(_FORMULA) else shown


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")


def iso(timestamp: int | None) -> str | None:
    """`2026-08-01T12:30:00Z`, of UNIX seconds."""
    if timestamp is None:
        return None
    return f"{datetime.fromtimestamp(timestamp, UTC):%Y-%m-%dT%H:%M:%SZ}"
