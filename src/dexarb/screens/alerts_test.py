"""dexarb alerts test: one message to each target, and what came of it."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from dexarb.alerts.target import Target, open_targets
from dexarb.config.alerts import AlertKind, read_alerts
from dexarb.core.text import in_a_line
from dexarb.errors import OutsideError
from dexarb.screens.answer import Answer

MOST_OF_PROBLEM = 500
"""Characters: services word their errors as they like."""


@dataclass(slots=True)
class Sent:
    """target: its kind and place in the list. problem: None where it went out. took_ms: None where
    no answer came in time."""

    target: str
    problem: str | None
    took_ms: float | None = None


@dataclass(frozen=True, slots=True)
class AlertsTest(Answer):
    """kinds: what will be told."""

    kinds: Sequence[str]
    sent: Sequence[Sent]

    @property
    def exit_code(self) -> int:
        """That of a network that failed, where one target has not got it."""
        return OutsideError.exit_code if any(each.problem for each in self.sent) else 0

    def as_json(self) -> dict[str, Any]:
        return {
            "ok": not self.exit_code,
            "kinds": list(self.kinds),
            "targets": [asdict(each) | {"ok": each.problem is None} for each in self.sent],
        }

    def render(self) -> RenderableType:
        width = max(len(each.target) for each in self.sent)
        return Group(
            *(Text(f"{each.target:{width}}  {_words(each)}") for each in self.sent),
            Text(f"Told will be: {', '.join(self.kinds)}"),
        )


def _words(sent: Sent) -> str:
    if sent.problem:
        return f"failed: {in_a_line(sent.problem, MOST_OF_PROBLEM)}"
    return f"ok, {sent.took_ms:.0f} ms"


def answer(path: Path, *, timeout_s: float) -> AlertsTest:
    """Raises ConfigError(s)."""
    config = read_alerts(path)
    targets = open_targets(config)
    results = [Sent(each.name, f"no answer within {timeout_s:g} s") for each in targets]
    # One that does not answer must not keep the command from ending.
    threads = [
        threading.Thread(
            target=_send, args=(target, config.table.name, results, place), daemon=True
        )
        for place, target in enumerate(targets)
    ]
    until = time.monotonic() + timeout_s
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, until - time.monotonic()))
    kinds = [kind.value for kind in AlertKind if kind in config.rules.kinds]
    return AlertsTest(kinds, tuple(results))


def _send(target: Target, name: str, results: list[Sent], place: int) -> None:
    begun = time.monotonic()
    lines = ["This is a test: alerts of this configuration arrive here."]
    problem = target.send(f"{name}: test", lines, is_trouble=False)
    results[place] = Sent(target.name, problem, (time.monotonic() - begun) * 1000)
