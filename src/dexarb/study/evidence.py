"""What the chain did with a spread, told beside the fill of it."""

from __future__ import annotations

from dexarb.core.evidence import Evidence, Outcome
from dexarb.core.trade import Fill, FillStatus


def won_over_taker(fill: Fill, evidence: Evidence | None) -> bool:
    """Whether the fill was booked before, or at the very place of, somebody who really took the
    spread: live, he might have answered. `place` counts the transactions before ours."""
    if evidence is None or evidence.mover is None or not fill.place_known:
        return False
    mover = evidence.mover
    ours, theirs = (fill.block.number, fill.place), (mover.block_number, mover.place)
    is_first = fill.status is FillStatus.FILLED and ours <= theirs
    return is_first and evidence.outcome is Outcome.TAKEN
