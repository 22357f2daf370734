"""What a bot's own sends came to, to be drawn among those that were computed."""

from __future__ import annotations

from pathlib import Path
from statistics import median_low
from typing import NamedTuple

from dexarb.core.trade import FillStatus
from dexarb.store.ledger_notes import SENDS
from dexarb.store.ledger_reader import read_only


class Lived(NamedTuple):
    """Trades of a bot in some blocks, by their fills that stand. tip: wei per gas paid, of the one
    in the middle; None where nothing was included. place: transactions before it, as well. missed:
    what reverts cost, net: of all, in micro-USD."""

    sends: int
    included: int
    hits: int
    tip: int | None
    place: int | None
    missed: int
    net: int


def lived(ledger: Path, first: int, last: int) -> Lived | None:
    """In blocks first to last. None where no bot has sent anything. Raises StoreError."""
    if not ledger.is_file():
        return None
    with read_only(ledger) as books:
        if not books.note(SENDS):
            return None
        fills = [row.fill for row in books.fills() if row.reorged_seq is None]
    fills = [each for each in fills if first <= each.block.number <= last]
    inside = [each for each in fills if each.gas_used]
    tips = [each.gas_price - each.block.base_fee_per_gas for each in inside]
    return Lived(
        len(fills),
        len(inside),
        sum(each.status is FillStatus.FILLED for each in inside),
        median_low(tips) if tips else None,
        median_low(each.place for each in inside) if inside else None,
        sum(each.gas_cost_micro_usd for each in inside if each.status is FillStatus.REVERTED),
        sum(each.net_micro_usd for each in fills),
    )
