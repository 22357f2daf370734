"""Telling the service manager how it stands: systemd's sd_notify(3).

Datagrams to the socket that $NOTIFY_SOCKET names: that the start is over, what is being done, and,
as often as $WATCHDOG_USEC wants, that the loop still goes round; a process that does not say so is
started again. Without these variables nothing is sent.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
import socket
import time
from collections.abc import Callable, Mapping

PINGS_A_PERIOD = 3
READY_PATIENCE_S = 5.0
"""Its socket holds a few messages alone, and without this one the start counts as failed."""


class Supervisor:
    """Mutable. Never raises, and waits for nobody but once, to say that the start is over: whoever
    watches over us must not hold us up."""

    def __init__(
        self, environment: Mapping[str, str], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """clock: in seconds."""
        path = environment.get("NOTIFY_SOCKET", "")
        # Linux writes sockets without a file with a zero byte, and systemd in variables with an @.
        self._address = "\0" + path[1:] if path.startswith("@") else path
        self._socket = None
        if path:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.ping_every_s = _ping_every_s(environment)
        self._clock = clock
        self._pinged_at = -math.inf

    def ready(self, status: str) -> None:
        """The start is over. status: what is being done now, for `systemctl status`."""
        self._send(f"READY=1\nSTATUS={status}", READY_PATIENCE_S)

    def status(self, text: str) -> None:
        self._send(f"STATUS={text}")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def ping(self) -> None:
        """The loop still goes round. Cheap enough for every turn of it."""
        if self.ping_every_s is not None:
            now = self._clock()
            if now - self._pinged_at >= self.ping_every_s:
                self._pinged_at = now
                self._send("WATCHDOG=1")

    async def keep_pinging(self) -> None:
        """Until cancelled; for an event loop, which stands still where a task does not yield."""
        while self.ping_every_s is not None:
            self.ping()
            await asyncio.sleep(self.ping_every_s)

    def _send(self, message: str, patience_s: float = 0.0) -> None:
        if self._socket is not None:
            self._socket.settimeout(patience_s)
            with contextlib.suppress(OSError):
                self._socket.sendto(message.encode(), self._address)


def _ping_every_s(environment: Mapping[str, str]) -> float | None:
    """None where no pings are wanted, or those of another process are."""
    wanted_of = environment.get("WATCHDOG_PID", "")
    if wanted_of and wanted_of != str(os.getpid()):
        return None
    try:
        period_us = int(environment.get("WATCHDOG_USEC", ""))
    except ValueError:
        return None
    return period_us / 1e6 / PINGS_A_PERIOD if period_us > 0 else None


UNSUPERVISED = Supervisor({})
