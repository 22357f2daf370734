"""dexarb-bot arm, stop and trust: orders to the bot, carried out at once, or when it starts."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from dexarb.config.live import load_live
from dexarb.config.toml_file import did_you_mean
from dexarb.core.sending import ControlKind, avoided, why_not_armed
from dexarb.core.text import in_a_line
from dexarb.core.token import Address
from dexarb.errors import InputError
from dexarb.screens.answer import Answer
from dexarb.screens.names import MOST_CHARACTERS, names_of, state_beside
from dexarb.store.journal import JournalReader, bot_of, give_order

_DONE = {
    ControlKind.ARM: "armed",
    ControlKind.DISARM: "disarmed",
    ControlKind.TRUST: "trusted again",
}
PATIENCE_S = 5.0
POLL_S = 0.02


class Ordered(Answer):
    """done: the bot has carried it out; else it will, when it starts. disarmed_by: why it was
    disarmed again at once, where it was to be armed."""

    def __init__(
        self, kind: ControlKind, *, done: bool, process: int | None, disarmed_by: str | None = None
    ) -> None:
        self.kind, self.done, self.process = kind, done, process
        self.disarmed_by = disarmed_by

    def as_json(self) -> dict[str, Any]:
        return {
            "order": self.kind,
            "done": self.done,
            "process": self.process,
            "disarmed_by": self.disarmed_by,
        }

    def render(self) -> RenderableType:
        what = _DONE[self.kind]
        if self.disarmed_by is not None:
            return Text(f"it stays disarmed: {self.disarmed_by}", style="yellow")
        if self.done:
            return Text(f"{what}: process {self.process} has carried it out")
        if self.process is None:
            return Text(f"no bot runs: it is {what} when it starts")
        return Text(f"process {self.process} has not answered yet: see its log", style="yellow")

    @property
    def exit_code(self) -> int:
        """1 where a bot runs and has not answered, or what disarmed it holds still."""
        return int((self.process is not None and not self.done) or self.disarmed_by is not None)


def armed(config_path: Path, reason: str) -> Ordered:
    """Raises ConfigError, StoreError."""
    return _ordered(config_path, ControlKind.ARM, reason)


def disarmed(config_path: Path, reason: str) -> Ordered:
    """Raises ConfigError, StoreError."""
    return _ordered(config_path, ControlKind.DISARM, reason)


def trusted(config_path: Path, what: str, reason: str) -> Ordered:
    """what: the address of a pool or token that is avoided, or a token's symbol. Raises
    ConfigError, InputError, StoreError."""
    config = load_live(config_path)
    with JournalReader.open_to_read(config.journal_file) as journal:
        subjects = avoided(journal.controls())
    names = names_of(state_beside(config.paper.general.state_file))
    called = {names.called.get(Address(each), each): each for each in subjects}
    subject = what if what in subjects else called.get(what)
    if subject is None:
        if not subjects:
            raise InputError("nothing is avoided")
        remedy = did_you_mean(what, [*called, *subjects])
        raise InputError(f"{in_a_line(what, MOST_CHARACTERS)} is not avoided. {remedy}")
    return _ordered(config_path, ControlKind.TRUST, reason, subject)


def _ordered(config_path: Path, kind: ControlKind, reason: str, subject: str = "") -> Ordered:
    path = load_live(config_path).journal_file
    give_order(path, kind, reason, time.time(), subject)
    process = bot_of(path)
    if process is None:
        return Ordered(kind, done=False, process=None)
    deadline = time.monotonic() + PATIENCE_S
    while (waits := _waits(path)) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    disarmed_by = None
    if kind is ControlKind.ARM and not waits:
        with JournalReader.open_to_read(path) as journal:
            disarmed_by = why_not_armed(journal.controls())
    return Ordered(kind, done=not waits, process=process, disarmed_by=disarmed_by)


def _waits(path: Path) -> bool:
    """Whether an order has not been carried out yet."""
    with JournalReader.open_to_read(path) as journal:
        return bool(journal.orders())
