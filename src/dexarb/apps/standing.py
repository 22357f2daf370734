"""How the strategies stand, as the ledger has it."""

from __future__ import annotations

import json
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

    rows: the strategies that take part now, then those that no longer do.
    """

    seq: int
    block: int | None
    history: Path
    rows: tuple[Standing, ...]
    metrics: dict[str, Any]
    is_trading: bool


def read_standings(ledger: Path) -> Standings:
    """Raises StoreError."""
    with read_only(ledger) as reader, reader.at_one_moment():
        last = reader.last_block
        active = {epoch.strategy for epoch in reader.epochs() if epoch.to_seq is None}
        rows = sorted(reader.standings(), key=lambda row: row.hash not in active)
        metrics = reader.note(METRICS)
        return Standings(
            reader.seq,
            last[0] if last else None,
            reader.history,
            tuple(rows),
            json.loads(metrics or "{}"),
            metrics is not None,
        )


def as_json(row: Standing) -> dict[str, Any]:
    """The keys that machines rely on, and more. Money in USD."""
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
        "profit_usd": row.profit_micro_usd / MICRO,
        "band_usd": [row.band_low_micro_usd / MICRO, row.band_high_micro_usd / MICRO],
        "gas_cost_usd": row.gas_cost_micro_usd / MICRO,
    }
