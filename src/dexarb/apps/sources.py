"""Sources: a history that is followed as it grows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dexarb.core.market import Entry
from dexarb.store.history_reader import HistoryReader


@dataclass(frozen=True, slots=True)
class GrowingHistory:
    """A replay that has not ended. Ends when `stop` says so."""

    reader: HistoryReader
    from_seq: int
    poll_s: float
    stop: Callable[[], bool]
    pause: Callable[[float], object]

    def entries(self) -> Iterator[Entry]:
        yield from self.reader.follow(
            self.from_seq, poll_s=self.poll_s, stop=self.stop, pause=self.pause
        )
