"""A target's own thread with a bounded queue: nobody waits for a slow one."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Sequence

import structlog

from dexarb.alerts.policy import Message
from dexarb.alerts.target import Target

MOST_WAITING = 20
PAUSES_S = (5.0, 30.0, 120.0, 600.0)
"""Before a message is tried again; after them it is given up."""

_log = structlog.get_logger("alerts")


class Outbox:
    """Mutable. lost: messages that had no room or were given up, since the last one arrived."""

    def __init__(
        self,
        target: Target,
        label: str,
        *,
        most_waiting: int = MOST_WAITING,
        pauses_s: Sequence[float] = PAUSES_S,
    ) -> None:
        """label: stands in front of every title."""
        self._target = target
        self._label = label
        self._pauses_s = pauses_s
        self._waiting: queue.Queue[Message | None] = queue.Queue(most_waiting)
        self._closing = threading.Event()
        self._counting = threading.Lock()
        self._is_failing = self._is_full = False
        self.lost = 0
        # The interpreter does not wait for it.
        self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)
        self._thread.start()

    def put(self, message: Message) -> None:
        """Never waits."""
        try:
            self._waiting.put_nowait(message)
        except queue.Full:
            self._lose()
            if not self._is_full:
                self._is_full = True
                _log.warning("alerts.dropped", target=self._target.name, reason="too many wait")

    def close(self) -> None:
        """Send what waits, each once, and end. Returns at once; `join` waits."""
        self._closing.set()
        with contextlib.suppress(queue.Full):  # then it looks at the flag behind every message
            self._waiting.put_nowait(None)

    def join(self, timeout_s: float) -> bool:
        """Whether it has ended."""
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while not (self._closing.is_set() and self._waiting.empty()):
            message = self._waiting.get()
            if message is not None:
                self._deliver(message)

    def _deliver(self, message: Message) -> None:
        for pause_s in (*self._pauses_s, None):
            lost = self.lost
            note = (f"{lost:,} messages before this one were lost",) if lost else ()
            problem = self._target.send(
                f"{self._label}: {message.title}",
                (*message.lines, *note),
                is_trouble=not message.is_over,
            )
            if problem is None:
                self._arrived(lost)
                return
            if not self._is_failing:
                self._is_failing = True
                _log.warning("alerts.failing", target=self._target.name, problem=problem)
            if pause_s is None or self._closing.wait(pause_s):
                break
        self._lose()

    def _arrived(self, told_lost: int) -> None:
        with self._counting:
            self.lost -= told_lost
        if self._is_failing or told_lost:
            _log.info("alerts.over", target=self._target.name, lost=told_lost)
        self._is_failing = self._is_full = False

    def _lose(self) -> None:
        with self._counting:
            self.lost += 1
