"""What trades come to in a block: exact integers on the pools as each place finds them.

Everything that decisions have in common is computed once: a run by cycle, size, funding and the
transactions before it, a result by all that the outcome depends on. So a thousand strategies that
want the same cost little more than the one.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dexarb.core.block import BlockUpdate
from dexarb.core.market import Market
from dexarb.core.pool import Pool, PoolKey, SwapResult
from dexarb.core.route import Cycle, CycleId, most_out, surcharge_of
from dexarb.core.trade import Decision, Fill, FillStatus, Funding
from dexarb.errors import InsufficientLiquidity, PoolError, PoolOverflow
from dexarb.search.result import HopWork, hop_work
from dexarb.trading.models.reality import Reality
from dexarb.trading.models.value import (
    MOST_MICRO_USD,
    PRICE_SHIFT,
    Valuation,
    rounded_down,
    rounded_up,
)


class Prices(NamedTuple):
    """Of a start token and of the native one, as `Valuation.price` gives them."""

    start_token: int
    native: int


@dataclass(frozen=True, slots=True)
class _Run:
    """A cycle at one size and place. amount_out: None where a pool refuses or runs dry.

    most_out: the executor does not start a run that has to come out with more; None where it
    cannot tell. moved_gas: what that costs. filled_gas: net of refunds. reverted_gas: of a run
    that fails its last check, and what a run needs before refunds.
    """

    most_out: int | None
    moved_gas: int
    amount_out: int | None
    filled_gas: int
    reverted_gas: int


class _Settled(NamedTuple):
    status: FillStatus
    amount_in: int
    amount_out: int
    gas_used: int


class _Result(NamedTuple):
    """A fill without its decision and block."""

    place: int
    status: FillStatus
    amount_in: int
    amount_out: int
    gas_used: int
    gas_price: int
    gas_cost_micro_usd: int
    net_micro_usd: int
    band_micro_usd: tuple[int, int]
    place_known: bool
    bound_micro_usd: int | None = None


EXPIRED = _Result(0, FillStatus.EXPIRED, 0, 0, 0, 0, 0, 0, (0, 0), place_known=True)
"""Never included, so it costs nothing."""

_Rotation = tuple[CycleId, PoolKey]
"""A cycle uses no pool twice, so its id and first pool say all."""


def worth(
    amount_in: int,
    amount_out: int,
    gas_used: int,
    gas_price: int,
    prices: Prices,
    *,
    fixed_cost: int | None = None,
) -> tuple[int, int]:
    """(gas cost, net) in micro-USD at the prices before the block: cost up, profit down, and
    neither beyond what any trade can be worth. gas_price in wei; fixed_cost: instead of the gas."""
    cost = rounded_up(gas_used * gas_price * prices.native) if fixed_cost is None else fixed_cost
    profit = rounded_down((amount_out - amount_in) * prices.start_token)
    net = max(-MOST_MICRO_USD, min(profit - cost, MOST_MICRO_USD))
    return min(cost, MOST_MICRO_USD), net


class Settlement:
    """Of one block: the one that the market has just applied. valuation stands before it."""

    def __init__(
        self, market: Market, update: BlockUpdate, valuation: Valuation, reality: Reality
    ) -> None:
        self._market = market
        self._block = update.block
        self._gas = reality.gas.under(market.profile.gas_schedule(update.block.number))
        self._surcharges = market.profile.surcharges_at(update.block.number)
        self._places = reality.order.places(market, update, valuation)
        self._touching: dict[_Rotation, tuple[int, ...]] = {}
        self._runs: dict[tuple[_Rotation, int, Funding, int], _Run] = {}
        self._outcomes: dict[tuple[object, ...], list[_Settled]] = {}
        self._results: dict[tuple[object, ...], _Result] = {}

    def fill(self, decision: Decision, prices: Prices) -> Fill:
        """What becomes of a decision that is included in this block."""
        cycle = decision.cycle
        key = (
            cycle.id,
            cycle.hops[0].pool,
            decision.amount_in,
            decision.min_amount_out,
            decision.gas_units,
            decision.priority_fee,
            decision.position,
            decision.funding,
            decision.fixed_gas_cost_micro_usd,
            decision.competition_lost,
            prices,
        )
        result = self._results.get(key)
        if result is None:
            result = self._results[key] = self._result(decision, prices)
        return Fill(decision, self._block, *result)

    def at(self, decision: Decision, prices: Prices, place: int, gas_price: int) -> Fill:
        """What a decision comes to behind so many transactions of this block, whatever it bids, at
        measured gas and without any coin: the twin of a run that was really there.

        gas_price: in wei, base fee included. Raises KeyError where a pool is not followed any more.
        """
        before = bisect_left(self._touched_by(decision.cycle), place)
        real = decision._replace(fixed_gas_cost_micro_usd=None, competition_lost=False)
        outcome = self._outcome(real, before)
        cost, net = self._value(real, outcome, gas_price, prices)
        return Fill(decision, self._block, place, *outcome, gas_price, cost, net, (net, net))

    def expired(self, decision: Decision) -> Fill:
        return Fill(decision, self._block, *EXPIRED)

    def _result(self, decision: Decision, prices: Prices) -> _Result:
        touching = self._touched_by(decision.cycle)
        gas_price = self._block.base_fee_per_gas + decision.priority_fee
        outcomes = self._outcomes_of(decision, len(touching) + 1)
        valued = [self._value(decision, each, gas_price, prices) for each in outcomes]

        def bid_at(place: int) -> int:
            """What the books charge for the place: a fixed cost can hide no higher bid."""
            gas_used = outcomes[bisect_left(touching, place)].gas_used
            bid = gas_used * decision.priority_fee * prices.native
            fixed = decision.fixed_gas_cost_micro_usd
            return bid if fixed is None else min(bid, fixed << PRICE_SHIFT)

        place = self._places.of(decision.position, decision.priority_fee, bid_at)
        ours = bisect_left(touching, place)
        nets = [net for _, net in valued]
        is_known = self._places.is_known(decision.position)
        return _Result(
            place,
            *outcomes[ours],
            gas_price,
            *valued[ours],
            (min(0, *nets), max(0, *nets)),
            is_known,
            self._bound(decision, ours, gas_price, prices) if is_known else None,
        )

    def _bound(self, decision: Decision, before: int, gas_price: int, prices: Prices) -> int | None:
        """What the minimum alone has cost at that place, in micro-USD: see Fill."""
        run = self._run(decision.cycle, decision.amount_in, decision.funding, before)
        limit = self._gas.limit(decision.gas_units)
        if (
            decision.competition_lost
            or run.amount_out is None
            or run.reverted_gas > limit
            or not decision.amount_in <= run.amount_out < decision.least_amount_out
        ):
            return None
        amounts = decision.amount_in, run.amount_out
        done = _Settled(FillStatus.FILLED, *amounts, run.filled_gas)
        _, net = self._value(decision, done, gas_price, prices)
        return net if net > 0 else None

    def _outcomes_of(self, decision: Decision, places: int) -> list[_Settled]:
        """Behind none, one, two ... of the transactions that touch the cycle's pools."""
        key = (
            decision.cycle.id,
            decision.cycle.hops[0].pool,
            decision.amount_in,
            decision.min_amount_out,
            decision.gas_units,
            decision.funding,
            decision.competition_lost,
        )
        known = self._outcomes.get(key)
        if known is None:
            known = [self._outcome(decision, before) for before in range(places)]
            self._outcomes[key] = known
        return known

    def _outcome(self, decision: Decision, before: int) -> _Settled:
        run = self._run(decision.cycle, decision.amount_in, decision.funding, before)
        limit, least = self._gas.limit(decision.gas_units), decision.least_amount_out
        if decision.competition_lost:
            # Whoever has taken the spread has moved the pools.
            return _Settled(FillStatus.LOST, 0, 0, min(run.moved_gas, limit))
        if run.most_out is not None and run.most_out < least:
            return _Settled(FillStatus.REVERTED, 0, 0, min(run.moved_gas, limit))
        if run.amount_out is not None and run.amount_out >= least and run.reverted_gas <= limit:
            amounts = decision.amount_in, run.amount_out
            return _Settled(FillStatus.FILLED, *amounts, run.filled_gas)
        return _Settled(FillStatus.REVERTED, 0, 0, min(run.reverted_gas, limit))

    @staticmethod
    def _value(
        decision: Decision, outcome: _Settled, gas_price: int, prices: Prices
    ) -> tuple[int, int]:
        """As `worth`, at the decision's own cost where it has one."""
        amounts = outcome.amount_in, outcome.amount_out
        fixed = decision.fixed_gas_cost_micro_usd
        return worth(*amounts, outcome.gas_used, gas_price, prices, fixed_cost=fixed)

    # -- runs ---------------------------------------------------------------------------------

    def _touched_by(self, cycle: Cycle) -> tuple[int, ...]:
        """Indices of the transactions that touch the cycle's pools."""
        route = cycle.id, cycle.hops[0].pool
        known = self._touching.get(route)
        if known is None:
            known = self._touching[route] = self._market.touching(cycle.pools)
        return known

    def _run(self, cycle: Cycle, amount_in: int, funding: Funding, before: int) -> _Run:
        key = (cycle.id, cycle.hops[0].pool), amount_in, funding, before
        known = self._runs.get(key)
        if known is None:
            touching = self._touched_by(cycle)
            place = touching[before - 1] + 1 if before else 0
            known = self._runs[key] = self._execute(
                cycle, amount_in, place, flash=funding is Funding.FLASH
            )
        return known

    def _execute(self, cycle: Cycle, amount_in: int, place: int, *, flash: bool) -> _Run:
        market, gas = self._market, self._gas
        pools = [market.pool_at(address, place) for address in cycle.pools]
        before_run = most_out(cycle, amount_in, pools), gas.before_run([each.gas for each in pools])
        results: list[SwapResult] = []
        amount, failed = amount_in, None
        for hop, pool in zip(cycle.hops, pools, strict=True):
            try:
                results.append(pool.swap(hop.token_in, amount, hop.token_out))
            except PoolError as error:
                failed = error
                break
            amount = results[-1].amount_out
        done = pools[: len(results)]
        work = [
            hop._replace(touched=market.is_touched(pool.key, place))
            for hop, pool in zip(hop_work(done, results), done, strict=True)
        ]
        moved = [
            token for hop in cycle.hops[: len(done)] for token in (hop.token_in, hop.token_out)
        ]
        more = surcharge_of(moved, self._surcharges)
        if failed is None:
            # Whoever trades by flash swap has nothing to add to what comes out.
            is_short = flash and amount < amount_in
            reverted = gas.unpaid(work) if is_short else gas.reverted(work, flash=flash)
            filled = gas.units(work, flash=flash)
            return _Run(*before_run, amount, filled + more, reverted + more)
        gas_used = self._failing(failed, work, pools, flash=flash, gave_nothing=not amount)
        return _Run(*before_run, None, 0, gas_used + more)

    def _failing(
        self,
        error: PoolError,
        work: Sequence[HopWork],
        pools: Sequence[Pool],
        *,
        flash: bool,
        gave_nothing: bool,
    ) -> int:
        """Gas of a run that a pool ends; more than any gas limit where one with ticks runs dry."""
        if isinstance(error, InsufficientLiquidity) and pools[len(work)].gas.walks_when_dry:
            return ENDLESS_GAS
        if isinstance(error, PoolOverflow):
            # Found out when the pool has paid already: about what the whole run costs.
            rest = [HopWork(pool.gas, 0) for pool in pools[len(work) :]]
            return self._gas.reverted([*work, *rest], flash=flash)
        costs = [pool.gas for pool in pools]
        return self._gas.refused(work, costs, flash=flash, gave_nothing=gave_nothing)


ENDLESS_GAS = 1 << 40
"""Gas units that no limit reaches."""
