"""How the strategies stand, as the ledger has it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dexarb.core.trade import StrategyHash
from dexarb.core.units import MICRO_USD
from dexarb.store.ledger_figures import epoch_times, nets, seconds_of
from dexarb.store.ledger_notes import METRICS, Metrics
from dexarb.store.ledger_reader import read_only
from dexarb.store.ledger_rows import ALL_BLOCKS, MAX_INTEGER, BlockRange, StrategyTotals
from dexarb.study.last_change import LastChange, last_change
from dexarb.study.performance import (
    Performance,
    Period,
    drawdowns_of,
    performance,
    performance_as_json,
    periods_of,
)
from dexarb.study.probed import ProbedDecisions, probed_decisions
from dexarb.study.stops import Stop, limited, stop_as_json, stops_now


@dataclass(frozen=True, slots=True)
class Totals:
    """Of one moment. seq: the last history entry included. metrics: measured by the trader.

    rows: the strategies that take part now, then those that no longer do. active and failed are
    hashes; won is by hash, in micro-USD: net of the fills that were booked before or at the place
    of a taker who was really there. timestamp: the newest UTC second that is known. change: the
    last one of the strategies. blocks: what was decided in these is counted;
    last_second: of them, in UTC. probed: what nodes have said of decisions, in all blocks.
    """

    seq: int
    block: int | None
    history: Path
    rows: tuple[StrategyTotals, ...]
    metrics: Metrics | None
    active: frozenset[StrategyHash] = frozenset()
    failed: frozenset[StrategyHash] = frozenset()
    won: Mapping[StrategyHash, int] | None = None
    stops: Mapping[StrategyHash, Stop] = field(default_factory=dict)
    timestamp: int | None = None
    periods: Mapping[StrategyHash, Period] = field(default_factory=dict)
    drawdowns: Mapping[StrategyHash, int] = field(default_factory=dict)
    change: LastChange | None = None
    blocks: BlockRange = ALL_BLOCKS
    last_second: int = MAX_INTEGER
    probed: ProbedDecisions | None = None

    @property
    def is_trading(self) -> bool:
        """The trader has warmed up and taken its strategies."""
        return self.metrics is not None

    @property
    def block_to_decision_ms(self) -> Mapping[str, float | None] | None:
        return self.metrics.block_to_decision_ms if self.metrics else None

    def state(self, row: StrategyTotals) -> str:
        """`active`, `stopped` (by a limit of its own), `failed` (in its own code, and quarantined)
        or `ended`."""
        return state_of(
            is_active=row.hash in self.active,
            has_failed=row.hash in self.failed,
            is_stopped=row.hash in self.stops,
        )

    def won_over_taker(self, row: StrategyTotals) -> int:
        """Micro-USD."""
        return (self.won or {}).get(row.hash, 0)

    def performance(self, row: StrategyTotals) -> Performance:
        return performance(row, self.periods, self.drawdowns)

    @property
    def since(self) -> int | None:
        """UTC second at which the first strategy began, or from which on is counted; None: not
        known yet."""
        return min(
            (each.since for each in self.periods.values() if each.since is not None), default=None
        )

    @property
    def until(self) -> int | None:
        """UTC second up to which is counted."""
        return None if self.timestamp is None else min(self.timestamp, self.last_second)

    def as_json(self, row: StrategyTotals) -> dict[str, Any]:
        """A row of these, with what only the whole ledger says about it."""
        return as_json(row) | {
            "seen": row.seen if self.blocks == ALL_BLOCKS else None,
            "won_over_taker_usd": self.won_over_taker(row) / MICRO_USD,
            "state": self.state(row),
            **performance_as_json(self.performance(row)),
            **stop_as_json(self.stops.get(row.hash)),
        }


def state_of(*, is_active: bool, has_failed: bool, is_stopped: bool) -> str:
    if has_failed:
        return "failed"
    if not is_active:
        return "ended"
    return "stopped" if is_stopped else "active"


def read_totals(
    ledger: Path,
    now: int | None = None,
    blocks_of: Callable[[int], BlockRange] = lambda _: ALL_BLOCKS,
) -> Totals:
    """now: a UTC timestamp, where something newer than the ledger knows it. blocks_of: what is to
    be counted, given the newest UTC second that is known. Raises StoreError."""
    with read_only(ledger) as reader, reader.at_one_moment():
        last = reader.last_block
        active = frozenset(reader.active())
        newest = max((each for each in (reader.last_timestamp, now) if each), default=None)
        blocks = blocks_of(newest or 0)
        span = seconds_of(reader, blocks)
        rows = sorted(reader.totals(blocks), key=lambda row: row.hash not in active)
        settings = limited(row for row in reader.strategies() if row.hash in active)
        epochs = epoch_times(reader)
        return Totals(
            reader.seq,
            last[0] if last else None,
            reader.history,
            tuple(rows),
            reader.note(METRICS),
            active,
            frozenset(each.strategy for each in reader.incidents()),
            reader.won_over_takers(blocks),
            stops_now(reader, settings, now),
            newest,
            periods_of(epochs, newest, span),
            drawdowns_of(nets(reader, blocks)),
            last_change(reader, epochs, {row.hash: row.name for row in rows}),
            blocks,
            span[1],
            probed_decisions(reader),
        )


def as_json(row: StrategyTotals) -> dict[str, Any]:
    """The keys that machines rely on, and more. Money in USD.

    profit_usd is null while fills have no known place (`unplaced`): then only the band is true.
    placed_profit_usd is of the others alone.
    """
    return {
        "name": row.name,
        "hash": row.hash,
        "seen": row.seen,
        "sent": row.sent,
        "filled": row.filled,
        "reverted": row.reverted,
        "lost": row.lost,
        "expired": row.expired,
        "reorged": row.reorged,
        "open": row.open,
        "unplaced": row.unplaced,
        "profit_usd": None if row.unplaced else row.profit_micro_usd / MICRO_USD,
        "placed_profit_usd": row.placed_micro_usd / MICRO_USD,
        "band_usd": [row.band_low_micro_usd / MICRO_USD, row.band_high_micro_usd / MICRO_USD],
        "gas_cost_usd": row.gas_cost_micro_usd / MICRO_USD,
        "gained": None if row.unplaced else row.gained,
        "gas_usd": {
            "filled": row.gas_filled_micro_usd / MICRO_USD,
            "reverted": row.gas_reverted_micro_usd / MICRO_USD,
            "lost": row.gas_lost_micro_usd / MICRO_USD,
        },
    }
