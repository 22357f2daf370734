"""The one way to a screen: what is printed is text, never markup.

Symbols of tokens are written by anyone; rich would take `[/nope]` in one for its own markup and
raise, or `[link=...]` and obey. So consoles are made here alone, with all of that switched off,
and our own colors are Text.
"""

from __future__ import annotations

from typing import Any

from rich.console import Console


def plain_console(**options: Any) -> Console:
    """options: those of rich's Console."""
    return Console(markup=False, emoji=False, **options)
