"""Whether the machine's clock agrees with the chain's, from what live blocks tell.

They reach us a little after their timestamp. Where all of the last ones came long after it, and
equally long, the clock is ahead or every endpoint lags; where all came long before it, the clock is
behind. One late block says nothing, nor do endpoints that catch up, nor a chain whose timestamps
run faster than time does.
"""

from __future__ import annotations

from collections import deque

BLOCKS = 16
FAR_S = 20.0
"""More than a chain may date its blocks ahead, or than they take to arrive."""
NEAR_S = 10.0
"""What was found is over only below this, so that nothing is told again and again."""
STEADY_S = 5.0
"""By so much the delays of blocks may differ, and a clock drift, before that is news."""
NO_LAG_S = 120.0
"""Endpoints that are further behind catch up, or stand still: they do not stay as far."""

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

    def note(self, seen_at: float, timestamp: int) -> bool:
        """When a block was heard of by our clock, and when it was made by the chain's. Returns
        whether this is news of the clock."""
        before = self.offset_s
        self._delays.append(seen_at - timestamp)
        if len(self._delays) == BLOCKS:
            least, most = min(self._delays), max(self._delays)
            if before is not None and least < NEAR_S and most > -NEAR_S:
                self.offset_s = None
            elif (
                (least > FAR_S or most < -FAR_S)
                and most - least <= STEADY_S
                and (before is None or abs(least - before) > STEADY_S)
            ):
                self.offset_s = round(least, 1)
        return self.offset_s != before

    @property
    def surely_s(self) -> float:
        """The offset where nothing else explains it, else 0."""
        offset_s = self.offset_s or 0.0
        return offset_s if offset_s < 0.0 or offset_s > NO_LAG_S else 0.0

    @property
    def remedy(self) -> str:
        """Where the clock is wrong, or seems so."""
        return f"{SET_IT}. {LAG}" if (self.offset_s or 0.0) > 0.0 else SET_IT
