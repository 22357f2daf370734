"""A fill with all that a screen says of it."""

from __future__ import annotations

from dataclasses import dataclass

from dexarb.core.evidence import Evidence
from dexarb.core.trade import Fill
from dexarb.store.ledger_rows import FillRow
from dexarb.study.evidence import won_over_taker


@dataclass(frozen=True, slots=True)
class NamedFill:
    """A fill with the name of its strategy and what is known of the spread. evidence: None while
    the spread is still open and not yet 64 blocks old."""

    row: FillRow
    strategy: str
    evidence: Evidence | None

    @property
    def fill(self) -> Fill:
        return self.row.fill

    @property
    def is_won_over_taker(self) -> bool:
        return self.row.reorged_seq is None and won_over_taker(self.fill, self.evidence)
