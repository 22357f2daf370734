"""What executing a cycle costs in gas.

Figures are gas units of the reference executor's transaction as a whole, net of refunds: 21,000
for the transaction, its calldata, the executor's own steps, and per hop what a pool of its kind
costs, which stands with the kind (core.pool.SwapGas). They were measured on a node with Uniswap's
bytecode; docs/executor.md says how, and scripts/measure_gas.py measures again.

All of it are counts, of storage touched and changed above all, and follow from the schedule that
holds on the chain: the figures that stand here are Ethereum's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, ClassVar, Self, TypeVar

from dexarb.core.gas_schedule import ETHEREUM, GasCounts, GasSchedule, measured
from dexarb.core.pool import SwapGas
from dexarb.search.result import HopWork
from dexarb.trading.models.model import Model

PARTS: Mapping[str, GasCounts] = {
    "executor": measured(14_200, cold_reads=1, warm=3, resets=1, accounts=1),
    "flash": measured(5_800, cold_reads=1),
    "relay": measured(7_700, warm=4, resets=1, restored=1),
    "crossing": measured(6_100, cold_reads=1, warm=1, resets=1),
    "crossed_tick": measured(23_700, cold_reads=4, warm=2, resets=3),
    "left_tick": measured(7_550, cold_reads=1, resets=1),
    "observed": measured(4_750, resets=1),
    "bitmap_word": measured(7_500, cold_reads=1),
    "refund": measured(2_800, restored=-1),
    "moved": measured(1_500),
    "refused_hop": measured(17_000, cold_reads=2, resets=1, accounts=1),
    "nothing_sent": measured(21_000, cold_reads=2, resets=2),
}
"""What of a run touches storage, apart from the pools."""


M = TypeVar("M", bound="GasModel")


def _in_units(part: str) -> int:
    return ETHEREUM.units(PARTS[part])


@dataclass(frozen=True, slots=True)
class GasModel(Model):
    """Gas of the executor's transaction, from what its hops do.

    executor: its own steps, and paying the first pool. flash: more if the first pool is paid at the
    end. relay: input that goes through the executor instead of from pool to pool. crossing: once
    for a hop that crosses any initialised tick. left_tick: for a hop that ends at another tick, of
    which the pool writes an observation. observed: less of it where the pool was moved earlier in
    the block. bitmap_word: for each word of the tick bitmap beyond the first. refund: for a lock or
    a balance that ends as it began, which a revert does not get. moved: the executor's own steps
    until it has read what the pools offer, and refuses. refused_hop: until a pool says no to an
    amount. nothing_sent: less for a pool whose output is zero, where a kind has that. schedule:
    which one the figures are reckoned under; ask `under` for another.

    Its version stands for the gas of the pool kinds as well, which stands with them: raise it where
    that of a kind changes. In the spec the kinds' figures would begin new epochs for everybody
    whenever a kind is added, although nothing that was traded would come out otherwise.
    """

    NAME: ClassVar[str] = "executor"
    VERSION: ClassVar[int] = 2

    transaction: int = 21_000
    calldata: int = 1_160
    calldata_per_hop: int = 1_025
    executor: int = _in_units("executor")
    flash: int = _in_units("flash")
    relay: int = _in_units("relay")
    crossing: int = _in_units("crossing")
    crossed_tick: int = _in_units("crossed_tick")
    left_tick: int = _in_units("left_tick")
    observed: int = _in_units("observed")
    bitmap_word: int = _in_units("bitmap_word")
    refund: int = _in_units("refund")
    moved: int = _in_units("moved")
    refused_hop: int = _in_units("refused_hop")
    nothing_sent: int = _in_units("nothing_sent")
    limit_factor: int = 2
    schedule: GasSchedule = ETHEREUM

    def under(self, schedule: GasSchedule) -> Self:
        """The same where that one holds."""
        return self if schedule is self.schedule else _reckoned(self, schedule)

    def units(self, work: Sequence[HopWork], *, flash: bool = False) -> int:
        """Gas units of a run that fills. flash: paid for by a flash swap of the first pool."""
        return (
            self.transaction
            + self.calldata
            + self.executor
            + self.flash * flash
            + self.relay * self.relays(work, flash=flash)
            + sum(map(self._hop, work))
        )

    def flash_more(self, work: Sequence[HopWork]) -> int:
        """Gas units that a run which fills takes more where it is paid for by a flash swap."""
        return self.flash + self.relay * (
            self.relays(work, flash=True) - self.relays(work, flash=False)
        )

    def reverted(self, work: Sequence[HopWork], *, flash: bool = False) -> int:
        """Gas units of a run that does all the same and then finds too little for the minimum."""
        locks = sum(not hop.gas.collects_input for hop in work)
        refunds = locks + self.relays(work, flash=flash)
        return self.units(work, flash=flash) + self.refund * refunds

    def before_run(self, pools: Sequence[SwapGas]) -> int:
        """Gas units of a run over such pools that finds them moved too far to start."""
        return (
            self.transaction
            + self.calldata
            + self.moved
            + self.calldata_per_hop * len(pools)
            + self._read(pools)
        )

    def refused(
        self,
        work: Sequence[HopWork],
        pools: Sequence[SwapGas],
        *,
        flash: bool = False,
        gave_nothing: bool = False,
    ) -> int:
        """Gas units of a run over such pools that ends after `work`, at a pool that says no.

        gave_nothing: the last pool of `work` has sent nothing, so there was no transfer.
        """
        if work:
            spent = self.unpaid(work) if flash else self.reverted(work)
        else:
            # A flash swap would have paid its first pool only at the end.
            spent = self.units(()) + (self.flash - self.relay) * flash
        missing = self.calldata_per_hop * (len(pools) - len(work))
        read = self._read(pools[len(work) + 1 :])
        return spent + missing + read + self.refused_hop - self.nothing_sent * gave_nothing

    def limit(self, gas_units: int) -> int:
        """The gas limit of a transaction that was expected to use gas_units.

        Room for ticks that others make us cross, and the most that a pool can cost which has run
        dry and looks for liquidity until the gas is gone.
        """
        return self.limit_factor * gas_units

    def relays(self, work: Sequence[HopWork], *, flash: bool) -> int:
        """How often the executor receives something and pays it on.

        A pool that sends its output ahead can only send it to who pays in the end.
        """
        collected = sum(hop.gas.collects_input for hop in work[1:])
        ahead = flash and not any(hop.gas.collects_input for hop in work[:2])
        return collected + ahead

    def unpaid(self, work: Sequence[HopWork]) -> int:
        """Gas units of a flash swap that comes out with less than it has to pay: it ends there,
        since an executor without capital has nothing to add."""
        first = work[0]
        gas = first.gas.by_schedule[self.schedule.place]
        # Pools that are paid in advance write their oracle behind that point, the others before it.
        unsaved = gas.touched_saves * (first.touched and not first.gas.collects_input)
        return self.reverted(work, flash=True) - gas.unpaid_flash + unsaved

    def _parameters(self) -> dict[str, Any]:
        """Where none is named the schedule is Ethereum's."""
        found = Model._parameters(self)
        del found["schedule"]
        return found if self.schedule is ETHEREUM else {**found, "schedule": self.schedule.name}

    def _hop(self, hop: HopWork) -> int:
        gas = hop.gas.by_schedule[self.schedule.place]
        return (
            self.calldata_per_hop
            + gas.swap
            + self.crossing * (hop.crossed_ticks > 0)
            + self.crossed_tick * hop.crossed_ticks
            + (self.left_tick - self.observed * hop.touched) * hop.left_tick
            + self.bitmap_word * hop.more_words
            - gas.touched_saves * hop.touched
        )

    def _read(self, pools: Sequence[SwapGas]) -> int:
        """Of what the pools offer."""
        place = self.schedule.place
        return sum([pool.by_schedule[place].read for pool in pools])


@cache
def _reckoned(model: M, schedule: GasSchedule) -> M:
    before = model.schedule
    changed = {
        part: getattr(model, part) + schedule.units(counts) - before.units(counts)
        for part, counts in PARTS.items()
    }
    return replace(model, **changed, schedule=schedule)
