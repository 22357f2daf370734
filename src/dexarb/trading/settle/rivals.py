"""Rivals: the arbitrages that others really made, and the place they leave us in a block.

What is taken for an arbitrage, and what not, is listed in docs/honest-fills.md, Rivals.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile

from dexarb.core.block import BlockUpdate, Transaction
from dexarb.core.market import Market, Swap
from dexarb.core.pool import PoolKey
from dexarb.core.token import Address
from dexarb.core.trade import Position
from dexarb.trading.models.value import Valuation, rounded_down


@dataclass(frozen=True, slots=True)
class Arbitrage:
    """A transaction whose swaps in our pools close a cycle with a gain.

    gains: what it had more of afterwards, by token in smallest units, before gas and whatever it
    paid outside our pools. Empty where the same transaction gave up other tokens as well, so that
    its gain cannot be told.
    """

    transaction_index: int
    swaps: tuple[Swap, ...]
    gains: Mapping[Address, int]

    def worth(self, valuation: Valuation) -> int | None:
        """The gains in micro-USD times 2**96, exactly. None where they cannot be valued."""
        worth = 0
        for token, amount in self.gains.items():
            price = valuation.price(token)
            if price is None:
                return None
            worth += amount * price
        return worth or None

    def gain_micro_usd(self, valuation: Valuation) -> int | None:
        """None where the gain cannot be valued."""
        worth = self.worth(valuation)
        return None if worth is None else rounded_down(worth)


def arbitrages(market: Market) -> tuple[Arbitrage, ...]:
    """Those of the latest block, in its order."""
    found = []
    for index, swaps in sorted(market.swaps().items()):
        if len({swap.pool.key for swap in swaps}) < 2:
            continue
        net = left_over(swaps)
        if any(amount > 0 for amount in net.values()) and closes_cycle(swaps):
            is_clean = all(amount >= 0 for amount in net.values())
            gains = {token: amount for token, amount in net.items() if amount > 0}
            found.append(Arbitrage(index, swaps, gains if is_clean else {}))
    return tuple(found)


def left_over(swaps: Sequence[Swap]) -> Mapping[Address, int]:
    """By token, what the swaps gave more than they took."""
    net: dict[Address, int] = {}
    for swap in swaps:
        for token, flow in zip(swap.pool.tokens, swap.flow, strict=True):
            net[token] = net.get(token, 0) - flow
    return net


def closes_cycle(swaps: Sequence[Swap]) -> bool:
    """Whether swaps through at least two pools lead from a token back to it.

    Routed and split orders never do: nobody buys what he is just selling.
    """
    edges = {(swap.pool.key, swap.token_in, swap.token_out) for swap in swaps}
    return any(_leads(end, start, edges, pool) for pool, start, end in edges)


def _leads(
    start: Address, goal: Address, edges: set[tuple[PoolKey, Address, Address]], without: PoolKey
) -> bool:
    """Whether swaps in other pools than `without` lead from one token to the other."""
    reached, found = {start}, [start]
    while found:
        token = found.pop()
        ahead = {end for pool, begin, end in edges if begin == token and pool != without} - reached
        reached |= ahead
        found += ahead
    return goal in reached


class Places:
    """Where decisions stand in the latest block. Made once a block, asked for every decision.

    A place is a prefix of the block: behind the last transaction that comes before us.
    """

    def __init__(self, market: Market, update: BlockUpdate, valuation: Valuation) -> None:
        self._market = market
        self._valuation = valuation
        self._is_ordered = update.has_receipts and market.profile.ordering == "fee"
        self.end = block_end(update)
        base_fee = update.block.base_fee_per_gas

        def is_system(transaction: Transaction) -> bool:
            """The chain's own transactions pay nothing, or less than anybody else may."""
            paid = transaction.effective_gas_price
            return paid == 0 or paid < base_fee

        # They count as no bid, but nobody comes before those that the block begins with.
        ahead = deque(takewhile(is_system, update.transactions), maxlen=1)
        self._first = ahead[0].index + 1 if ahead else 0
        # The last transaction that pays at least some fee is one that all behind it pay less than.
        self._fees: list[int] = []
        self._behind: list[int] = []
        for transaction in reversed(update.transactions):
            fee = transaction.effective_gas_price - base_fee
            if not is_system(transaction) and (not self._fees or fee > self._fees[-1]):
                self._fees.append(fee)
                self._behind.append(transaction.index + 1)

    @cached_property
    def _rivals(self) -> list[tuple[int, int | None]]:
        """Transaction index and worth of the block's arbitrages."""
        return [
            (rival.transaction_index, rival.worth(self._valuation))
            for rival in arbitrages(self._market)
        ]

    def is_known(self, position: Position) -> bool:
        """Whether the place can be told: top and bottom always, others where the chain orders by
        fee and the history has the fees."""
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
