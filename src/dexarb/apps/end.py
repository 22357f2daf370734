"""The other end of a trader: where its decisions go, and what is to be done about them."""

from __future__ import annotations

from typing import Protocol

from dexarb.core.market import Entry
from dexarb.study.session import Session
from dexarb.trading.decide.one_bot import Door
from dexarb.trading.models.reality import Reality
from dexarb.trading.seams import Executor, Step
from dexarb.trading.settle.paper_executor import PaperExecutor


class End(Protocol):
    """executor: new and empty. door: of a bot that sends, else None."""

    @property
    def executor(self) -> Executor: ...

    @property
    def door(self) -> Door | None: ...

    def stepped(self, session: Session, entry: Entry, /, step: Step, *, is_live: bool) -> None:
        """An entry has been traded on, and is not in the ledger yet. is_live: it came as the
        collector wrote it, and is not one that was there before the start."""
        ...

    def idle(self, session: Session, /) -> None:
        """Between entries, every few milliseconds."""
        ...


class PaperEnd:
    """Nothing leaves the process, so there is nothing to do."""

    door = None

    def __init__(self, reality: Reality) -> None:
        self.executor = PaperExecutor(reality)

    def stepped(self, session: Session, entry: Entry, step: Step, *, is_live: bool) -> None:
        pass

    def idle(self, session: Session) -> None:
        pass
