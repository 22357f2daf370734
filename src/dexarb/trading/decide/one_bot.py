"""All strategies of a bot behind one door: they share its accounts, and a spread is taken once.

Strategies on paper do not know of each other. A bot that sends has so many lanes, and whatever one
of its trades moves is moved for all of them.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from typing import Protocol

from dexarb.core.market import Market
from dexarb.core.pool import PoolKey
from dexarb.core.route import Cycle
from dexarb.core.token import Address
from dexarb.core.trade import Decision, SkipReason, StrategyHash
from dexarb.trading.decide.skips import SkipTally
from dexarb.trading.models.value import Valuation
from dexarb.trading.seams import Decided, Strategy, View


class Door(Protocol):
    """What a bot can send after the block that it has just settled."""

    @property
    def is_armed(self) -> bool: ...

    @property
    def free_lanes(self) -> int: ...

    @property
    def busy_pools(self) -> Set[PoolKey]:
        """Of its trades that may still be included."""
        ...

    def expected(self, decision: Decision, view: View) -> int | None:
        """What it is worth in micro-USD, misses and what the ways charge counted in; None where
        nobody asks for that."""
        ...

    @property
    def least_expected(self) -> int:
        """What `expected` has to be."""
        ...

    def avoids(self, cycle: Cycle) -> bool:
        """Whether a pool or token of it is not to be traded, for what came of it before."""
        ...


class OneBot:
    """A strategy made of several: of what they decide, what the bot can send, by expected value."""

    def __init__(self, strategies: Sequence[Strategy], door: Door) -> None:
        self._strategies = strategies
        self._door = door

    @property
    def hashes(self) -> Sequence[StrategyHash]:
        return [name for each in self._strategies for name in each.hashes]

    def least_gross(self, token: Address, market: Market, valuation: Valuation) -> int:
        return min(each.least_gross(token, market, valuation) for each in self._strategies)

    def decide(self, view: View, skips: SkipTally) -> Decided:
        each_decided = [each.decide(view, skips) for each in self._strategies]
        wanted = [one for decided in each_decided for one in decided.decisions]
        sent: list[Decision] = []
        busy, lanes = set(self._door.busy_pools), self._door.free_lanes
        worth = {one.id: self._door.expected(one, view) for one in wanted}
        for decision in sorted(wanted, key=lambda one: _by_value(one, worth[one.id])):
            pools, expected = decision.cycle.pools, worth[decision.id]
            if not self._door.is_armed:
                skips.note_one(decision.strategy, SkipReason.NOT_ARMED)
            elif self._door.avoids(decision.cycle):
                skips.note_one(decision.strategy, SkipReason.AVOIDED)
            elif expected is not None and expected < self._door.least_expected:
                skips.note_one(decision.strategy, SkipReason.EXPECTED)
            elif len(sent) == lanes or not busy.isdisjoint(pools):
                skips.note_one(decision.strategy, SkipReason.BOT_BUSY)
            else:
                sent.append(decision)
                busy.update(pools)
        incidents = [one for decided in each_decided for one in decided.incidents]
        return Decided(sent, incidents)


def _by_value(decision: Decision, expected: int | None) -> tuple[int, str, str]:
    """The best first."""
    worth = decision.expected_net_micro_usd if expected is None else expected
    return -worth, decision.cycle.id, decision.strategy
