"""Whether the machine's clock agrees with the chain's: told once, and once that it does again.

Live blocks reach us a little after their timestamp. Where all of the last ones came long after it,
and equally long, the clock is ahead or every endpoint lags; where all came long before it, the
clock is behind. One late block says nothing, nor do endpoints that catch up, nor a chain whose
timestamps run faster than time does.
"""

from __future__ import annotations

from collections import deque

import structlog

_log = structlog.get_logger("data-collector")

BLOCKS = 16
FAR_S = 20.0
"""More than a chain may date its blocks ahead, or than they take to arrive."""
NEAR_S = 10.0
"""What was told is over only below this, so that nothing is told again and again."""
STEADY_S = 5.0
"""By so much the delays of blocks may differ."""

SET_IT = "Set the machine's clock (NTP): a trader judges by it which blocks come too late"
LAG = "If the clock is right, every endpoint lags so far: use others"


class ClockWatch:
    """Mutable: `note` every live block.

    offset_s: seconds that the clock is ahead of the chain's, negative where it is behind; None
    while it is not known to be wrong.
    """

    def __init__(self) -> None:
        self.offset_s: float | None = None
        self._delays: deque[float] = deque(maxlen=BLOCKS)

    def note(self, seen_at: float, timestamp: int) -> None:
        """When a block was heard of by our clock, and when it was made by the chain's."""
        self._delays.append(seen_at - timestamp)
        if len(self._delays) < BLOCKS:
            return
        least, most = min(self._delays), max(self._delays)
        if self.offset_s is not None and least < NEAR_S and most > -NEAR_S:
            self.offset_s = None
            _log.info("clock.over")
        elif (least > FAR_S or most < -FAR_S) and most - least <= STEADY_S:
            is_new, self.offset_s = self.offset_s is None, round(least, 1)
            if is_new:
                remedy = SET_IT if least < 0 else f"{SET_IT}. {LAG}"
                _log.warning("clock", is_off_by_s=self.offset_s, remedy=remedy)
