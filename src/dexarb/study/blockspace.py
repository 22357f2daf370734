"""What the last day of blocks was like: whether they kept the order, how full they were, and which
tips landed. The collector keeps one running and tells it in its state file."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import accumulate
from typing import Any

from dexarb.core.block import BlockUpdate
from dexarb.core.units import HOURS_PER_DAY, SECONDS_PER_HOUR
from dexarb.study.order_meter import Kept
from dexarb.trading.models.tips import bids, inversions

FULL_GAS = 500_000
"""A block with less gas left than this has no room for a trade of two hops with its gas limit."""

TIP_BITS = 6
"""So many leading binary digits of a tip are kept: quantiles are up to 3 % too low."""

BLOCKSPACE = "blockspace"
"""Where it stands in the collector's metrics."""


@dataclass(slots=True)
class _Hour:
    """Mutable. tips: how often which landed, rounded down; of all transactions, failed ones too,
    but for the chain's own."""

    hour: int
    blocks: int = 0
    full: int = 0
    order: Kept = field(default_factory=Kept)
    tips: Counter[int] = field(default_factory=Counter)
    lowest_tip: int | None = None


class Blockspace:
    """Mutable: `add` every block as it comes, also one that dies later: it was built like others.

    The hours are those of the blocks' timestamps, of which the newest 24 count.
    """

    def __init__(self) -> None:
        self._hours: deque[_Hour] = deque()
        self._tips: Counter[int] = Counter()

    def add(self, update: BlockUpdate) -> None:
        hour = self._hour(update.block.timestamp // SECONDS_PER_HOUR)
        hour.blocks += 1
        hour.full += update.block.gas_limit - update.block.gas_used < FULL_GAS
        if not update.has_receipts:
            return
        found = bids(update)
        hour.order.add(inversions(found))
        landed = Counter(_rounded(bid.tip) for bid in found)
        hour.tips.update(landed)
        self._tips.update(landed)
        lowest = (hour.lowest_tip, min((bid.tip for bid in found), default=None))
        hour.lowest_tip = min((tip for tip in lowest if tip is not None), default=None)

    def _hour(self, number: int) -> _Hour:
        """The newest one; a block of an hour that is over counts in it too."""
        if not self._hours or self._hours[-1].hour < number:
            self._hours.append(_Hour(number))
            while self._hours[0].hour <= number - HOURS_PER_DAY:
                self._tips -= self._hours.popleft().tips
        return self._hours[-1]

    def as_json(self) -> dict[str, Any]:
        """lowest_tip: wei per gas as a decimal string, None where none landed. tips: such that
        0 %, 1 % ... 100 % of what landed paid at most about as much; empty where none landed."""
        order = Kept()
        for each in self._hours:
            order.fold(each.order)
        lowest = [each.lowest_tip for each in self._hours if each.lowest_tip is not None]
        return {
            "blocks": sum(each.blocks for each in self._hours),
            "full": sum(each.full for each in self._hours),
            "order": order.as_json(),
            "lowest_tip": str(min(lowest)) if lowest else None,
            "tips": [str(tip) for tip in _percentiles(self._tips)],
        }


def _rounded(tip: int) -> int:
    dropped = max(0, tip.bit_length() - TIP_BITS)
    return tip >> dropped << dropped


def _percentiles(tips: Counter[int]) -> Iterator[int]:
    """101 of them, or none."""
    paid = sorted(tips)
    landed = list(accumulate(tips[tip] for tip in paid))
    if paid:
        for percent in range(101):
            yield paid[bisect_left(landed, -(-percent * landed[-1] // 100))]


def share_below(tips: Iterable[int], bid: int) -> int | None:
    """The percentage of what landed that paid less, from such percentiles; None without any."""
    known = list(tips)
    if not known:
        return None
    return min(100, sum(tip < bid for tip in known))
