"""Order: the place in a block that a bid gets, behind those who come before us.

docs/honest-fills.md, Place in the block.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from typing import ClassVar

from dexarb.core.block import BlockUpdate
from dexarb.core.market import Market
from dexarb.core.trade import Position
from dexarb.trading.models.model import Model
from dexarb.trading.models.rivals import rivals
from dexarb.trading.models.tips import is_own, ordering_bids
from dexarb.trading.models.value import Valuation


@dataclass(frozen=True, slots=True)
class OrderModel(Model):
    """By fee, behind rivals to whom the place is worth more; the others do as they did. In a block
    that did not keep the order of fees no place can be told."""

    NAME: ClassVar[str] = "fee_and_rivals"
    VERSION: ClassVar[int] = 2

    def places(self, market: Market, update: BlockUpdate, valuation: Valuation) -> BlockPlaces:
        """In the block that the market has just applied. valuation stands before it."""
        return BlockPlaces(market, update, valuation)


class BlockPlaces:
    """Where decisions stand in the latest block. Made once a block, asked for every decision.

    A place is a prefix of the block: behind the last transaction that comes before us.
    """

    def __init__(self, market: Market, update: BlockUpdate, valuation: Valuation) -> None:
        self._market = market
        self._update = update
        self._valuation = valuation
        by_place = ordering_bids(market.profile, update)
        self._is_ordered = by_place is not None
        self.end = block_end(update)
        base_fee = update.block.base_fee_per_gas
        # The chain's own count as no bid, but nobody comes before those that the block begins with.
        leading = takewhile(lambda each: is_own(each, base_fee), update.transactions)
        ahead = deque(leading, maxlen=1)
        self._first = ahead[0].index + 1 if ahead else 0
        # The last transaction that pays at least some fee is one that all behind it pay less than.
        self._fees: list[int] = []
        self._behind: list[int] = []
        for index, tip in reversed(by_place or ()):
            if not self._fees or tip > self._fees[-1]:
                self._fees.append(tip)
                self._behind.append(index + 1)

    @cached_property
    def _rivals(self) -> list[tuple[int, int | None]]:
        """Transaction index and worth of the block's arbitrages."""
        return [
            (rival.transaction_index, rival.worth(self._valuation))
            for rival in rivals(self._market, self._update)
        ]

    def is_known(self, position: Position) -> bool:
        """Whether the place can be told: top and bottom always, others where the chain orders by
        fee, the history has the fees, and the block kept to them."""
        return self._is_ordered or position in (Position.TOP, Position.BOTTOM)

    def of(self, position: Position, priority_fee: int, bid_at: Callable[[int], int | None]) -> int:
        """The number of transactions before ours; the end of the block where nobody can tell.

        bid_at: what we really pay for our place if that is the place, in micro-USD times 2**96,
        None where it cannot be valued.
        """
        if position is Position.TOP:
            return 0
        if position is Position.BOTTOM or not self._is_ordered:
            return self.end
        place = max(self._first, self._by_fee(priority_fee))
        if position is Position.CONTESTED:
            while (behind := self._behind_rivals(place, bid_at)) > place:
                place = behind
        return place

    def _by_fee(self, priority_fee: int) -> int:
        """Behind the last transaction that pays at least as much per gas; ties precede us."""
        found = bisect_left(self._fees, priority_fee)
        return self._behind[found] if found < len(self._fees) else 0

    def _behind_rivals(self, place: int, bid_at: Callable[[int], int | None]) -> int:
        """Behind the last rival who would have bid more than we pay at `place`.

        A rival bids up to what it is worth to him; what we cannot value he can.
        """
        later = [(index, worth) for index, worth in self._rivals if index >= place]
        if not later:
            return place
        bid = bid_at(place)
        ahead = [index for index, worth in later if worth is None or bid is None or bid <= worth]
        return max(ahead) + 1 if ahead else place


def block_end(update: BlockUpdate) -> int:
    """The place behind the last transaction, also where the node gave logs only."""
    last_log = update.logs[-1].transaction_index + 1 if update.logs else 0
    last_transaction = update.transactions[-1].index + 1 if update.transactions else 0
    return max(last_transaction, last_log)
