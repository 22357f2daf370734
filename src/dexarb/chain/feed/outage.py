"""An outage is told once when it has lasted, and once when it is over."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

import structlog

from dexarb.errors import OutsideError

LOGGED_AFTER = 3
"""Failures in a row that are worth a word: one or two mend themselves within the second."""

_log = structlog.get_logger("dexarb.feed")


class Outage:
    """Mutable. subject: what is not to be had, for the log. now: UNIX seconds."""

    def __init__(self, subject: str, *, now: Callable[[], float] = time.time) -> None:
        self._subject = subject
        self._now = now
        self._failures = 0
        self._since = 0.0
        self._is_logged = False

    def failed(self, error: OutsideError) -> None:
        if not self._failures:
            self._since = self._now()
        self._failures += 1
        if self._failures >= LOGGED_AFTER and not self._is_logged:
            self._is_logged = True
            _log.warning(
                "feed.trouble",
                subject=self._subject,
                down_since=datetime.fromtimestamp(self._since, UTC).isoformat(timespec="seconds"),
                error=str(error),
                remedy="It is tried again without end; add an endpoint if this happens often",
            )

    def over(self) -> None:
        """It works."""
        if self._is_logged:
            lasted_s = round(self._now() - self._since, 1)
            _log.info("feed.over", subject=self._subject, lasted_s=lasted_s)
        self._failures, self._is_logged = 0, False
