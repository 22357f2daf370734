"""The log says once that all blocks come too late to trade on, and once that they do no more."""

from __future__ import annotations

import structlog

from dexarb.core.block import Block

_log = structlog.get_logger("paper-trading")

BLOCKS = 10
"""So many in a row are no hiccup."""
REMEDY = (
    "Does data-collector warn of the machine's clock? Set it. Else its endpoints lag, or"
    " max_state_age_secs is less than blocks take"
)


class StaleLog:
    """Mutable: remembers what it has told."""

    def __init__(self) -> None:
        self._in_a_row = 0

    def tell(self, block: Block, *, stale: bool) -> None:
        """Of a block that was heard of live."""
        if block.seen_at is None:
            return
        if not stale and self._in_a_row >= BLOCKS:
            _log.info("stale.over", block=block.number)
        self._in_a_row = self._in_a_row + 1 if stale else 0
        if self._in_a_row == BLOCKS:
            late_s = round(block.seen_at - block.timestamp, 1)
            _log.warning("stale", blocks_in_a_row=BLOCKS, seconds_late=late_s, remedy=REMEDY)
