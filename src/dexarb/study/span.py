"""Which blocks of a recorded history are meant."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dexarb.config.paths import config_paths
from dexarb.core.market import Keyframe
from dexarb.errors import InputError, StoreError
from dexarb.store.follow import first_keyframe, start
from dexarb.store.history_reader import HistoryReader
from dexarb.store.snapshot import read_state
from dexarb.trading.models.reality import REALITY


@dataclass(frozen=True, slots=True)
class Span:
    """Blocks first to last of the branch that stands, both included. left_out: how many before them
    were asked for as well, or not said otherwise, and are not read."""

    reader: HistoryReader
    first: int
    last: int
    left_out: int = 0

    @property
    def blocks(self) -> int:
        return self.last - self.first + 1


def history_reader(history: Path | None, config: Path) -> HistoryReader:
    """Of the folder given, else of the one that the paper trader's configuration leads to.

    Raises ConfigError, StoreError.
    """
    return HistoryReader(history or read_state(config_paths(config).state_file).history)


def span(reader: HistoryReader, *, first: int | None, last: int | None, count: int | None) -> Span:
    """What of first to last block the history has; count: at most so many, the newest.

    Raises StoreError for an empty history, InputError where it has none of these blocks.
    """
    tip = reader.recent_chain(1)
    if not tip:
        raise StoreError(reader.folder, "has no blocks yet", "Wait for the collector's first")
    oldest = first_keyframe(reader).block.number + 1
    newest = tip[-1].number
    end = newest if last is None else min(last, newest)
    begin = oldest if first is None else max(first, oldest)
    start = begin if count is None else max(begin, end - count + 1)
    if start > end:
        asked = f"{first if first is not None else ''}..{last if last is not None else ''}"
        raise InputError(f"{reader.folder} has blocks {oldest} to {newest}, none of {asked}")
    return Span(reader, start, end, start - begin)


def first_market(asked: Span) -> Keyframe:
    """Where a walk over the span begins: prices are warmed up from there. Raises StoreError."""
    return start(asked.reader, block=asked.first - 1, before=REALITY.value.window_blocks)


def seqs_of(asked: Span) -> tuple[int, int]:
    """The entries of the first and of the last block of the span. Raises StoreError."""
    branch = asked.reader.branch_down_to(asked.first)
    return (
        min(header.seq for header in branch if header.number == asked.first),
        max(header.seq for header in branch if header.number == asked.last),
    )
