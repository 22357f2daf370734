"""Why not: from the opportunities there were to the trades that came of them.

An opportunity is offered to a strategy at every block at whose end it is open. Each time the
strategy sends a decision or has one reason not to, the first that applies in a fixed order; so the
counts form a funnel, and what is left at its end was sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dexarb.core.trade import SkipReason

EXPLAINED: Mapping[SkipReason, str] = {
    SkipReason.DISABLED: "not enabled, or stopped",
    SkipReason.STALE: "the block was seen too late",
    SkipReason.PAIR: "not within its pairs",
    SkipReason.HOPS: "too long, or another DEX",
    SkipReason.NO_PRICE: "no price for a token",
    SkipReason.SPREAD: "spread too small after fees",
    SkipReason.SIZE: "cannot be filled at its size",
    SkipReason.PROFIT: "too little after gas",
    SkipReason.GAS_PRICE: "gas price too high",
    SkipReason.CAPITAL: "its money is bound",
    SkipReason.DAILY_TRADES: "daily trades used up",
    SkipReason.DAILY_LOSS: "daily loss limit reached",
    SkipReason.CONSECUTIVE_LOSSES: "too many losses in a row",
    SkipReason.POOL_BUSY: "a spread is taken once",
    SkipReason.DECLINED: "it could, but did not want",
}

PARAMETERS: Mapping[SkipReason, str] = {
    SkipReason.DISABLED: "enabled",
    SkipReason.STALE: "max_state_age_secs",
    SkipReason.PAIR: "pairs",
    SkipReason.HOPS: "max_hops",
    SkipReason.SPREAD: "min_spread_percent",
    SkipReason.SIZE: "max_trade_size_usd",
    SkipReason.PROFIT: "min_profit_usd",
    SkipReason.GAS_PRICE: "max_gas_gwei",
    SkipReason.CAPITAL: "capital_usd",
    SkipReason.DAILY_TRADES: "max_daily_trades",
    SkipReason.DAILY_LOSS: "daily_loss_limit_usd",
    SkipReason.CONSECUTIVE_LOSSES: "max_consecutive_losses",
}
"""What a user would change first. Nothing changes a spread that is taken, a missing price, or what
an own strategy does not want."""

SCOPE = frozenset({SkipReason.PAIR, SkipReason.HOPS})
"""What the strategy was told not to look at."""

OUTCOMES: Mapping[str, str] = {
    "lost": "competition_rate",
    "reverted": "priority_fee_gwei",
    "expired": "max_gas_gwei",
}
"""What came of decisions that did not fill, and what decides it."""


@dataclass(frozen=True, slots=True)
class Miss:
    """The nearest that a strategy came to a threshold: in micro-USD, of a spread in ppm."""

    reason: SkipReason
    needed: int
    best: int
    block: int

    @property
    def gap(self) -> int:
        return self.needed - self.best


@dataclass(frozen=True, slots=True)
class Stage:
    """Of `before` offers, `stopped` ended here."""

    reason: SkipReason
    before: int
    stopped: int


@dataclass(frozen=True, slots=True)
class Obstacle:
    """What stands most in the way: it stopped so many of a total.

    what: a SkipReason or a key of OUTCOMES. sending: in the way of sending, rather than of filling.
    """

    what: str
    parameter: str
    stopped: int
    total: int
    sending: bool


@dataclass(frozen=True, slots=True)
class Funnel:
    """offered: opportunities times the blocks at whose end they were open."""

    offered: int
    stages: tuple[Stage, ...]
    sent: int
    outcomes: Mapping[str, int]

    @property
    def in_scope(self) -> int:
        """Offers within the strategy's pairs, hops and DEXes."""
        return self.offered - sum(s.stopped for s in self.stages if s.reason in SCOPE)


def funnel(skipped: Mapping[SkipReason, int], sent: int, outcomes: Mapping[str, int]) -> Funnel:
    """outcomes: how many of the sent filled, reverted and so on."""
    left = offered = sent + sum(skipped.values())
    stages = []
    for reason in SkipReason:
        stopped = skipped.get(reason, 0)
        if stopped:
            stages.append(Stage(reason, left, stopped))
            left -= stopped
    return Funnel(offered, tuple(stages), sent, outcomes)


def nearest(misses: Iterable[Miss]) -> Miss | None:
    """Of misses of one threshold the one with the smallest gap; of equals the earliest."""
    return min(misses, key=lambda miss: (miss.gap, miss.block), default=None)


def obstacle(found: Funnel) -> Obstacle | None:
    """The one parameter that stands most in the way; None where there was nothing to take.

    Once half of what was sent does not fill, the outcome that is most frequent. Before that what
    stopped most offers within the strategy's scope, and only if nothing did, the scope itself.
    """
    failed = [(found.outcomes.get(key, 0), key) for key in OUTCOMES]
    if found.sent and 2 * sum(count for count, _ in failed) >= found.sent:
        count, key = max(failed, key=lambda each: each[0])
        return Obstacle(key, OUTCOMES[key], count, found.sent, sending=False)
    stages = [stage for stage in found.stages if stage.reason in PARAMETERS]
    inside = [stage for stage in stages if stage.reason not in SCOPE]
    total = found.in_scope if inside else found.offered
    return _most(inside or stages, total)


def _most(stages: Sequence[Stage], total: int) -> Obstacle | None:
    if not stages:
        return None
    most = max(stages, key=lambda stage: stage.stopped)
    parameter = PARAMETERS[most.reason]
    return Obstacle(most.reason.value, parameter, most.stopped, total, sending=True)
