"""Doing something until node and disk let us."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

import structlog

from dexarb.errors import OutsideError

T = TypeVar("T")

_log = structlog.get_logger("data-collector")


@dataclass(frozen=True, slots=True)
class Retrying:
    """Pauses in seconds, doubling from the shortest to the longest."""

    shortest_s: float = 0.5
    longest_s: float = 30.0

    async def until_done(self, action: Callable[[], Awaitable[T]]) -> T:
        """A trouble is told when it begins and when it is over, not with every attempt."""
        pause_s, logged = self.shortest_s, ""
        while True:
            try:
                done = await action()
            except OutsideError as error:
                if str(error) != logged:
                    logged = str(error)
                    _log.error("waiting", problem=logged)
            else:
                if logged:
                    _log.info("waiting.over")
                return done
            await asyncio.sleep(pause_s)
            pause_s = self.longer_s(pause_s)

    def longer_s(self, pause_s: float) -> float:
        """The pause after this one."""
        return min(self.longest_s, pause_s * 2)
