"""The ledger: a fold over decisions and fills, one row of columns a strategy.

Every figure can be recomputed from the decisions and fills in order; nothing else enters. A
strategy is known by the hash of its parameters.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Self

import msgspec
import numpy as np
import numpy.typing as npt

from dexarb.core.block import BlockHash
from dexarb.core.busy import BusyPools, BusyState, Hold
from dexarb.core.market import MAX_REORG_DEPTH
from dexarb.core.pool import PoolKey
from dexarb.core.route import Cycle
from dexarb.core.saved import NounReader, NounWriter
from dexarb.core.trade import Decision, Fill, FillStatus, StrategyHash
from dexarb.core.units import SECONDS_PER_DAY

IntColumn = npt.NDArray[np.int64]

COLUMNS = (
    "seen",
    "sent",
    "filled",
    "reverted",
    "lost",
    "expired",
    "reorged",
    "open",
    "profit_micro_usd",
    "band_low_micro_usd",
    "band_high_micro_usd",
    "gas_cost_micro_usd",
    "open_capital_micro_usd",
    "open_gas_micro_usd",
    "consecutive_losses",
    "last_loss_block",
    "day",
    "day_trades",
    "day_net_micro_usd",
)
"""Counts, integer micro-USD, block and UTC day numbers. sent = filled + reverted + lost + expired
+ reorged + open. Profit is net of gas. The day columns speak of UTC day `day`."""

_OF_THE_DAY = [COLUMNS.index("day_trades"), COLUMNS.index("day_net_micro_usd")]
_STREAK = slice(COLUMNS.index("consecutive_losses"), COLUMNS.index("last_loss_block") + 1)
_SUMMED = (
    ("profit_micro_usd", attrgetter("net_micro_usd"), +1),
    ("gas_cost_micro_usd", attrgetter("gas_cost_micro_usd"), +1),
    ("open_capital_micro_usd", attrgetter("decision.capital_micro_usd"), -1),
    ("open_gas_micro_usd", attrgetter("decision.gas_reserve_micro_usd"), -1),
)
"""What a fill adds to its strategy's columns, beside its band, and -1 to `open`."""
_BAND = ("band_low_micro_usd", "band_high_micro_usd")
_TIMESTAMP = attrgetter("decision.block.timestamp")
_OUTCOMES = {status: COLUMNS.index(status.value) for status in FillStatus}

_BOUND = (
    ("open_capital_micro_usd", attrgetter("capital_micro_usd")),
    ("open_gas_micro_usd", attrgetter("gas_reserve_micro_usd")),
)
"""What a decision adds to them once it is sent, beside 1 to `sent` and `open`."""

DAYS_KEPT = 2
"""Days on both sides of the current one whose counts are kept: a reorganisation can cross midnight,
and a trade belongs to the day of the block it was decided on."""


@dataclass(slots=True)
class _BlockJournal:
    """What a block did, so that it can be taken back. streaks: rows and what they held before."""

    block_hash: BlockHash
    settled: list[Fill] = field(default_factory=list)
    streaks: list[tuple[IntColumn, IntColumn]] = field(default_factory=list)
    released: list[Hold] = field(default_factory=list)


class LedgerState(msgspec.Struct):
    """table, other_days: the columns of COLUMNS, and of days, as little-endian int64 row by row."""

    rows: list[StrategyHash]
    table: bytes
    day: int
    other_days: dict[int, bytes]
    busy: BusyState


