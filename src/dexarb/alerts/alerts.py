"""The alerts of a program: what happens goes in from its threads, messages go out from others."""

from __future__ import annotations

import contextlib
import shutil
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType

import structlog

from dexarb.alerts.outbox import Outbox
from dexarb.alerts.policy import AlertPolicy, Moment
from dexarb.alerts.target import Target, open_targets
from dexarb.config.alerts import AlertKind, AlertsConfig
from dexarb.config.paths import nearest

TICK_S = 1.0
LOOK_AT_DISK_EVERY_S = 30.0
CLOSE_S = 2.0
"""So long the end of the program may wait for messages that are on their way."""

_log = structlog.get_logger("alerts")


class Alerts:
    """Mutable, for any thread. Nothing that it is told waits for a network, nor does it raise.

    Without a configuration it does nothing. As a context it runs; targets are opened before, so
    that a mistake is told at once. facts: lines for the next digest, the program's to set. digests:
    how many there have been.
    """

    def __init__(
        self,
        program: str,
        config: AlertsConfig | None = None,
        folders: Sequence[Path] = (),
        *,
        tick_s: float = TICK_S,
        close_s: float = CLOSE_S,
        now: Callable[[], Moment] = lambda: Moment(time.monotonic(), time.time()),
    ) -> None:
        """folders: what the program writes in. Raises ConfigErrors."""
        self._program = program
        self._folders = folders
        self._tick_s, self._close_s = tick_s, close_s
        self._now = now
        self._lock = threading.Lock()
        self._changing = threading.Lock()
        self._wake = threading.Event()
        self._policy: AlertPolicy | None = None
        self._outboxes: list[Outbox] = []
        self._thread: threading.Thread | None = None
        self._is_running = False
        self.facts: Sequence[str] = ()
        self.digests = 0
        self._config = config
        self._targets = _targets_of(config)

    def __enter__(self) -> Alerts:
        self._is_running = True
        self._begin()
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        with self._changing:  # another configuration may just be taken up
            self._is_running = False
        self._wake.set()
        until = time.monotonic() + self._close_s
        if self._thread is not None:
            self._thread.join(self._close_s)
        for outbox in self._outboxes:
            outbox.close()
        for outbox in self._outboxes:
            outbox.join(max(0.0, until - time.monotonic()))

    @property
    def config(self) -> AlertsConfig | None:
        return self._config

    def use(self, config: AlertsConfig | None) -> bool:
        """Go on by another configuration; what is known stays. Whether it is another one.

        Raises ConfigErrors, and then nothing has changed.
        """
        with self._changing:
            if config == self._config:
                return False
            self._change(config)
            return True

    def _change(self, config: AlertsConfig | None) -> None:
        targets = _targets_of(config)
        with self._lock:
            for outbox in self._outboxes:
                outbox.close()
            self._config, self._targets, self._outboxes = config, targets, []
            if config is None:
                self._policy = None
            elif self._policy is not None:
                self._policy.use(config.rules, self._now())
        if self._is_running:
            self._begin()

    def _begin(self) -> None:
        config = self._config
        if config is None:
            return
        label = f"{config.table.name} {self._program}"
        with self._lock:
            if self._policy is None:
                self._policy = AlertPolicy(config.rules, self._now())
            self._outboxes = [Outbox(target, label) for target in self._targets]
        kinds = ", ".join(kind for kind in AlertKind if kind in config.rules.kinds)
        _log.info("alerts", targets=len(self._outboxes), kinds=kinds)
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name="alerts", daemon=True)
            self._thread.start()

    # -- what happens -------------------------------------------------------------------------

    def beat(self) -> None:
        """An entry came, old or new."""
        self._tell(lambda policy: policy.beat(self._now()))

    def block(self, number: int, timestamp: int) -> None:
        """A block came live."""
        self._tell(lambda policy: policy.block(self._now(), number, timestamp))

    def holds(self, kind: AlertKind, troubles: Mapping[str, str]) -> None:
        """All troubles of a kind that there are now, by what has them."""
        self._tell(lambda policy: policy.holds(kind, troubles))

    def is_so(self, kind: AlertKind, key: str, text: str | None) -> None:
        """One trouble; text: None where it is over."""
        self._tell(lambda policy: policy.is_so(kind, key, text))

    def happened(self, kind: AlertKind, text: str) -> None:
        self._tell(lambda policy: policy.happened(kind, text))

    def _tell(self, tell: Callable[[AlertPolicy], None]) -> None:
        with self._lock:
            if self._policy is not None:
                tell(self._policy)

    # -- what goes out ------------------------------------------------------------------------

    def _run(self) -> None:
        looked_at = float("-inf")
        while True:
            is_last = not self._is_running
            try:
                if self._now().clock - looked_at >= LOOK_AT_DISK_EVERY_S:
                    looked_at = self._now().clock
                    self._look_at_disk()
                self._send_what_is_due()
            except Exception:  # whatever it is: it must not stop the rest from being told
                _log.exception("alerts.failed")
            if is_last:
                return
            self._wake.wait(self._tick_s)

    def _look_at_disk(self) -> None:
        for folder in self._folders:
            with contextlib.suppress(OSError):
                free = shutil.disk_usage(nearest(folder)).free
                with self._lock:
                    if self._policy is not None:
                        self._policy.free(str(folder), free)

    def _send_what_is_due(self) -> None:
        with self._lock:
            if self._policy is None or not self._outboxes:  # others are being opened
                return
            for message in self._policy.due(self._now(), self.facts):
                self.digests += message.kind is AlertKind.DIGEST
                for outbox in self._outboxes:
                    outbox.put(message)


def _targets_of(config: AlertsConfig | None) -> list[Target]:
    """Raises ConfigErrors."""
    return [] if config is None else open_targets(config)
