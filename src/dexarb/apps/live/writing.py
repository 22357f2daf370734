"""A journal that cannot be written: said once, and once more when it can be again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog

from dexarb.errors import StoreError
from dexarb.store.journal import Journal

_log = structlog.get_logger("dexarb-bot")


class Writing:
    """Around whatever writes the journal, or reads it. Mutable. Nothing is raised: what could not
    be written is not sent, and the books go on."""

    def __init__(
        self, journal: Journal, tell: Callable[[str | None], object] = lambda _: None
    ) -> None:
        """tell: is told why it cannot be written, and None once it can."""
        self._journal, self._tell = journal, tell
        self._is_stuck = False

    @contextmanager
    def __call__(self) -> Iterator[None]:
        before = self._journal.changes
        try:
            yield
        except StoreError as error:
            if not self._is_stuck:
                self._is_stuck = True
                _log.error("journal.stuck", problem=str(error))
                self._tell(str(error))
        else:
            # That it can be read proves nothing.
            if self._is_stuck and self._journal.changes > before:
                self._is_stuck = False
                _log.warning("journal.works")
                self._tell(None)
