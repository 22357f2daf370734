"""Blocks as people name them: by number, by how long ago, by date. The one place that reads that.

A block's time is its own: what the chain says, in UTC. "Ago" counts back from the newest block, so
that a history that has ended gives the same answer every day.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from dexarb.core.units import SECONDS_PER_DAY, SECONDS_PER_HOUR
from dexarb.errors import InputError

if TYPE_CHECKING:
    from dexarb.store.codec import LinkHeader
    from dexarb.store.history_reader import HistoryReader
    from dexarb.store.ledger_rows import BlockRange

_UNITS = {"s": 1, "m": 60, "h": SECONDS_PER_HOUR, "d": SECONDS_PER_DAY, "w": 7 * SECONDS_PER_DAY}
_AGE = re.compile(r"(?:[0-9]{1,9}[smhdw])+")
_ONE_AGE = re.compile(r"([0-9]+)([smhdw])")
_NUMBER = re.compile(r"[0-9]{1,18}")
_LIKE_A_DATE = re.compile(r"[0-9]{4}-[0-9]")


@dataclass(frozen=True, slots=True)
class When:
    """One of three: a block number; UNIX seconds, the first and the last of what was said (a day
    is a whole one); seconds before the newest block. text: as it was said."""

    text: str
    block: int | None = None
    seconds: tuple[int, int] | None = None
    age_s: int | None = None

    def span(self, newest: int) -> tuple[int, int] | None:
        """First and last UNIX second; None for a block number. newest: the newest block's."""
        if self.age_s is not None:
            return newest - self.age_s, newest - self.age_s
        return self.seconds


@dataclass(frozen=True, slots=True)
class BlocksAsked:
    """Of a history, None for the one that the configuration leads to: first to last, None for its
    ends; count: at most so many, the newest."""

    history: Path | None
    config: Path
    first: When | None
    last: When | None
    count: int | None


def when(text: str) -> When:
    """Of an option's value. Raises InputError, which says what can be given."""
    said = text.strip()
    if _NUMBER.fullmatch(said):
        return When(text, block=int(said))
    if _AGE.fullmatch(said.lower()):
        parts = _ONE_AGE.findall(said.lower())
        return When(text, age_s=sum(int(count) * _UNITS[unit] for count, unit in parts))
    try:
        return When(text, seconds=_seconds(said))
    except ValueError as error:
        why = f" ({error})" if _LIKE_A_DATE.match(said) else ""
        raise InputError(
            f'"{text}" names no block{why}. Give its number, how long before the newest one as in'
            " 30m, 24h or 7d, or a date or time in UTC as in 2026-08-01 or 2026-08-01T12:30"
        ) from None


def _seconds(text: str) -> tuple[int, int]:
    """Raises ValueError."""
    if not _LIKE_A_DATE.match(text):
        raise ValueError("is no date")
    try:
        day = date.fromisoformat(text)
    except ValueError:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        second = int(moment.timestamp())
        return second, second
    start = int(datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp())
    return start, start + SECONDS_PER_DAY - 1


def utc(timestamp: float) -> str:
    """`2026-08-01 12:30:00 UTC`, of UNIX seconds."""
    return f"{datetime.fromtimestamp(timestamp, UTC):%Y-%m-%d %H:%M:%S} UTC"


def utc_minute(timestamp: float) -> str:
    """`2026-08-01 12:30 UTC`"""
    return f"{utc(timestamp)[:16]} UTC"


def range_of(first: When | None, last: When | None, newest: int) -> BlockRange:
    """The same for books, whose rows know the times of their blocks. newest: UNIX second."""
    from dexarb.store.ledger_rows import MAX_INTEGER, BlockRange  # `--help` does without it

    bounds: dict[str, int] = {}
    for each, number, second, of_span in (
        (first, "first", "first_second", 0),
        (last, "last", "last_second", 1),
    ):
        if each is not None:
            span = each.span(newest)
            name, value = (number, each.block or 0) if span is None else (second, span[of_span])
            bounds[name] = max(0, min(value, MAX_INTEGER))
    return BlockRange(**bounds)


def blocks_of(
    reader: HistoryReader, first: When | None, last: When | None
) -> tuple[int | None, int | None]:
    """The numbers of the first block at or after a time, and of the last one at or before it.

    None for what was not asked; a block number is taken as it is. Raises InputError where no block
    is as late or as early, StoreError where the history cannot be read.
    """
    times = [each for each in (first, last) if each is not None and each.block is None]
    tip = reader.branch(1).tip if times else None
    if tip is None:
        return first.block if first else None, last.block if last else None
    spans = {each: each.span(tip.timestamp) or (0, 0) for each in times}
    # From before the earliest second that is asked for.
    branch = list(reader.branch_since(min(start for start, _ in spans.values())))
    return (
        _first(reader, branch, first, spans.get(first)) if first else None,
        _last(reader, branch, last, spans.get(last)) if last else None,
    )


def _first(
    reader: HistoryReader, branch: list[LinkHeader], asked: When, span: tuple[int, int] | None
) -> int | None:
    if span is None:
        return asked.block
    found = [each.number for each in branch if each.timestamp >= span[0]]
    return min(found) if found else _none(reader, asked, branch[-1], "ends")


def _last(
    reader: HistoryReader, branch: list[LinkHeader], asked: When, span: tuple[int, int] | None
) -> int | None:
    if span is None:
        return asked.block
    found = [each.number for each in branch if each.timestamp <= span[1]]
    return max(found) if found else _none(reader, asked, branch[0], "begins")


def _none(reader: HistoryReader, asked: When, end: LinkHeader, verb: str) -> int:
    at = f"block {end.number} of {utc(end.timestamp)}"
    side = "or later" if verb == "ends" else "or earlier"
    raise InputError(f'{reader.folder} {verb} with {at}: nothing is of "{asked.text}" {side}')
