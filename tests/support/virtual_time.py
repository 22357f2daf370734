"""An event loop whose clock jumps: whatever waits, waits no time at all.

Pauses of minutes are played in microseconds, always in the same order. Only what really comes from
outside (a file, another thread) takes real time.
"""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class _Jumping(selectors.DefaultSelector):
    """Waits for nothing: what it was to wait is added to the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if not ready and timeout is None:
            return super().select(None)  # nothing is planned: only another thread can go on
        if not ready and timeout is not None:
            self.now += max(0.0, timeout)
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """time() starts at 0 and moves on when nobody has anything left to do at once."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def run_at_once(work: Coroutine[Any, Any, T], within_s: float = 100_000.0) -> T:
    """Run a test's coroutine to its end; one that needs more virtual time fails."""
    random.seed(1)  # pauses between attempts are drawn by chance
    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(asyncio.wait_for(work, within_s))


def clock() -> float:
    """For what is told the time, like an Rpc."""
    return asyncio.get_running_loop().time()
