"""dexarb-bot arm and stop: an order to the bot, which is carried out at once, or when it starts."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from dexarb.config.live import load_live
from dexarb.core.sending import ControlKind
from dexarb.screens.answer import Answer
from dexarb.store.journal import JournalReader, bot_of, give_order

PATIENCE_S = 5.0
POLL_S = 0.02


class Ordered(Answer):
    """done: the bot has carried it out; else it will, when it starts."""

    def __init__(self, kind: ControlKind, *, done: bool, process: int | None) -> None:
        self.kind, self.done, self.process = kind, done, process

    def as_json(self) -> dict[str, Any]:
        return {"order": self.kind, "done": self.done, "process": self.process}

    def render(self) -> RenderableType:
        what = "armed" if self.kind is ControlKind.ARM else "disarmed"
        if self.done:
            return Text(f"{what}: process {self.process} has carried it out")
        if self.process is None:
            return Text(f"no bot runs: it is {what} when it starts")
        return Text(f"process {self.process} has not answered yet: see its log", style="yellow")

    @property
    def exit_code(self) -> int:
        """1 where a bot runs and has not answered."""
        return int(self.process is not None and not self.done)


def armed(config_path: Path, reason: str) -> Ordered:
    """Raises ConfigError, StoreError."""
    return _ordered(config_path, ControlKind.ARM, reason)


def disarmed(config_path: Path, reason: str) -> Ordered:
    """Raises ConfigError, StoreError."""
    return _ordered(config_path, ControlKind.DISARM, reason)


def _ordered(config_path: Path, kind: ControlKind, reason: str) -> Ordered:
    path = load_live(config_path).journal_file
    give_order(path, kind, reason, time.time())
    process = bot_of(path)
    if process is None:
        return Ordered(kind, done=False, process=None)
    deadline = time.monotonic() + PATIENCE_S
    with JournalReader.open_to_read(path) as journal:
        while (waiting := journal.orders()) and time.monotonic() < deadline:
            time.sleep(POLL_S)
    return Ordered(kind, done=not waiting, process=process)
