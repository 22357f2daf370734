"""Sources: a history that is followed as it grows, or read to its end."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from dexarb.store.history_reader import HistoryReader
from dexarb.trading.engine import Entry


@dataclass(frozen=True, slots=True)
class RecordedHistory:
    """Replay: the entries that are there, once."""

    reader: HistoryReader
    from_seq: int
    to_seq: int | None = None

    def entries(self) -> Iterator[Entry]:
        yield from self.reader.entries(self.from_seq, self.to_seq)


@dataclass(frozen=True, slots=True)
class GrowingHistory:
    """Live: a replay that has not ended. Ends when `stop` says so."""

    reader: HistoryReader
    from_seq: int
    poll_s: float
    stop: Callable[[], bool]

    def entries(self) -> Iterator[Entry]:
        yield from self.reader.follow(self.from_seq, poll_s=self.poll_s, stop=self.stop)
