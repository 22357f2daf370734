"""What the demo is doing while there is nothing to see yet, on standard error.

A first start compiles for half a minute: who waits is told for what, again and again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from rich.console import Console

REMIND_EVERY_S = 5.0


class Stages:
    """Says what is being done. remind_every_s: seconds after which it is said that it still is."""

    def __init__(self, console: Console, *, remind_every_s: float = REMIND_EVERY_S) -> None:
        self._console = console
        self._remind_every_s = remind_every_s

    def say(self, text: str) -> None:
        self._console.print(text, style="dim", highlight=False, soft_wrap=True)

    @asynccontextmanager
    async def during(self, what: str) -> AsyncIterator[None]:
        """Say it, and remind of it for as long as the block of the `async with` takes."""
        self.say(what)
        reminding = asyncio.create_task(self._remind(what))
        try:
            yield
        finally:
            reminding.cancel()

    async def _remind(self, what: str) -> None:
        begun_at = time.monotonic()
        while True:
            await asyncio.sleep(self._remind_every_s)
            self.say(f"  still {what} ({time.monotonic() - begun_at:.0f} s)")
