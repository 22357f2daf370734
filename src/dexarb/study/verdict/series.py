"""A strategy's trades as columns, and its net USD a day: what every test of a verdict is made of.

Money is integer micro-USD up to the day's sum; from there on it is statistics, in float USD.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields
from typing import Self

import numpy as np
import numpy.typing as npt

from dexarb.core.evidence import Outcome
from dexarb.core.trade import DecisionId, FillStatus, Position
from dexarb.core.units import MICRO_USD, SECONDS_PER_DAY
from dexarb.store.ledger_trades import SettledRow
from dexarb.study.verdict.distributions import binomial_bounds

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Floats = npt.NDArray[np.float64]

LEAST_SETTLED, LEAST_DAYS = 30, 10
"""With less, nothing is said by statistics."""
ENOUGH_LOSSES = 10
"""With so many large ones seen, their rate is known well enough not to be charged for."""


@dataclass(frozen=True, slots=True)
class Trades:
    """Settled decisions in the order of their blocks, a column each.

    second: UTC, of the block it was decided on. reserve: the most that its gas could have cost.
    is_untaken: it gained by a spread that nobody took for 64 blocks, and no node has run its route.
    is_won: it stands before a taker who was really there. Micro-USD.
    """

    second: Ints
    net: Ints
    gas: Ints
    reserve: Ints
    low: Ints
    high: Ints
    is_filled: Bools
    is_loss: Bools
    is_untaken: Bools
    is_won: Bools

    def __len__(self) -> int:
        return len(self.second)

    def where(self, chosen: Bools) -> Self:
        return type(self)(*(getattr(self, each.name)[chosen] for each in fields(self)))

    def between(self, first_day: int, days: int) -> Self:
        """Decided on these UTC days."""
        day = self.second // SECONDS_PER_DAY
        return self.where((day >= first_day) & (day < first_day + days))

    @property
    def counted(self) -> Self:
        """Without gains that nobody took."""
        return self.where(~self.is_untaken)


def trades_of(
    rows: Iterable[SettledRow],
    *,
    tried: Collection[str] = (),
    own_effect: Collection[DecisionId] = (),
) -> Trades:
    """tried: cycles that a node has run as we say. own_effect: decisions before whose paper fill a
    live trade of ours stood: later swaps depended on it, so they say nothing."""
    kept = sorted((row for row in rows if row.id not in own_effect), key=lambda row: row.second)

    def ints(values: Iterable[int]) -> Ints:
        return np.fromiter(values, np.int64, len(kept))

    def bools(values: Iterable[bool]) -> Bools:
        return np.fromiter(values, np.bool_, len(kept))

    return Trades(
        second=ints(row.second for row in kept),
        net=ints(row.net for row in kept),
        gas=ints(row.gas for row in kept),
        reserve=ints(row.reserve for row in kept),
        low=ints(row.low for row in kept),
        high=ints(row.high for row in kept),
        is_filled=bools(row.status == FillStatus.FILLED for row in kept),
        is_loss=bools(_is_loss(row) for row in kept),
        is_untaken=bools(is_untaken(row) and row.cycle not in tried for row in kept),
        is_won=bools(bool(row.is_won) for row in kept),
    )


def _is_loss(row: SettledRow) -> bool:
    return row.status in (FillStatus.REVERTED, FillStatus.LOST) or row.net < 0


def is_untaken(row: SettledRow) -> bool:
    return row.status == FillStatus.FILLED and row.net > 0 and row.outcome == Outcome.PERSISTED


def is_contested(row: SettledRow) -> bool:
    """Only there rivals that were really there come first. One whose place is not known is not."""
    return row.position == Position.CONTESTED and bool(row.is_placed)


def whole_days(since: int, until: int) -> tuple[int, int]:
    """The first UTC day that begins at `since` or later, and how many ended up to `until`."""
    first = -(-since // SECONDS_PER_DAY)
    return first, max(0, until // SECONDS_PER_DAY - first)


@dataclass(frozen=True, slots=True)
class Series:
    """Net USD of each of some UTC days, days without a trade included.

    charge: USD, what every settled decision is charged for losses that may not have been seen yet,
    see `loss_charge`; `charged` is net of it. per_day: settled decisions.
    """

    first_day: int
    net: Floats
    per_day: Ints
    charge: float

    @property
    def days(self) -> int:
        return len(self.net)

    @property
    def charged(self) -> Floats:
        return self.net - self.charge * self.per_day

    @property
    def settled(self) -> int:
        return int(self.per_day.sum())

    @property
    def active_days(self) -> int:
        return int((self.per_day > 0).sum())

    @property
    def is_eligible(self) -> bool:
        return self.settled >= LEAST_SETTLED and self.active_days >= LEAST_DAYS


def series_of(trades: Trades, first_day: int, days: int) -> Series:
    """Of the trades that count on these days."""
    chosen = trades.between(first_day, days).counted
    net = np.zeros(days, dtype=np.int64)
    per_day = np.zeros(days, dtype=np.int64)
    day = chosen.second // SECONDS_PER_DAY - first_day
    np.add.at(net, day, chosen.net)
    np.add.at(per_day, day, 1)
    return Series(first_day, net / MICRO_USD, per_day, loss_charge(chosen))


def loss_charge(trades: Trades) -> float:
    """USD for each decision: (95 % upper bound of the rate of large losses - observed rate) x
    (largest loss + mean win); nothing once ENOUGH_LOSSES large ones were seen.

    The largest loss is what was seen or what the gas of a decision could have cost at most,
    whichever is more: the executor never comes out with less than was put in, so nothing else can
    be lost, and where no loss was seen that is all one knows. A loss is large from half of that on:
    ever so many cheap misses say nothing of how often a dear one comes.
    """
    settled = len(trades)
    if not settled:
        return 0.0
    largest = max(int(-trades.net.min()), int(trades.reserve.max()))
    large = int((trades.is_loss & (-2 * trades.net >= largest)).sum())
    if large >= ENOUGH_LOSSES:
        return 0.0
    wins = trades.net[trades.net > 0]
    mean_win = float(wins.mean()) if len(wins) else 0.0
    _, upper = binomial_bounds(large, settled)
    return (upper - large / settled) * (max(largest, 0) + mean_win) / MICRO_USD
