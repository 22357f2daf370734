"""How far reading a history is, on standard error where that is a terminal."""

from __future__ import annotations

from collections.abc import Iterator

from rich.progress import Progress

from dexarb.screens.console import plain_console
from dexarb.study.walk import Moment, Span, walk

SHOW_EVERY = 64


def progress_bar() -> Progress:
    """Gone when it is done, and nothing at all where standard error is no terminal."""
    console = plain_console(stderr=True)
    return Progress(console=console, transient=True, disable=not console.is_terminal)


def walk_shown(asked: Span) -> Iterator[Moment]:
    """`walk` with a bar."""
    with progress_bar() as progress:
        bar = progress.add_task("reading history", total=asked.blocks)
        for moment in walk(asked):
            yield moment
            number = moment.update.block.number
            if number % SHOW_EVERY == 0:
                progress.update(bar, completed=number - asked.first)
