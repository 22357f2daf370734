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
    found: RenderableType | None = None
    low, high = least, min(most, console.height)
    while low <= high:
        # Names can take two lines or three: how many rows fit is only seen when they are drawn.
        rows = (low + high + 1) // 2
        screen = draw(rows)
        if len(console.render_lines(screen, pad=False)) <= console.height:
            found, low = screen, rows + 1
        else:
            high = rows - 1
    return found
