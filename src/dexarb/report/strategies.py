"""What became of each strategy, as the keys that machines rely on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dexarb.core.ledger import Ledger

MICRO = 1_000_000
COUNTS = ("seen", "sent", "filled", "reverted", "lost", "expired", "reorged", "open")


@dataclass(frozen=True, slots=True)
class StrategyRow:
    """Counts, and money in micro-USD, of one strategy."""

    name: str
    hash: str
    counts: dict[str, int]
    profit_micro_usd: int
    band_micro_usd: tuple[int, int]
    gas_cost_micro_usd: int

    def as_json(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "hash": self.hash,
            **self.counts,
            "profit_usd": self.profit_micro_usd / MICRO,
            "band_usd": [bound / MICRO for bound in self.band_micro_usd],
            "gas_cost_usd": self.gas_cost_micro_usd / MICRO,
        }


def strategy_rows(ledger: Ledger, named: Sequence[tuple[str, str]]) -> list[StrategyRow]:
    """One row for each (name, hash), in the order given."""
    return [
        StrategyRow(
            name,
            key,
            {count: ledger.value(key, count) for count in COUNTS},
            ledger.value(key, "profit_micro_usd"),
            (ledger.value(key, "band_low_micro_usd"), ledger.value(key, "band_high_micro_usd")),
            ledger.value(key, "gas_cost_micro_usd"),
        )
        for name, key in named
    ]
