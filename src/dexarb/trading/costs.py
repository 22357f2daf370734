"""What executing a cycle costs in gas.

Figures are gas units of the executor's transaction as a whole: 21,000 for the transaction, its
calldata, the executor's own steps, and per hop the pool's swap with the token transfers it makes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from dexarb.core.market import Market
from dexarb.core.route import Cycle


@dataclass(frozen=True, slots=True)
class GasModel:
    """Gas by pool kind and by initialised tick crossed; reverts pay a share of the whole."""

    transaction: int = 21_000
    calldata_per_hop: int = 1_600
    executor: int = 22_000
    swap: Mapping[str, int] | None = None
    unknown_swap: int = 120_000
    crossed_tick: int = 24_000

    def units(self, market: Market, cycle: Cycle, crossed_ticks: int) -> int:
        """Gas units of a run that succeeds."""
        swaps = self.swap or SWAP_GAS
        hops = sum(swaps.get(market.pools[pool].kind, self.unknown_swap) for pool in cycle.pools)
        return (
            self.transaction
            + self.executor
            + len(cycle.hops) * self.calldata_per_hop
            + hops
            + crossed_ticks * self.crossed_tick
        )

    def reverted(self, units: int) -> int:
        """Gas units of a run that reverts at its last check: all was done but the storage
        refunds, so the whole is charged."""
        return units


SWAP_GAS: Mapping[str, int] = {"uniswap_v2": 68_000, "uniswap_v3": 92_000}
"""Pool swap and its transfers, storage already warm where a cycle makes it so."""