class Ledger:
    """Mutable. Columns are numpy arrays over the rows; `rows` maps a strategy hash to its row."""

    def __init__(self) -> None:
        self.rows: dict[StrategyHash, int] = {}
        self._table = np.zeros((len(COLUMNS), 0), dtype=np.int64)
        self._day = 0
        self._other_days: dict[int, IntColumn] = {}
        self._busy = BusyPools()
        self._journal: deque[_BlockJournal] = deque(maxlen=MAX_REORG_DEPTH + 1)

    # -- state --------------------------------------------------------------------------------

    def state(self, nouns: NounWriter) -> LedgerState:
        """After a block. The way back is no part of it."""
        return LedgerState(
            list(self.rows),
            _bytes_of(self._table),
            self._day,
            {day: _bytes_of(kept) for day, kept in self._other_days.items()},
            self._busy.state(nouns),
        )

    @classmethod
    def from_state(cls, state: LedgerState, nouns: NounReader, block_hash: BlockHash) -> Self:
        """As after the block. Raises ValueError for a state that is none."""
        ledger = cls()
        ledger.rows = {name: row for row, name in enumerate(state.rows)}
        ledger._table = _table_of(state.table, len(COLUMNS))
        ledger._day = state.day
        ledger._other_days = {
            day: _table_of(kept, len(_OF_THE_DAY)) for day, kept in state.other_days.items()
        }
        ledger._busy = BusyPools.from_state(state.busy, nouns)
        ledger.start_block(block_hash)
        return ledger

    def remember(self, blocks: int) -> None:
        """Be able to take back so many from now on."""
        self._journal = deque(self._journal, maxlen=blocks + 1)

    # -- rows ---------------------------------------------------------------------------------

    def open_rows(self, hashes: Iterable[StrategyHash]) -> None:
        """Give every strategy a row; those that have one keep it."""
        fresh = [name for name in dict.fromkeys(hashes) if name not in self.rows]
        if fresh:
            for name in fresh:
                self.rows[name] = len(self.rows)
            more = ((0, 0), (0, len(fresh)))
            self._table = np.pad(self._table, more)
            self._other_days = {day: np.pad(kept, more) for day, kept in self._other_days.items()}
            self.column("day")[:] = self._day

    def column(self, name: str) -> IntColumn:
        """A view of one of COLUMNS over all rows."""
        column: IntColumn = self._table[COLUMNS.index(name)]
        return column

    def value(self, strategy: StrategyHash, name: str) -> int:
        return int(self.column(name)[self.rows[strategy]])

    def start_day(self, timestamp: int) -> None:
        """Turn the day columns to the UTC day of a block."""
        day = timestamp // SECONDS_PER_DAY
        if day == self._day:
            return
        self._other_days[self._day] = self._table[_OF_THE_DAY]
        known = self._other_days.pop(day, None)
        self._table[_OF_THE_DAY] = 0 if known is None else known
        self._other_days = {
            other: kept for other, kept in self._other_days.items() if abs(other - day) <= DAYS_KEPT
        }
        self._day = day
        self.column("day")[:] = day

    def _of_day(self, day: int) -> tuple[IntColumn, IntColumn] | None:
        """Trades and net of any day that is still known."""
        if day == self._day:
            return self.column("day_trades"), self.column("day_net_micro_usd")
        kept = self._other_days.get(day)
        return None if kept is None else (kept[0], kept[1])

    # -- the fold -----------------------------------------------------------------------------

    def restart(self, block_hash: BlockHash) -> None:
        """A market that cannot be taken back beyond this block."""
        self._journal.clear()
        self.start_block(block_hash)

    def start_block(self, block_hash: BlockHash) -> None:
        self._journal.append(_BlockJournal(block_hash))

    def see(self, rows: npt.NDArray[np.intp] | slice, episodes: IntColumn) -> None:
        """Count so many more episodes for each of these rows."""
        self.column("seen")[rows] += episodes

    def send(self, decisions: Sequence[Decision]) -> None:
        """Decisions of one block count, bind money and make their pools busy from now on."""
        if not decisions:
            return
        rows = [self.rows[decision.strategy] for decision in decisions]
        places = np.array(rows, dtype=np.intp)
        for name in ("sent", "open"):
            np.add.at(self.column(name), places, 1)
        for name, of in _BOUND:
            np.add.at(self.column(name), places, list(map(of, decisions)))
        of_day = self._of_day(_day(decisions[0]))
        if of_day is not None:
            np.add.at(of_day[0], places, 1)
        self._busy.take(decisions, rows)

    def settle(self, fills: Sequence[Fill]) -> None:
        """The outcomes of open decisions, in the block that was started last."""
        if not fills:
            return
        rows = self._rows_of(fills)
        touched = np.unique(rows)
        streaks = self._table[_STREAK, touched]
        if self._journal:
            self._journal[-1].settled += fills
            self._journal[-1].streaks.append((touched, streaks))
        self._book(fills, rows, +1)
        places = np.searchsorted(touched, rows).tolist()
        losses, last_loss = streaks.tolist()
        for at, fill in zip(places, fills, strict=True):
            if is_loss(fill):
                losses[at] += 1
                last_loss[at] = fill.block.number
            elif fill.status is FillStatus.FILLED:
                losses[at] = 0
            self._busy.settle(fill.decision.id)
        self._table[_STREAK, touched] = losses, last_loss

    def void(self, decision: Decision) -> None:
        """A decision whose outcome the history cannot tell any more: counted as reorged."""
        row = self.rows[decision.strategy]
        self.column("reorged")[row] += 1
        self.column("open")[row] -= 1
        self.column("open_capital_micro_usd")[row] -= decision.capital_micro_usd
        self.column("open_gas_micro_usd")[row] -= decision.gas_reserve_micro_usd
        self._busy.settle(decision.id)

    def _rows_of(self, fills: Sequence[Fill]) -> npt.NDArray[np.intp]:
        return np.array([self.rows[fill.decision.strategy] for fill in fills], dtype=np.intp)

    def _book(self, fills: Sequence[Fill], rows: npt.NDArray[np.intp], sign: int) -> None:
        for name, of, way in _SUMMED:
            np.add.at(self.column(name), rows, sign * way * np.array(list(map(of, fills))))
        bands = np.array([fill.band_micro_usd for fill in fills]).T
        for name, band in zip(_BAND, bands, strict=True):
            np.add.at(self.column(name), rows, sign * band)
        np.add.at(self.column("open"), rows, -sign)
        statuses = np.array([_OUTCOMES[fill.status] for fill in fills])
        np.add.at(self._table, (statuses, rows), sign)
        net = np.array([fill.net_micro_usd for fill in fills])
        days = np.array(list(map(_TIMESTAMP, fills))) // SECONDS_PER_DAY
        for day in np.unique(days).tolist():
            of_day = self._of_day(day)
            if of_day is not None:
                np.add.at(of_day[1], rows[days == day], sign * net[days == day])

    # -- busy pools ---------------------------------------------------------------------------

    def busy(self, pools: Iterable[PoolKey]) -> npt.NDArray[np.bool_]:
        """By row: whether it may not use one of these pools now."""
        return self._busy.mask(pools, len(self.rows))

    def release(self, open_cycles: Container[Cycle]) -> None:
        """At a block end: free a pool for a strategy when everything that the strategy has taken
        through it is settled, and its cycle was closed at the end of the inclusion block or of a
        later one."""
        released = self._busy.release(open_cycles)
        if self._journal:
            self._journal[-1].released += released

    # -- reorganisations ----------------------------------------------------------------------

    def rewind(self, block_hash: BlockHash) -> tuple[Fill, ...]:
        """Take back the fills of the blocks after `block_hash`; returns them, oldest first.

        Their decisions are open again, since a sent transaction cannot be unsent, and pools that
        were freed in those blocks are busy again: on the new branch the cycle may never have
        closed. What was sent in those blocks stays sent.
        """
        undone: list[Fill] = []
        while self._journal and self._journal[-1].block_hash != block_hash:
            block = self._journal.pop()
            self._busy.reclaim(block.released)
            for fill in block.settled:
                self._busy.unsettle(fill.decision.id, fill.decision.cycle.id)
            for rows, before in reversed(block.streaks):
                self._table[_STREAK, rows] = before
            undone[:0] = block.settled
        if undone:
            self._book(undone, self._rows_of(undone), -1)
        return tuple(undone)


def _bytes_of(columns: IntColumn) -> bytes:
    return columns.astype("<i8").tobytes()


def _table_of(data: bytes, columns: int) -> IntColumn:
    return np.frombuffer(data, dtype="<i8").reshape(columns, -1).astype(np.int64)


def _day(decision: Decision) -> int:
    return decision.block.timestamp // SECONDS_PER_DAY


def is_loss(fill: Fill) -> bool:
    """Reverted, lost and net-negative fills are losses."""
    if fill.status is FillStatus.FILLED:
        return fill.net_micro_usd < 0
    return fill.status in (FillStatus.REVERTED, FillStatus.LOST)
