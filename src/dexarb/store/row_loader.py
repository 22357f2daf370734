"""From a ledger's rows to the nouns that they are of."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from dexarb.core.block import Block
from dexarb.core.route import Cycle
from dexarb.core.trade import Decision
from dexarb.store.ledger_columns import (
    BLOCK,
    DECISION,
    EVIDENCE,
    FILL,
    PROBE,
    Row,
    cycle_from,
)
from dexarb.store.ledger_rows import DecisionRow, DecisionState, EvidenceRow, FillRow, ProbeRow

DECISION_COLUMNS = f"{DECISION.names('d')}, d.seq, {BLOCK.names('b')}, r.hops"


class RowLoader:
    """Rows to nouns; equal blocks and cycles become the same object."""

    def __init__(self, cycles: dict[str, Cycle]) -> None:
        self._cycles = cycles
        self._blocks: dict[int, Block] = {}

    def _cycle(self, values: Iterator[Any]) -> Cycle:
        hops = next(values)
        known = self._cycles.get(hops)
        if known is None:
            known = self._cycles[hops] = cycle_from(hops)
        return known

    def _block(self, values: Iterator[Any]) -> tuple[int, Block]:
        """Behind its seq."""
        seq, row = next(values), BLOCK.take(values)
        known = self._blocks.get(seq)
        if known is None:
            known = self._blocks[seq] = BLOCK.read(row)
        return seq, known

    def _decision(self, values: Iterator[Any]) -> tuple[int, Decision]:
        """From DECISION_COLUMNS and _p_fill, with its seq."""
        row = DECISION.take(values)
        seq, block = self._block(values)
        cycle = self._cycle(values)
        return seq, DECISION.read(row, block=block, cycle=cycle, p_fill_ppm=next(values))

    def decision_row(self, row: Row) -> DecisionRow:
        values = iter(row)
        seq, decision = self._decision(values)
        return DecisionRow(seq, decision, DecisionState(next(values)))

    def fill_row(self, row: Row) -> FillRow:
        values = iter(row)
        _, decision = self._decision(values)
        facts, bound = FILL.take(values), next(values)
        seq, block = self._block(values)
        fill = FILL.read(facts, decision=decision, block=block, bound_micro_usd=bound)
        return FillRow(seq, fill, next(values))

    def evidence_row(self, row: Row) -> EvidenceRow:
        values = iter(row)
        seq, facts = next(values), EVIDENCE.take(values)
        return EvidenceRow(seq, EVIDENCE.read(facts, cycle=self._cycle(values)), next(values))

    def probe_row(self, row: Row) -> ProbeRow:
        values = iter(row)
        seq, facts = next(values), PROBE.take(values)
        return ProbeRow(seq, PROBE.read(facts, cycle=self._cycle(values)))
