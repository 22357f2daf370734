"""How far reading a history is, on standard error where that is a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TypeVar

from dexarb.screens.console import plain_console

SHOW_EVERY = 64
Item = TypeVar("Item")


def shown(feed: Iterable[Item], what: str, total: int) -> Iterator[Item]:
    """The feed of a study with a bar that is gone when it is done, and nothing at all where
    standard error is no terminal. total: about how many there are."""
    console = plain_console(stderr=True)
    if not console.is_terminal:
        yield from feed
        return
    from rich.progress import Progress  # a tenth of a second

    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task(what, total=total)
        for done, each in enumerate(feed):
            yield each
            if done % SHOW_EVERY == 0:
                progress.update(bar, completed=done)


def told(stage: str) -> None:
    """A line of standard error on what is being done, where that is a terminal."""
    console = plain_console(stderr=True, highlight=False)
    if console.is_terminal:
        console.print(f"{stage} ...")
