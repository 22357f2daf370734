"""The log says once that a limit has stopped strategies, and once that they go on."""

from __future__ import annotations

import numpy as np
import structlog

from dexarb.core.trade import REASONS, SkipReason, StrategyHash
from dexarb.screens.output import abridged
from dexarb.screens.stopped import PARAMETERS
from dexarb.study.session import Session
from dexarb.trading.decide.arrays import TAKEN, Codes
from dexarb.trading.strategy import StrategySettings

_log = structlog.get_logger("paper-trading")


class StopsLog:
    """Mutable: remembers what it has told."""

    def __init__(self) -> None:
        self._told: dict[StrategyHash, int] = {}
        self._settings: tuple[StrategySettings, ...] = ()
        self._codes: Codes = np.zeros(0, dtype=np.int8)

    def tell(self, session: Session) -> list[tuple[StrategySettings, SkipReason]] | None:
        """What has changed with the latest entry. Returns who is stopped by which limit, None
        where nothing has changed."""
        settings, codes = session.settings, session.stopped_by()
        # In nearly every block; there can be thousands that are stopped.
        if settings is self._settings and np.array_equal(codes, self._codes):
            return None
        self._settings, self._codes = settings, codes
        places = np.flatnonzero(codes != TAKEN).tolist()
        stopped = [(settings[place], int(codes[place])) for place in places]
        now = {each.hash: code for each, code in stopped}
        before, self._told = self._told, now
        if now == before:
            return None
        block = session.engine.market.block.number
        for code in sorted(set(now.values())):
            fresh = [
                each.name for each, by in stopped if by == code and before.get(each.hash) != code
            ]
            if fresh:
                by = PARAMETERS[REASONS[code]]
                _log.warning("strategy.stopped", by=by, block=block, strategies=abridged(fresh))
        over = [each.name for each in settings if each.hash in before and each.hash not in now]
        if over:
            _log.info("strategy.goes_on", block=block, strategies=abridged(over))
        return [(each, REASONS[code]) for each, code in stopped]
