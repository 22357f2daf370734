"""At which hours of the day strategies earn."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

from dexarb.core.trade import StrategyHash
from dexarb.core.units import HOURS_PER_DAY, MICRO_USD
from dexarb.store.ledger_figures import FillSums, sums_by_hour
from dexarb.store.ledger_reader import read_only
from dexarb.store.ledger_rows import ALL_BLOCKS, BlockRange
from dexarb.study.performance import win_rate

_NOTHING = FillSums(0, 0, 0, 0, 0, 0, 0, 0, 0)


def read_by_hour(
    ledger: Path, strategies: Collection[StrategyHash], blocks: BlockRange = ALL_BLOCKS
) -> tuple[FillSums, ...]:
    """What these strategies' fills came to, by hour (UTC) of the block that included them: 24 of
    them, from midnight on. Raises StoreError."""
    with read_only(ledger) as reader:
        found = sums_by_hour(reader, strategies, blocks)
    return tuple(found.get(hour, _NOTHING) for hour in range(HOURS_PER_DAY))


def hour_as_json(hour: int, sums: FillSums) -> dict[str, Any]:
    """Money in USD; the profit is null where the place of a fill is not known."""
    return {
        "hour": hour,
        "settled": sums.settled,
        "filled": sums.filled,
        "reverted": sums.reverted,
        "lost": sums.lost,
        "expired": sums.expired,
        "win_rate": win_rate(sums),
        "profit_usd": None if sums.unplaced else sums.net_micro_usd / MICRO_USD,
        "gas_cost_usd": sums.gas_cost_micro_usd / MICRO_USD,
    }
