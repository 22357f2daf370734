"""What a flash-funded run takes that an executor makes which holds nothing at all."""

from __future__ import annotations

from collections.abc import Mapping

from dexarb.core.gas_schedule import GasSchedule
from dexarb.core.pool import Pool, PoolKey
from dexarb.core.route import Cycle, run, surcharge_of
from dexarb.core.token import Address
from dexarb.search.result import hop_work
from dexarb.trading.models.reality import REALITY


def least_limit(
    cycle: Cycle,
    amount_in: int,
    pools: Mapping[PoolKey, Pool],
    schedule: GasSchedule,
    surcharges: Mapping[Address, int],
) -> int:
    """Gas units that such a run needs before any refund, which is what nodes estimate.

    Each balance that it did not have before costs a slot that held nothing: that of the start
    token, and those that are paid on. Raises what the pools raise.
    """
    gas = REALITY.gas.under(schedule)
    results = run(cycle, amount_in, pools.__getitem__)
    work = hop_work([pools[pool] for pool in cycle.pools], results)
    balances = 1 + gas.relays(work, flash=True)
    more = surcharge_of(cycle.tokens, surcharges)
    return gas.reverted(work, flash=True) + more + balances * (schedule.set - schedule.reset)
