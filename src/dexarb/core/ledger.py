"""The ledger: a fold over decisions and fills, one row of columns a strategy.

Every figure can be recomputed from the decisions and fills in order; nothing else enters. A
strategy is known by the hash of its parameters.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from dexarb.core.market import MAX_REORG_DEPTH
from dexarb.core.token import Address
from dexarb.core.trade import Decision, Fill, FillStatus

SECONDS_PER_DAY = 86_400
Column = npt.NDArray[np.int64]

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


@dataclass(frozen=True, slots=True)
class _Settled:
    """A fill with what it overwrote, so that it can be taken back."""

    fill: Fill
    consecutive_losses: int
    last_loss_block: int


@dataclass(slots=True)
class _BlockJournal:
    block_hash: str
    settled: list[_Settled] = field(default_factory=list)


class Ledger:
    """Mutable. Columns are numpy arrays over the rows; `rows` maps a strategy hash to its row."""

    def __init__(self) -> None:
        self.rows: dict[str, int] = {}
        self._table = np.zeros((len(COLUMNS), 0), dtype=np.int64)
        self._busy: dict[Address, dict[int, dict[str, int]]] = {}
        self._journal: deque[_BlockJournal] = deque(maxlen=MAX_REORG_DEPTH + 1)

    # -- rows ---------------------------------------------------------------------------------

    def open_rows(self, hashes: Iterable[str]) -> None:
        """Give every strategy a row; those that have one keep it."""
        fresh = [name for name in dict.fromkeys(hashes) if name not in self.rows]
        if fresh:
            for name in fresh:
                self.rows[name] = len(self.rows)
            empty = np.zeros((len(COLUMNS), len(fresh)), dtype=np.int64)
            self._table = np.concatenate([self._table, empty], axis=1)

    def column(self, name: str) -> Column:
        """A view of one of COLUMNS over all rows."""
        column: Column = self._table[COLUMNS.index(name)]
        return column

    def value(self, strategy: str, name: str) -> int:
        return int(self.column(name)[self.rows[strategy]])

    def start_day(self, timestamp: int) -> None:
        """Zero the day columns of every row whose day is over."""
        day = timestamp // SECONDS_PER_DAY
        over = self.column("day") != day
        self.column("day_trades")[over] = 0
        self.column("day_net_micro_usd")[over] = 0
        self.column("day")[over] = day

    # -- the fold -----------------------------------------------------------------------------

    def start_block(self, block_hash: str) -> None:
        self._journal.append(_BlockJournal(block_hash))

    def see(self, rows: npt.NDArray[np.intp]) -> None:
        """Count one more episode for these rows."""
        self.column("seen")[rows] += 1

    def send(self, decision: Decision) -> None:
        """A decision counts, binds capital and makes its pools busy from now on."""
        row = self.rows[decision.strategy]
        self.column("sent")[row] += 1
        self.column("open")[row] += 1
        self.column("open_capital_micro_usd")[row] += decision.capital_micro_usd
        if self.column("day")[row] == decision.block.timestamp // SECONDS_PER_DAY:
            self.column("day_trades")[row] += 1
        self._occupy(decision, row)

    def settle(self, fill: Fill) -> None:
        """The outcome of an open decision."""
        row = self.rows[fill.decision.strategy]
        losses, last_loss = self.column("consecutive_losses"), self.column("last_loss_block")
        if self._journal:
            self._journal[-1].settled.append(_Settled(fill, int(losses[row]), int(last_loss[row])))
        self._book(fill, row, +1)
        if is_loss(fill):
            losses[row] += 1
            last_loss[row] = fill.block.number
        elif fill.status is FillStatus.FILLED:
            losses[row] = 0

    def void(self, decision: Decision) -> None:
        """A decision whose outcome the history cannot tell any more: counted as reorged."""
        row = self.rows[decision.strategy]
        self.column("reorged")[row] += 1
        self._close(decision, row, +1)

    def _book(self, fill: Fill, row: int, sign: int) -> None:
        self.column(fill.status.value)[row] += sign
        self._close(fill.decision, row, sign)
        self.column("profit_micro_usd")[row] += sign * fill.net_micro_usd
        self.column("band_low_micro_usd")[row] += sign * fill.band_micro_usd[0]
        self.column("band_high_micro_usd")[row] += sign * fill.band_micro_usd[1]
        self.column("gas_cost_micro_usd")[row] += sign * fill.gas_cost_micro_usd
        # A trade belongs to the day of the block it was decided on.
        if self.column("day")[row] == fill.decision.block.timestamp // SECONDS_PER_DAY:
            self.column("day_net_micro_usd")[row] += sign * fill.net_micro_usd

    def _close(self, decision: Decision, row: int, sign: int) -> None:
        self.column("open")[row] -= sign
        self.column("open_capital_micro_usd")[row] -= sign * decision.capital_micro_usd

    # -- busy pools ---------------------------------------------------------------------------

    def _occupy(self, decision: Decision, row: int) -> None:
        for pool in decision.cycle.pools:
            taken = self._busy.setdefault(pool, {}).setdefault(row, {})
            taken[decision.cycle.id] = decision.first_block

    def busy_rows(self, pools: Iterable[Address]) -> Sequence[int]:
        """Rows that may not use one of these pools now."""
        return [row for pool in pools for row in self._busy.get(pool, ())]

    def release(self, block_number: int, is_open: Iterable[str]) -> None:
        """At a block end: free a pool for a strategy when every cycle that the strategy has taken
        through it has been closed at the end of its inclusion block or of a later one."""
        still_open = frozenset(is_open)
        for pool, by_row in list(self._busy.items()):
            for row, taken in list(by_row.items()):
                for cycle, first_block in taken.items():
                    if block_number >= first_block and cycle not in still_open:
                        # Closed once is enough: it may open again before the others close.
                        taken[cycle] = CLOSED
                if all(first_block == CLOSED for first_block in taken.values()):
                    del by_row[row]
            if not by_row:
                del self._busy[pool]

    # -- reorganisations ----------------------------------------------------------------------

    def rewind(self, block_hash: str) -> tuple[Fill, ...]:
        """Take back the fills of the blocks after `block_hash`; returns them, oldest first.

        Their decisions are open again, since a sent transaction cannot be unsent, and bind their
        pools again: on the new branch the cycle may never have closed.
        """
        undone: list[Fill] = []
        while self._journal and self._journal[-1].block_hash != block_hash:
            for settled in reversed(self._journal.pop().settled):
                row = self.rows[settled.fill.decision.strategy]
                self._book(settled.fill, row, -1)
                self.column("consecutive_losses")[row] = settled.consecutive_losses
                self.column("last_loss_block")[row] = settled.last_loss_block
                self._occupy(settled.fill.decision, row)
                undone.append(settled.fill)
        return tuple(reversed(undone))


CLOSED = -1
"""Marks a taken cycle as seen closed."""


def is_loss(fill: Fill) -> bool:
    """Reverted, lost and net-negative fills are losses."""
    if fill.status is FillStatus.FILLED:
        return fill.net_micro_usd < 0
    return fill.status in (FillStatus.REVERTED, FillStatus.LOST)
