"""Rivals: the arbitrages that others really made.

What is taken for an arbitrage, and what not, is listed in docs/honest-fills.md, Rivals.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from dexarb.core.block import BlockUpdate
from dexarb.core.market import Market, Swap
from dexarb.core.pool import PoolKey
from dexarb.core.token import Address
from dexarb.trading.models.value import Valuation, rounded_down


@dataclass(frozen=True, slots=True)
class Arbitrage:
    """A transaction whose swaps in our pools close a cycle with a gain, or one that moved them and
    that is an arbitrage by its flow.

    swaps: those in our pools. gains: what it had more of afterwards, by token in smallest units,
    before gas and whatever it paid outside our pools. Empty where the same transaction gave up
    other tokens as well, so that its gain cannot be told.
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


def ours(market: Market, update: BlockUpdate) -> frozenset[int]:
    """Indices of our own transactions in a block. They are no rivals, and no evidence of any."""
    profile = market.profile
    if not profile.own:
        return frozenset()
    return frozenset(each.index for each in update.transactions if profile.is_ours(each))


def arbitrages(market: Market) -> tuple[Arbitrage, ...]:
    """Those of the latest block that our pools tell, in its order, our own among them."""
    return tuple(_closing(market.swaps()))


def _closing(by_transaction: Mapping[int, tuple[Swap, ...]]) -> Iterator[Arbitrage]:
    for index, swaps in sorted(by_transaction.items()):
        if len({swap.pool.key for swap in swaps}) < 2:
            continue
        net = left_over(swaps)
        if any(amount > 0 for amount in net.values()) and closes_cycle(swaps):
            is_clean = all(amount >= 0 for amount in net.values())
            gains = {token: amount for token, amount in net.items() if amount > 0}
            yield Arbitrage(index, swaps, gains if is_clean else {})


def rivals(market: Market, update: BlockUpdate) -> tuple[Arbitrage, ...]:
    """Those of the latest block, `update`, that moved our pools, in its order. We are none, see
    `ours`.

    What our pools tell comes first: it leaves out what a rival paid for a loan, so it says rather
    too much of his gain than too little. Where they tell nothing the flow does, if the history has
    it: the cycle closed through pools that are not collected.
    """
    swaps = market.swaps()
    found = {each.transaction_index: each for each in _closing(swaps)}
    untold = {log.transaction_index for log in update.logs} - found.keys()
    for flow in () if update.traffic is None else update.traffic.flows:
        index = flow.transaction_index
        if index in untold and (gained := flow.gains()):
            found[index] = Arbitrage(index, swaps.get(index, ()), gained)
    ruled_out = ours(market, update)
    if update.traffic is not None:
        # With receipts a block names all of its transactions, or whoever asks has left some out.
        ruled_out |= found.keys() - {each.index for each in update.transactions}
    return tuple(found[index] for index in sorted(found.keys() - ruled_out))


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
