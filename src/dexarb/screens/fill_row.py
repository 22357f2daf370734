"""A fill as a row of CSV."""

from __future__ import annotations

from collections.abc import Mapping

from dexarb.screens.csv_output import Cell, iso
from dexarb.screens.named_fill import NamedFill
from dexarb.screens.names import Names

FILL_COLUMNS = (
    "strategy",
    "strategy_hash",
    "decision",
    "decided_time",
    "decided_block",
    "decided_block_hash",
    "time",
    "block",
    "block_hash",
    "place",
    "status",
    "reorged",
    "symbols",
    "tokens",
    "pools",
    "amount_in",
    "expected_out",
    "amount_out",
    "gas_used",
    "gas_price_wei",
    "gas_cost_micro_usd",
    "expected_net_micro_usd",
    "net_micro_usd",
    "band_low_micro_usd",
    "band_high_micro_usd",
    "won_over_taker",
    "outcome",
    "closed_after_blocks",
    "mover_block",
    "mover_block_hash",
    "mover_place",
    "mover_transaction",
    "mover_sender",
    "mover_to",
    "mover_paid_wei",
    "gain_token",
    "gain",
)
"""These stay, in this order; new ones come behind them."""


def fill_row(shown: NamedFill, names: Names) -> Mapping[str, Cell]:
    """By FILL_COLUMNS. None where it is not known; amounts in the token's smallest unit."""
    fill, decision, evidence = shown.fill, shown.fill.decision, shown.evidence
    cycle, known = decision.cycle, fill.place_known
    mover = evidence.mover if evidence else None
    return {
        "strategy": shown.strategy,
        "strategy_hash": decision.strategy,
        "decision": decision.id,
        "decided_time": iso(decision.block.timestamp),
        "decided_block": decision.block.number,
        "decided_block_hash": decision.block.hash,
        "time": iso(fill.block.timestamp),
        "block": fill.block.number,
        "block_hash": fill.block.hash,
        "place": fill.place if known else None,
        "status": fill.status.value if known else None,
        "reorged": shown.row.reorged_seq is not None,
        "symbols": names.tokens_of(cycle),
        "tokens": " ".join((*cycle.tokens, cycle.start_token)),
        "pools": " ".join(cycle.pools),
        "amount_in": decision.amount_in,
        "expected_out": decision.amount_out,
        "amount_out": fill.amount_out if known else None,
        "gas_used": fill.gas_used,
        "gas_price_wei": fill.gas_price,
        "gas_cost_micro_usd": fill.gas_cost_micro_usd,
        "expected_net_micro_usd": decision.expected_net_micro_usd,
        "net_micro_usd": fill.net_micro_usd if known else None,
        "band_low_micro_usd": fill.band_micro_usd[0],
        "band_high_micro_usd": fill.band_micro_usd[1],
        "won_over_taker": shown.is_won_over_taker,
        "outcome": evidence.outcome.value if evidence else None,
        "closed_after_blocks": evidence.closed_after if evidence else None,
        "mover_block": mover.block_number if mover else None,
        "mover_block_hash": mover.block_hash if mover else None,
        "mover_place": mover.place if mover else None,
        "mover_transaction": mover.transaction if mover else None,
        "mover_sender": mover.sender if mover else None,
        "mover_to": mover.to if mover else None,
        "mover_paid_wei": mover.paid if mover else None,
        "gain_token": evidence.gain_token if evidence else None,
        "gain": evidence.gain if evidence else None,
    }
