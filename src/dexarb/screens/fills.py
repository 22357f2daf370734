"""dexarb fills: the last fills or those of some time, and what the chain did with the spreads."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from dexarb.config.paths import config_paths
from dexarb.core.block import BlockHash
from dexarb.core.evidence import Evidence, Mover
from dexarb.core.route import CycleId
from dexarb.core.units import MICRO_USD
from dexarb.screens.answer import Answer
from dexarb.screens.csv_output import Cell
from dexarb.screens.fill_list import FillList
from dexarb.screens.fill_row import FILL_COLUMNS, fill_row
from dexarb.screens.named_fill import NamedFill
from dexarb.screens.names import Names, find_strategy, names_of, state_beside
from dexarb.screens.when import When, range_of
from dexarb.store.ledger_reader import LedgerReader, read_only
from dexarb.store.ledger_rows import ALL_BLOCKS, BlockRange


@dataclass(frozen=True, slots=True)
class Fills(Answer):
    """Oldest first. strategy: whose were asked for, None for all. open_decisions: that may still
    become fills; counted only where there are none. is_part: only some blocks were asked for.
    is_full: nothing is shortened."""

    fills: Sequence[NamedFill]
    names: Names
    strategy: str | None
    open_decisions: int
    is_part: bool = False
    is_full: bool = False

    def as_json(self) -> dict[str, Any]:
        return {"fills": [_fill_json(each) for each in self.fills]}

    def render(self) -> RenderableType:
        if not self.fills:
            return Text(self._hint(), style="yellow")
        return FillList(self.fills, self.names, self.is_full)

    @property
    def csv_columns(self) -> tuple[str, ...]:
        return FILL_COLUMNS

    def csv_rows(self) -> Iterator[Mapping[str, Cell]]:
        return (fill_row(each, self.names) for each in self.fills)

    def _hint(self) -> str:
        """What to do where there is nothing to show."""
        name = f' "{self.strategy}"' if self.strategy else ""
        if self.is_part:
            return f"No fills{name and f' of{name}'} in these blocks."
        head = f"No fills{name and f' of{name}'} yet.\n"
        if self.open_decisions:
            open_ = f"{self.open_decisions} decisions are open"
            return f"{head}{open_}: they are settled within a few blocks."
        return (
            f"{head}`dexarb why{name}` says what stands in the way,\n"
            "`dexarb spreads` what the market offers against what the strategies need."
        )


def answer(
    config: Path,
    *,
    strategy: str | None,
    last: int | None,
    first: When | None = None,
    until: When | None = None,
    is_full: bool = False,
) -> Fills:
    """The last fills of these blocks, of all strategies or of one; last: None for all of them.

    Raises ConfigError, InputError for an unknown strategy, StoreError.
    """
    files = config_paths(config)
    state = state_beside(files.state_file)
    with read_only(files.ledger_file) as reader, reader.at_one_moment():
        newest = max(reader.last_timestamp or 0, state.block.timestamp if state else 0)
        blocks = range_of(first, until, newest)
        found = read_fills(reader, strategy, last, blocks)
        open_decisions = len(reader.open_decisions()) if not found else 0
    is_part = blocks != ALL_BLOCKS
    return Fills(found, names_of(state), strategy, open_decisions, is_part, is_full)


def read_fills(
    reader: LedgerReader,
    strategy: str | None,
    last: int | None,
    blocks: BlockRange = ALL_BLOCKS,
) -> list[NamedFill]:
    """The last fills in these blocks, of all strategies or of one, oldest first."""
    strategies = reader.strategies()
    names = {row.hash: row.name for row in strategies}
    key = None
    if strategy is not None:
        active = reader.active()
        key = find_strategy(strategy, strategies, active).hash
    rows = reader.fills(key, last=last, blocks=blocks)
    evidence: dict[tuple[CycleId, BlockHash], Evidence] = {}
    for cycle in {row.fill.decision.cycle.id for row in rows}:
        for each in reader.evidence(cycle):
            if each.reorged_seq is None:
                evidence[cycle, each.evidence.block_hash] = each.evidence
    found = []
    for row in rows:
        decision = row.fill.decision
        known = evidence.get((decision.cycle.id, decision.block.hash))
        found.append(NamedFill(row, names[decision.strategy], known))
    return found


def _fill_json(shown: NamedFill) -> dict[str, Any]:
    fill, decision = shown.fill, shown.fill.decision
    known = fill.place_known
    return {
        "strategy": shown.strategy,
        "hash": decision.strategy,
        "id": decision.id,
        "decided_block": decision.block.number,
        "decided_block_hash": decision.block.hash,
        "decided_timestamp": decision.block.timestamp,
        "block": fill.block.number,
        "block_hash": fill.block.hash,
        "timestamp": fill.block.timestamp,
        "place": fill.place if known else None,
        "status": fill.status.value if known else None,
        "reorged": shown.row.reorged_seq is not None,
        "route": list(decision.cycle.pools),
        "tokens": list(decision.cycle.tokens),
        "amount_in": str(decision.amount_in),
        "expected_out": str(decision.amount_out),
        "amount_out": str(fill.amount_out) if known else None,
        "expected_net_usd": decision.expected_net_micro_usd / MICRO_USD,
        "net_usd": fill.net_micro_usd / MICRO_USD if known else None,
        "band_usd": [each / MICRO_USD for each in fill.band_micro_usd],
        "gas_cost_usd": fill.gas_cost_micro_usd / MICRO_USD,
        "won_over_taker": shown.is_won_over_taker,
        "evidence": None if shown.evidence is None else _evidence_json(shown.evidence),
    }


def _evidence_json(evidence: Evidence) -> dict[str, Any]:
    return {
        "outcome": evidence.outcome.value,
        "closed_after_blocks": evidence.closed_after,
        "mover": None if evidence.mover is None else _mover_json(evidence.mover),
        "gain_token": evidence.gain_token,
        "gain": None if evidence.gain is None else str(evidence.gain),
    }


def _mover_json(mover: Mover) -> dict[str, Any]:
    return {
        "block": mover.block_number,
        "block_hash": mover.block_hash,
        "place": mover.place,
        "transaction": mover.transaction,
        "sender": mover.sender,
        "to": mover.to,
        "paid_wei": None if mover.paid is None else str(mover.paid),
    }
