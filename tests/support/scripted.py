"""Strategies that do as they are told: what settles is tested apart from what decides."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from dexarb.core.market import Market
from dexarb.core.token import Address
from dexarb.core.trade import Decision, DecisionId, Opportunity, Position, StrategyHash
from dexarb.trading.decide.skips import SkipTally
from dexarb.trading.models.value import Valuation
from dexarb.trading.seams import Decided, View

GWEI = 10**9
Change = Callable[[Decision], Decision]


class Scripted:
    """Takes every opportunity that its pools are free for and that has a price, each of its rows in
    its own way.

    rows: by name, how the row's decisions differ from the plain ones.
    """

    def __init__(self, rows: Mapping[str, Change | Mapping[str, object]]) -> None:
        self._rows = {StrategyHash(name): change for name, change in rows.items()}
        self.hashes: Sequence[StrategyHash] = tuple(self._rows)

    def least_gross(self, token: Address, market: Market, valuation: Valuation) -> int:  # noqa: ARG002
        return 1

    def decide(self, view: View, skips: SkipTally) -> Decided:  # noqa: ARG002
        made: list[Decision] = []
        prices = view.valuation
        if view.stale or prices.native_price is None:
            return Decided()
        for name, change in self._rows.items():
            used: set[str] = set()
            for opportunity in view.opportunities:
                pools = opportunity.cycle.pools
                is_busy = view.ledger.busy(pools)[view.ledger.rows[name]]
                has_price = prices.price(opportunity.cycle.start_token) is not None
                if not has_price or is_busy or not used.isdisjoint(pools):
                    continue
                used.update(pools)
                plain = plain_decision(name, view, opportunity)
                if callable(change):
                    made.append(change(plain))
                else:
                    made.append(plain._replace(**change))  # type: ignore[arg-type]
        return Decided(made)


def plain_decision(name: StrategyHash, view: View, opportunity: Opportunity) -> Decision:
    """The whole opportunity, in the next block, at the end of it, whatever the base fee."""
    block = view.market.block
    capital = view.valuation.cost_micro_usd(opportunity.cycle.start_token, opportunity.amount_in)
    return Decision(
        id=DecisionId(f"{name}:{block.hash}:{opportunity.cycle.id}"),
        strategy=name,
        block=block,
        cycle=opportunity.cycle,
        amount_in=opportunity.amount_in,
        amount_out=opportunity.amount_out,
        min_amount_out=opportunity.amount_in,
        gas_units=opportunity.gas_units,
        expected_net_micro_usd=0,
        capital_micro_usd=capital or 0,
        priority_fee=30 * GWEI,
        max_base_fee=1_000_000 * GWEI,
        first_block=block.number + 1,
        deadline_block=block.number + 1,
        position=Position.BOTTOM,
        gas_reserve_micro_usd=250_000,
    )
