"""How far reading a history is, on standard error where that is a terminal."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from dexarb.screens.console import plain_console

SHOW_EVERY = 64
YOUNG = 100_000
"""Objects between two collections of garbage while a history is read, Python's own number is 700: a
study makes hundreds a block and keeps those of the last 128 blocks, and none of them is part of a
cycle. That spares it a seventh of its time."""
Item = TypeVar("Item")


def shown(feed: Iterable[Item], what: str, total: int) -> Iterator[Item]:
    """The feed of a study with a bar that is gone when it is done, and nothing at all where
    standard error is no terminal. total: about how many there are."""
    console = plain_console(stderr=True)
    with _rarely_collected():
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


@contextmanager
def _rarely_collected() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(max(YOUNG, before[0]) if before[0] else 0, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def told(stage: str) -> None:
    """A line of standard error on what is being done, where that is a terminal."""
    console = plain_console(stderr=True, highlight=False)
    if console.is_terminal:
        console.print(f"{stage} ...")
