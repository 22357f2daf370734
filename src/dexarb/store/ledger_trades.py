"""Settled decisions of a ledger as a verdict counts them, one row each."""

from __future__ import annotations

from typing import NamedTuple

from dexarb.core.trade import DecisionId, StrategyHash
from dexarb.store.ledger_reader import LedgerReader

_SETTLED = """
SELECT d.strategy, d.id, b.timestamp, b.number, d.cycle, d.position, f.status, f.net_micro_usd,
    f.gas_cost_micro_usd, max(d.gas_reserve_micro_usd, coalesce(d.fixed_gas_cost_micro_usd, 0)),
    f.band_low_micro_usd, f.band_high_micro_usd, f.place_known, coalesce(e.outcome, ''),
    coalesce(e.outcome = 'taken' AND f.place_known
        AND (fb.number < e.mover_block_number
            OR fb.number = e.mover_block_number AND f.place <= e.mover_place), 0)
FROM fills f JOIN decisions d ON d.n = f.decision
JOIN blocks b ON b.seq = d.seq JOIN blocks fb ON fb.seq = f.seq
LEFT JOIN evidence e ON e.cycle = d.cycle AND e.block_hash = b.hash AND e.reorged_seq IS NULL
WHERE f.reorged_seq IS NULL ORDER BY f.n
"""


class SettledRow(NamedTuple):
    """second, block: of the block that it was decided on. reserve: the most that its gas could have
    cost. outcome: of the evidence, empty where there is none. is_won: it stands before a taker who
    was really there. Micro-USD."""

    strategy: StrategyHash
    id: DecisionId
    second: int
    block: int
    cycle: str
    position: str
    status: str
    net: int
    gas: int
    reserve: int
    low: int
    high: int
    is_placed: int
    outcome: str
    is_won: int


def settled(reader: LedgerReader) -> list[SettledRow]:
    """In the order in which they were booked; what a reorganisation undid is not among them.

    Raises StoreError.
    """
    return [SettledRow(*row) for row in reader.rows(_SETTLED)]
