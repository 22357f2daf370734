"""The one way to a screen: what is printed is text, never markup and never an order to a terminal.

Symbols of tokens are written by anyone; rich would take `[/nope]` in one for its own markup and
raise, or `[link=...]` and obey, and a terminal does what escape codes say and writes backwards
where a character tells it to. So consoles are made here alone, with markup off, and every text
that comes to one, whoever wrote it, loses what is not to be seen. Our own colors are Text.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from dexarb.core.text import UNSEEN, seen


class _PlainConsole(Console):
    """All that is rendered comes through `render`, whatever it stands in. It has been measured
    before that, but rich gives no room to what is dropped here."""

    def render(
        self, renderable: RenderableType, options: ConsoleOptions | None = None
    ) -> Iterable[Segment]:
        if isinstance(renderable, Text):
            renderable = _seen_of(renderable)
        elif isinstance(renderable, str):
            renderable = seen(renderable)
        return super().render(renderable, options)


def _seen_of(text: Text) -> Text:
    """The same in its colors; the very text where all of it can be seen."""
    plain = text.plain
    unseen = [match.start() for match in UNSEEN.finditer(plain)]
    if not unseen:
        return text
    made = text.blank_copy()
    for piece in text.divide(sorted({*unseen, *(place + 1 for place in unseen)})):
        if not UNSEEN.match(piece.plain):
            made.append_text(piece)
    return made


def plain_console(**options: Any) -> Console:
    """options: those of rich's Console."""
    return _PlainConsole(markup=False, emoji=False, **options)


def unbroken(*parts: str | tuple[str, str]) -> Text:
    """A line that stays whole however long, so that paths and addresses in it can be copied.
    parts: text, or text and its style."""
    return Text.assemble(*parts, no_wrap=True, overflow="ignore")
