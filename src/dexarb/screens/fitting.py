"""What fits on a terminal: as many strategies as there are lines for."""

from __future__ import annotations

from collections.abc import Callable

from rich.console import Console, RenderableType


def fitting(
    console: Console, draw: Callable[[int], RenderableType], most: int, least: int = 1
) -> RenderableType | None:
    """A screen that is no higher than the terminal, with as many rows as that allows.

    draw: the screen with so many rows. None where not even `least` of them fit.
    """
    rows = min(most, console.height)
    while rows >= least:
        screen = draw(rows)
        over = len(console.render_lines(screen, pad=False)) - console.height
        if over <= 0:
            return screen
        # A row takes at least a line, so that no fewer can do.
        rows = rows - over if rows - over >= least else rows - 1
    return None
