"""What executing a cycle costs in gas.

Figures are gas units of the executor's transaction as a whole: 21,000 for the transaction, its
calldata, the executor's own steps, and per hop the pool's swap with the token transfers it makes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from dexarb.search.result import HopWork

SWAP_GAS: Mapping[str, int] = {"uniswap_v2": 68_000, "uniswap_v3": 92_000}
"""Pool swap and its transfers, by pool kind; storage warm where a cycle makes it so."""


@dataclass(frozen=True, slots=True)
class GasModel:
    """Gas by pool kind and by initialised tick crossed."""

    transaction: int = 21_000
    executor: int = 22_000
    calldata_per_hop: int = 1_600
    crossed_tick: int = 24_000
    swap: Mapping[str, int] = field(default_factory=lambda: SWAP_GAS)

    def units(self, work: Sequence[HopWork]) -> int:
        """Gas units of a run. One that reverts at its last check has done the same work."""
        return (
            self.transaction
            + self.executor
            + sum(
                self.calldata_per_hop + self.swap[hop.kind] + hop.crossed_ticks * self.crossed_tick
                for hop in work
            )
        )
