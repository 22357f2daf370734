"""Whether a trader gets on: what its log says when it does not, and when it does again."""

from __future__ import annotations

import time

import structlog

from dexarb.core.block import Block

SILENT_AFTER = 3
"""Times max_state_age_secs without a new block."""
CATCHING_UP_S = 5.0

_log = structlog.get_logger("paper-trading")


class ProgressLog:
    """Mutable. It decides nothing: time is the blocks' own."""

    def __init__(self) -> None:
        self._last_entry_at = self._told_at = time.monotonic()
        self._is_silent = self._is_lost = False

    def came(self) -> None:
        """An entry has been taken and written."""
        self._last_entry_at = time.monotonic()

    def catching_up(self, seq: int, to_seq: int) -> None:
        """Now and then, while entries are gone through that are not traded on."""
        now = time.monotonic()
        if now - self._told_at >= CATCHING_UP_S:
            self._told_at = now
            _log.info("catching up", entry=seq, to_entry=to_seq)

    def goes_on(self, block: Block, *, is_lost: bool) -> None:
        """After an entry. is_lost: the market is not known any more."""
        if self._is_silent:
            self._is_silent = False
            _log.info("silence.over", block=block.number)
        if is_lost == self._is_lost:
            return
        self._is_lost = is_lost
        if is_lost:
            remedy = "data-collector writes one after a break; if none comes, see its log"
            _log.warning("lost", since_block=block.number, until="the next keyframe", remedy=remedy)
        else:
            _log.info("lost.over", block=block.number)

    def waits(self, max_state_age_s: float) -> None:
        """While no entry comes."""
        silent_s = time.monotonic() - self._last_entry_at
        if not self._is_silent and silent_s > SILENT_AFTER * max_state_age_s:
            self._is_silent = True
            remedy = "Is data-collector running, and does its log show blocks?"
            _log.warning("silence", no_new_block_for_s=round(silent_s, 1), remedy=remedy)
