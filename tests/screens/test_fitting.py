"""As many rows as there are lines for, and not one more."""

from __future__ import annotations

from io import StringIO

import pytest
from rich.text import Text

from dexarb.screens.console import plain_console
from dexarb.screens.fitting import fitting


def page(rows: int, *, lines_a_row: int = 1) -> Text:
    """Two lines, and the rows."""
    return Text("\n".join(["head", "rule", *["row"] * rows * lines_a_row]))


@pytest.mark.parametrize(
    ("height", "most", "shown"), [(12, 30, 10), (12, 4, 4), (12, 10, 10), (3, 30, 1), (40, 30, 30)]
)
def test_rows_fill_the_screen(height: int, most: int, shown: int) -> None:
    console = plain_console(file=StringIO(), width=40, height=height)
    found = fitting(console, page, most)
    assert isinstance(found, Text)
    assert found.plain.count("row") == shown


@pytest.mark.parametrize(("height", "rows"), [(8, 2), (9, 2), (10, 2), (11, 3), (5, 1)])
def test_rows_of_several_lines_are_counted_as_such(height: int, rows: int) -> None:
    console = plain_console(file=StringIO(), width=40, height=height)
    found = fitting(console, lambda count: page(count, lines_a_row=3), 30)
    assert isinstance(found, Text)
    assert found.plain.count("row") == 3 * rows


def test_fewer_than_the_least_are_none() -> None:
    console = plain_console(file=StringIO(), width=40, height=6)
    assert fitting(console, page, 30, 5) is None
    assert fitting(console, page, 30, 4) is not None
    assert fitting(console, page, 0) is None
