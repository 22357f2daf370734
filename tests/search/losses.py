"""Counting what the search leaves to a better size, and how that is judged and told."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from dexarb.core.route import Cycle
from dexarb.core.trade import Opportunity
from dexarb.search.scan import Scan
from tests.search.optimiser import Best, ExactCycle

CLOSE = 1e-6
"""Of the profit: the loss that counts for nothing."""


class Loss(NamedTuple):
    """grains: units of the cycle's coarsest token. share: of the profit that there was. ticks:
    crossed on the way at the best size.
    """

    name: str
    cycle: Cycle
    best: Best
    offered: Best
    grains: float
    share: float
    ticks: int

    @property
    def bound(self) -> float:
        """1 or less keeps the promise: a grain of the coarsest token, or 1e-6 of the profit."""
        return min(self.grains, self.share / CLOSE)

    def __str__(self) -> str:
        hops = " ".join(f"{hop.pool[:4]}..{hop.pool[-3:]}" for hop in self.cycle.hops)
        return (
            f"{self.name}: {len(self.cycle.hops)} hops {hops}: {self.offered.amount_in} earns "
            f"{self.offered.profit}, but {self.best.amount_in} earns {self.best.profit}: "
            f"{self.grains:.3g} grains, {self.share:.2g} of it; {self.ticks} ticks crossed"
        )


class Tally:
    """Cycles compared so far, by number of hops, and the losses among them."""

    def __init__(self) -> None:
        self.compared: Counter[int] = Counter()
        self.better = 0
        self.missed = 0
        self.losses: list[Loss] = []

    def add(self, name: str, exact: ExactCycle, best: Best, offer: Opportunity | None) -> None:
        """Compare what is offered for a cycle with the best that another way has found."""
        offered = Best(offer.amount_in, offer.profit) if offer else Best(0, 0)
        if offer:
            assert exact.profit(offer.amount_in) == offer.profit, (name, offer.cycle)
        self.compared[len(exact.cycle.hops)] += 1
        self.better += offered.profit > best.profit
        loss = best.profit - offered.profit
        if best.profit > 0 and loss > 0:
            self.missed += not offer
            grains = loss / exact.grain(best.amount_in)
            ticks = exact.crossed_ticks(best.amount_in)
            share = loss / best.profit
            self.losses.append(Loss(name, exact.cycle, best, offered, grains, share, ticks))

    def judge(self) -> None:
        """Fail with the worst cases, if any loses more than promised."""
        broken = [loss for loss in self.losses if loss.bound > 1]
        worst = sorted(broken, key=lambda loss: -loss.bound)[:5]
        listed = "\n".join(map(str, worst))
        assert not broken, f"{len(broken)} of {self.compared.total()} cycles lose more:\n{listed}"

    def __str__(self) -> str:
        worst = max(self.losses, key=lambda loss: loss.bound, default=None)
        hops = ", ".join(
            f"{number} of {hops} hops" for hops, number in sorted(self.compared.items())
        )
        return (
            f"{self.compared.total()} cycles compared ({hops}): {len(self.losses)} could have "
            f"earned more, {self.missed} of these were not offered at all; "
            f"{self.better} earned more than the other way found; the worst: {worst}"
        )


def offers(scan: Scan) -> dict[str, Opportunity]:
    return {offer.cycle.id: offer for offer in scan.opportunities}
