"""The paper executor: settles decisions on what the chain became, with exact integers.

A decision of block N is included in block M > N. Its hops run on the pools exactly as the place
in M finds them, so what it books is what the chain would have paid there, the transactions before
it unchanged. A trade that would come out below its minimum reverts and pays for the revert.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dexarb.core.block import BlockUpdate
from dexarb.core.market import Market
from dexarb.core.pool import Pool
from dexarb.core.route import run
from dexarb.core.trade import Decision, Fill, FillStatus
from dexarb.errors import PoolError
from dexarb.search.result import hop_work
from dexarb.trading.costs import GasModel
from dexarb.trading.rivals import Places
from dexarb.trading.valuation import Valuation


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What the trade would have come to at one place."""

    status: FillStatus
    amount_in: int
    amount_out: int
    gas_used: int


class PaperExecutor:
    """Mutable: holds the open decisions in the order in which they were made."""

    def __init__(self, gas: GasModel) -> None:
        self._gas = gas
        self._open: dict[str, Decision] = {}
        self._known: dict[tuple[object, ...], _Outcome] = {}

    def submit(self, decisions: Sequence[Decision]) -> None:
        self._open.update((decision.id, decision) for decision in decisions)

    def withdraw(self) -> list[Decision]:
        decisions = list(self._open.values())
        self._open.clear()
        return decisions

    def settle(self, market: Market, update: BlockUpdate, valuation: Valuation) -> list[Fill]:
        due = [each for each in self._open.values() if update.block.number >= each.first_block]
        if not due:
            return []
        self._known.clear()
        places = Places(market, update, valuation)
        fills: list[Fill] = []
        for decision in due:
            fill = self._settle(decision, market, update, valuation, places)
            if fill is not None:
                del self._open[decision.id]
                fills.append(fill)
        return fills

    def _settle(
        self,
        decision: Decision,
        market: Market,
        update: BlockUpdate,
        valuation: Valuation,
        places: Places,
    ) -> Fill | None:
        """The decision's outcome in this block; None while it waits for a lower base fee."""
        block = update.block
        if block.base_fee_per_gas > decision.max_base_fee or block.number > decision.deadline_block:
            if block.number < decision.deadline_block:
                return None
            return Fill(decision, block, 0, FillStatus.EXPIRED, 0, 0, 0, 0, 0, 0, (0, 0))
        place = places.of(decision)
        gas_price = block.base_fee_per_gas + decision.priority_fee
        outcome = self._outcome(decision, market, place)
        cost, net = self._value(decision, outcome, gas_price, valuation)
        touching = market.touching(decision.cycle.pools)
        every_place = {0, place, *(index + 1 for index in touching)}
        nets = [
            self._value(decision, self._outcome(decision, market, each), gas_price, valuation)[1]
            for each in sorted(every_place)
        ]
        return Fill(
            decision,
            block,
            place,
            outcome.status,
            outcome.amount_in,
            outcome.amount_out,
            outcome.gas_used,
            gas_price,
            cost,
            net,
            (min(0, *nets), max(0, *nets)),
        )

    def _outcome(self, decision: Decision, market: Market, place: int) -> _Outcome:
        """The trade at a place; each distinct trade is computed once a block."""
        pools = tuple(market.pool_at(pool, place) for pool in decision.cycle.pools)
        key = (
            decision.cycle.id,
            decision.cycle.start_token,
            decision.amount_in,
            decision.min_amount_out,
            decision.competition_lost,
            *map(id, pools),
        )
        known = self._known.get(key)
        if known is None:
            known = self._known[key] = self._execute(decision, pools, market)
        return known

    def _execute(self, decision: Decision, pools: Sequence[Pool], market: Market) -> _Outcome:
        if decision.competition_lost:
            return _Outcome(FillStatus.LOST, 0, 0, decision.gas_units)
        by_address = {pool.address: pool for pool in pools}
        try:
            results = run(decision.cycle, decision.amount_in, by_address.__getitem__)
        except PoolError:
            return _Outcome(FillStatus.REVERTED, 0, 0, decision.gas_units)
        work = [
            hop._replace(touched=pool is not market.pool_at(pool.address, 0))
            for hop, pool in zip(hop_work(pools, results), pools, strict=True)
        ]
        amount_out = results[-1].amount_out
        if amount_out < decision.min_amount_out:
            return _Outcome(FillStatus.REVERTED, 0, 0, self._gas.reverted(work))
        return _Outcome(FillStatus.FILLED, decision.amount_in, amount_out, self._gas.units(work))

    def _value(
        self, decision: Decision, outcome: _Outcome, gas_price: int, valuation: Valuation
    ) -> tuple[int, int]:
        """(gas cost, net) in micro-USD at the prices before the block: cost up, profit down."""
        cost = decision.fixed_gas_cost_micro_usd
        if cost is None:
            cost = valuation.gas_cost_micro_usd(outcome.gas_used * gas_price)
        profit = valuation.micro_usd(
            decision.cycle.start_token, outcome.amount_out - outcome.amount_in
        )
        # A price that was there when deciding lasts longer than the block in between: 30 blocks.
        assert profit is not None
        return cost, profit - cost
