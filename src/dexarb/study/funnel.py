"""Why not: from the opportunities there were to the trades that came of them.

An opportunity is offered to a strategy at every block at whose end it is open. Each time the
strategy sends a decision or has one reason not to, the first that applies in a fixed order; so the
counts form a funnel, and what is left at its end was sent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dexarb.core.trade import SkipReason

EXPLAINED: Mapping[SkipReason, str] = {
    SkipReason.DISABLED: "not enabled, or stopped",
    SkipReason.STALE: "the block was seen too late",
    SkipReason.PAIR: "not within its pairs",
    SkipReason.HOPS: "too long, or another DEX",
    SkipReason.NOT_EXECUTABLE: "a node that ran it refused",
    SkipReason.NO_PRICE: "no price for a token",
    SkipReason.SPREAD: "spread too small after fees",
    SkipReason.SIZE: "cannot be filled at its size",
    SkipReason.PROFIT: "too little after gas",
    SkipReason.EXPECTED: "too little after misses",
    SkipReason.GAS_PRICE: "gas price too high",
    SkipReason.CAPITAL: "its money is bound",
    SkipReason.DAILY_TRADES: "daily trades used up",
    SkipReason.DAILY_LOSS: "daily loss limit reached",
    SkipReason.CONSECUTIVE_LOSSES: "too many losses in a row",
    SkipReason.POOL_BUSY: "a spread is taken once",
    SkipReason.DECLINED: "it could, but did not want",
    SkipReason.NOT_ARMED: "the bot is not armed",
    SkipReason.AVOIDED: "a pool or token has failed before",
    SkipReason.BOT_BUSY: "another trade is worth more",
}

SCOPE = frozenset({SkipReason.PAIR, SkipReason.HOPS})
"""What the strategy was told not to look at."""


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
