"""The classic coin: losing a share of the opportunities to rivals that are not simulated.

The coin belongs to an episode of a cycle, not to a strategy: all strategies see the same toss,
and a higher rate loses everything that a lower rate loses.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar

from dexarb.core.route import CycleId
from dexarb.core.units import PPM
from dexarb.trading.models.model import Model


@dataclass(frozen=True, slots=True)
class CompetitionModel(Model):
    """The rate is a strategy's parameter; none is lost at 0."""

    NAME: ClassVar[str] = "coin"
    VERSION: ClassVar[int] = 1

    def is_lost(self, chain_id: int, cycle_id: CycleId, opened_block: int, rate_ppm: int) -> bool:
        """Whether a rival takes the spread that opened in this block."""
        return rate_ppm > 0 and toss_ppm(chain_id, cycle_id, opened_block) < rate_ppm


@lru_cache(maxsize=1024)
def toss_ppm(chain_id: int, cycle_id: CycleId, opened_block: int) -> int:
    """A number in [0, 1,000,000) that depends on nothing but the episode: all strategies ask."""
    seed = f"{chain_id}:{cycle_id}:{opened_block}".encode()
    return int.from_bytes(hashlib.sha256(seed).digest()[:8], "big") * PPM >> 64
