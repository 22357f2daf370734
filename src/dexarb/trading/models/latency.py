"""Latency: the first block that a decision can be included in (docs/honest-fills.md, Time)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from dexarb.core.block import Block
from dexarb.core.trade import Decision
from dexarb.trading.models.model import Model


@dataclass(frozen=True, slots=True)
class LatencyModel(Model):
    """As many milliseconds as the decision says, between blocks that were seen live."""

    NAME: ClassVar[str] = "latency"
    VERSION: ClassVar[int] = 1

    def reaches(self, decision: Decision, block: Block, cutoff_ms: int) -> bool:
        """Whether it was sent in time for a block from its first one on, which latency_blocks
        sets. cutoff_ms: how long before a block is seen its builder takes the last transaction."""
        decided, seen = decision.block.seen_at, block.seen_at
        # Blocks that nobody saw live tell no time: there latency_blocks alone count. Nor do they
        # if the clock was set back between them.
        if decision.latency_ms is None or decided is None or seen is None or seen < decided:
            return True
        return (seen - decided) * 1000 - cutoff_ms > decision.latency_ms
