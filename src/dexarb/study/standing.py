"""How the strategies stand, as the ledger has it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dexarb.store.ledger_reader import read_only
from dexarb.store.ledger_rows import Standing

MICRO = 1_000_000
METRICS = "metrics"


@dataclass(frozen=True, slots=True)
class Standings:
    """Of one moment. seq: the last history entry included. metrics: measured by the trader.
    is_trading: it has warmed up and taken its strategies.

    rows: the strategies that take part now, then those that no longer do. active and failed are
    hashes; won is by hash, in micro-USD: net of the fills that were booked before or at the place
    of a taker who was really there.
    """

    seq: int
    block: int | None
    history: Path
    rows: tuple[Standing, ...]
    metrics: dict[str, Any]
    is_trading: bool
    active: frozenset[str] = frozenset()
    failed: frozenset[str] = frozenset()
    won: Mapping[str, int] | None = None

    def state(self, row: Standing) -> str:
        """`active`, `failed` (in its own code, and quarantined) or `ended`."""
        if row.hash in self.failed:
            return "failed"
        return "active" if row.hash in self.active else "ended"

    def won_over_taker(self, row: Standing) -> int:
        """Micro-USD."""
        return (self.won or {}).get(row.hash, 0)

    def as_json(self, row: Standing) -> dict[str, Any]:
        """A row of these, with what only the whole ledger says about it."""
        return as_json(row) | {
            "won_over_taker_usd": self.won_over_taker(row) / MICRO,
            "state": self.state(row),
        }


def read_standings(ledger: Path) -> Standings:
    """Raises StoreError."""
    with read_only(ledger) as reader, reader.at_one_moment():
        last = reader.last_block
        active = frozenset(each.strategy for each in reader.epochs() if each.to_seq is None)
        rows = sorted(reader.standings(), key=lambda row: row.hash not in active)
        metrics = reader.note(METRICS)
        return Standings(
            reader.seq,
            last[0] if last else None,
            reader.history,
            tuple(rows),
            json.loads(metrics or "{}"),
            metrics is not None,
            active,
            frozenset(each.strategy for each in reader.incidents()),
            reader.won_over_takers(),
        )


def as_json(row: Standing) -> dict[str, Any]:
    """The keys that machines rely on, and more. Money in USD.

    profit_usd is null while fills have no known place (`unplaced`): then only the band is true.
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
        "profit_usd": None if row.unplaced else row.profit_micro_usd / MICRO,
        "band_usd": [row.band_low_micro_usd / MICRO, row.band_high_micro_usd / MICRO],
        "gas_cost_usd": row.gas_cost_micro_usd / MICRO,
    }
