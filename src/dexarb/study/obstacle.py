"""Which one parameter of a strategy stands most in its way, and when nobody can say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dexarb.core.trade import Funding, Position, SkipReason
from dexarb.core.units import GWEI, PPM
from dexarb.study.funnel import SCOPE, Funnel, Miss, Stage
from dexarb.trading.strategy import StrategySettings

PARAMETERS: Mapping[SkipReason, str] = {
    SkipReason.DISABLED: "enabled",
    SkipReason.STALE: "max_state_age_secs",
    SkipReason.PAIR: "pairs",
    SkipReason.HOPS: "max_hops",
    SkipReason.SPREAD: "min_spread_percent",
    SkipReason.SIZE: "max_trade_size_usd",
    SkipReason.PROFIT: "min_profit_usd",
    SkipReason.EXPECTED: "min_expected_usd",
    SkipReason.GAS_PRICE: "max_gas_gwei",
    SkipReason.CAPITAL: "capital_usd",
    SkipReason.DAILY_TRADES: "max_daily_trades",
    SkipReason.DAILY_LOSS: "daily_loss_limit_usd",
    SkipReason.CONSECUTIVE_LOSSES: "max_consecutive_losses",
}
"""What a user would change first. Nothing changes a spread that is taken, a missing price, or what
an own strategy does not want."""

FAILURES = ("lost", "reverted", "expired")
"""What becomes of decisions that do not fill."""

ENOUGH = 10
"""So many must have been sent before what came of them says anything about a parameter."""

ALL_HOPS = 4
"""Longer cycles are not searched: where a strategy allows these, its DEXes refused the rest."""


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What stands most in the way: it stopped so many of a total.

    what: a SkipReason or one of FAILURES. sending: in the way of sending, rather than of filling.
    """

    what: str
    parameter: str
    stopped: int
    total: int
    sending: bool


@dataclass(frozen=True, slots=True)
class Costs:
    """Of a trade through two pools, as far as is known now. usd_per_gwei: what each gwei of its gas
    price costs. base_fee: wei per gas."""

    usd_per_gwei: float | None = None
    base_fee: int = 0

    def micro_usd(self, wei_per_gas: int) -> float | None:
        if self.usd_per_gwei is None:
            return None
        return wei_per_gas / GWEI * self.usd_per_gwei * 1e6


UNKNOWN = Costs()


def obstacle(
    found: Funnel,
    settings: StrategySettings,
    misses: Sequence[Miss] = (),
    costs: Costs = UNKNOWN,
) -> Obstacle | None:
    """The one parameter that stands most in the way; None where there was nothing to take.

    Once half of what was sent does not fill, and enough was sent, the outcome that is most
    frequent. Before that what stopped most offers within the strategy's scope, and only if nothing
    did, the scope itself.
    """
    failed = [(found.outcomes.get(key, 0), key) for key in FAILURES]
    if found.sent >= ENOUGH and not mostly_filled(found):
        count, key = max(failed, key=lambda each: each[0])
        return Obstacle(key, _decides(key, settings), count, found.sent, sending=False)
    stages = [stage for stage in found.stages if stage.reason in PARAMETERS]
    inside = [stage for stage in stages if stage.reason not in SCOPE]
    if nothing_paid(found, settings, misses):
        inside = stages = [each for each in inside if each.reason is not SkipReason.PROFIT]
    total = found.in_scope if inside else found.offered
    return _most(inside or stages, total, settings, misses, costs)


def mostly_filled(found: Funnel) -> bool:
    """Whether more than half of what was sent has not failed."""
    return 2 * sum(found.outcomes.get(key, 0) for key in FAILURES) < max(found.sent, 1)


def nothing_paid(found: Funnel, settings: StrategySettings, misses: Sequence[Miss]) -> bool:
    """Whether what ended for its profit was dust alone, which did not pay for the gas of the
    cheapest trade at the base fee. A strategy with gas costs of its own does not mind gas."""
    return (
        any(stage.reason is SkipReason.PROFIT for stage in found.stages)
        and all(miss.reason is not SkipReason.PROFIT for miss in misses)
        and settings.gas_cost_micro_usd is None
        and settings.min_profit_micro_usd >= 0
    )


def _most(
    stages: Sequence[Stage],
    total: int,
    settings: StrategySettings,
    misses: Sequence[Miss],
    costs: Costs,
) -> Obstacle | None:
    if not stages:
        return None
    most = max(stages, key=lambda stage: stage.stopped)
    parameter = _parameter(most.reason, settings, misses, costs)
    return Obstacle(most.reason.value, parameter, most.stopped, total, sending=True)


def _parameter(
    reason: SkipReason, settings: StrategySettings, misses: Sequence[Miss], costs: Costs
) -> str:
    """Of those that a reason depends on the one that asks for most."""
    if reason is SkipReason.PROFIT:
        miss = next((each for each in misses if each.reason is reason), None)
        return _of_profit(miss, settings, costs)
    if reason is SkipReason.GAS_PRICE:
        return _of_gas_price(settings)
    if reason is SkipReason.CAPITAL:
        return "capital_usd" if settings.funding is Funding.OWN else "gas_balance_usd"
    if reason is SkipReason.HOPS and settings.dexes and settings.max_hops == ALL_HOPS:
        return "dexes"
    return PARAMETERS[reason]


def _of_profit(miss: Miss | None, settings: StrategySettings, costs: Costs) -> str:
    """What took more of the nearest miss than the profit that is asked for: its own bid, its own
    gas costs; else the profit that is asked for."""
    if miss is None:
        return PARAMETERS[SkipReason.PROFIT]
    asked = abs(miss.needed)
    fixed = settings.gas_cost_micro_usd
    if fixed is not None and fixed > asked:
        return "gas_cost_usd"
    bid = _bid_paid(miss, settings, costs)
    # Not known how much; but what is less than nothing no lower minimum makes a trade of.
    is_bid = miss.best < 0 if bid is None else bid > asked
    return bid_key(settings) if is_bid else PARAMETERS[SkipReason.PROFIT]


def _bid_paid(miss: Miss, settings: StrategySettings, costs: Costs) -> float | None:
    """Micro-USD of the nearest miss that its own bid was; None where that is not known."""
    if settings.gas_cost_micro_usd is not None:
        return 0.0  # gas costs of its own stand for everything
    if settings.bid_ppm is not None:
        kept = 1 - (settings.bid_ppm + settings.slippage_haircut_ppm) / PPM
        value = miss.best + (costs.micro_usd(costs.base_fee) or 0.0)
        return value / kept * settings.bid_ppm / PPM if kept > 0 and value > 0 else None
    return costs.micro_usd(settings.priority_fee) if settings.priority_fee is not None else 0.0


def _of_gas_price(settings: StrategySettings) -> str:
    """The bid where it takes half of what base fee and bid may come to together."""
    bid = settings.priority_fee
    return "priority_fee_gwei" if bid and 2 * bid >= settings.max_gas_price else "max_gas_gwei"


def _decides(outcome: str, settings: StrategySettings) -> str:
    """What decides whether a decision that was sent ends so."""
    if outcome == "lost":
        return "competition_rate"
    if outcome == "expired":
        return _of_gas_price(settings)
    if settings.position is Position.BOTTOM:
        return "position"
    if settings.position is Position.TOP:
        return "latency_blocks"  # first in its block, and still too late
    return bid_key(settings)


def bid_key(settings: StrategySettings) -> str:
    """How the strategy states its bid, or would."""
    return "priority_fee_gwei" if settings.bid_ppm is None else "bid_percent"
