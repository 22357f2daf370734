"""A strategy that bids by evidence: just above what took a cycle lately.

Blocks that order by fee sell places to whoever bids most, so a bid below those who took the same
cycle before buys nothing, and one far above gives money away. What it bids is bounded: never below
the least, never above the most nor a share of the gain, and a rival who has been first several
times although he was outbid is left alone. `kind = "outbid"`; docs/strategies.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from dexarb.core.pool import PoolKey
from dexarb.core.route import Cycle
from dexarb.core.token import Address
from dexarb.core.trade import Opportunity
from dexarb.core.units import GWEI
from dexarb.trading.decide.custom import Books, Choice, MarketView

ANSWER_BLOCKS = 4
"""What takes a cycle so soon after a bid of ours was there first."""

_Route = tuple[PoolKey, ...]
"""The pools of a cycle, in order of their keys: whoever goes through them takes it."""


class Outbid:
    """Mutable. See `custom.OwnStrategy` and `Resumable`."""

    def __init__(
        self,
        *,
        most_gwei: float,
        least_gwei: float = 0.0,
        step_gwei: float = 1.0,
        most_percent: float = 50.0,
        blocks: int = 1_000,
        losses: int = 3,
    ) -> None:
        """most, least: of a bid; the chain's floor holds as well. step: above the highest that took
        the cycle. most_percent: of the gain. blocks: for how long something counts. losses: to one
        rival in so many blocks, and he is not outbid any more. Raises ValueError."""
        least, most = round(least_gwei * GWEI), round(most_gwei * GWEI)
        if not 0 <= least <= most:
            raise ValueError("least_gwei has to be from 0 to most_gwei")
        if step_gwei < 0 or not 0 <= most_percent <= 100 or blocks < 1 or losses < 1:
            raise ValueError("step_gwei and most_percent (to 100) from 0, blocks and losses from 1")
        self._least, self._most, self._step = least, most, round(step_gwei * GWEI)
        self._share_ppm = round(most_percent * 10_000)
        self._blocks, self._losses = blocks, losses
        self._taken: list[tuple[int, _Route, int, Address]] = []
        self._lost: list[tuple[int, Address]] = []
        self._bid: dict[_Route, int] = {}

    def decide(
        self,
        market: MarketView,
        opportunities: Sequence[Opportunity],
        ledger: Books,  # noqa: ARG002
    ) -> Iterable[Choice]:
        number = market.block.number
        self._look(market, number)
        took: dict[_Route, tuple[int, Address]] = {}
        for _, route, tip, who in self._taken:
            took[route] = max(took.get(route, (-1, who)), (tip, who))
        choices = [
            Choice(each, priority_fee=self._bid_for(market, each, took.get(route_of(each.cycle))))
            for each in opportunities
        ]
        self._bid |= {route_of(each.opportunity.cycle): number for each in choices}
        return choices

    def _look(self, market: MarketView, number: int) -> None:
        for each in market.rivals():
            route = tuple(sorted(each.pools))
            self._taken.append((number, route, each.tip, each.contract))
            if self._bid.pop(route, None) is not None:
                self._lost.append((number, each.contract))
        since = number - self._blocks
        self._taken = [each for each in self._taken if each[0] > since]
        self._lost = [each for each in self._lost if each[0] > since]
        self._bid = {route: at for route, at in self._bid.items() if number - at < ANSWER_BLOCKS}

    def _bid_for(
        self, market: MarketView, opportunity: Opportunity, took: tuple[int, Address] | None
    ) -> int:
        """took: the highest tip of those who took it lately, and whose it was."""
        least = max(self._least, market.tip_floor)
        if took is None:
            return least
        tip, who = took
        if sum(each == who for _, each in self._lost) >= self._losses:
            return least
        wanted = tip + self._step
        return max(least, wanted) if wanted <= self._cap(market, opportunity) else least

    def _cap(self, market: MarketView, opportunity: Opportunity) -> int:
        gain = market.micro_usd(opportunity.cycle.start_token, opportunity.profit)
        coin = market.micro_usd(market.native, 10**18)
        if gain is None or not coin:
            return 0
        share = gain * self._share_ppm * 10**18 // (10**6 * coin * opportunity.gas_units)
        return min(self._most, share)

    # -- restarts ---------------------------------------------------------------------------------

    def state(self) -> object:
        return {
            "taken": [list(each) for each in self._taken],
            "lost": [list(each) for each in self._lost],
            "bid": [[list(route), at] for route, at in self._bid.items()],
        }

    def resume(self, state: Any) -> None:
        self._taken = [(at, tuple(route), tip, who) for at, route, tip, who in state["taken"]]
        self._lost = [(at, who) for at, who in state["lost"]]
        self._bid = {tuple(route): at for route, at in state["bid"]}


def route_of(cycle: Cycle) -> _Route:
    return tuple(sorted(cycle.pools))
