"""Rivals: the arbitrages that others really made, and the place they leave us in a block."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dexarb.core.block import BlockUpdate
from dexarb.core.market import Market, Swap
from dexarb.core.token import Address
from dexarb.core.trade import Decision, Position
from dexarb.trading.valuation import Valuation


@dataclass(frozen=True, slots=True)
class Arbitrage:
    """A transaction whose swaps in our pools close a cycle with a gain.

    gains: what it had more of afterwards, by token in smallest units, before gas.
    """

    transaction_index: int
    swaps: tuple[Swap, ...]
    gains: Mapping[Address, int]

    def gain_micro_usd(self, valuation: Valuation) -> int | None:
        """None where a token of the gain has no price."""
        values = [valuation.micro_usd(token, amount) for token, amount in self.gains.items()]
        known = [value for value in values if value is not None]
        return sum(known) if len(known) == len(values) else None


def arbitrages(market: Market) -> tuple[Arbitrage, ...]:
    """Those of the latest block, in its order."""
    found = []
    for index, swaps in sorted(market.swaps().items()):
        gains = closed_gain(swaps)
        if gains:
            found.append(Arbitrage(index, swaps, gains))
    return tuple(found)


def closed_gain(swaps: Sequence[Swap]) -> Mapping[Address, int]:
    """What the swaps leave over, empty unless they close a cycle: no token is given up for good,
    and at least one comes out more than it went in."""
    if len({swap.pool.address for swap in swaps}) < 2:
        return {}
    net: dict[Address, int] = {}
    for swap in swaps:
        for token, flow in zip(swap.pool.tokens, swap.flow, strict=True):
            net[token] = net.get(token, 0) - flow
    if any(amount < 0 for amount in net.values()):
        return {}
    return {token: amount for token, amount in net.items() if amount > 0}


class Places:
    """Where decisions stand in the latest block. Made once a block, asked for every decision."""

    def __init__(self, market: Market, update: BlockUpdate, valuation: Valuation) -> None:
        self._update = update
        self._ordered = update.has_receipts and market.profile.ordering == "fee"
        self._rivals = [
            (rival.transaction_index, rival.gain_micro_usd(valuation))
            for rival in arbitrages(market)
        ]
        self._valuation = valuation

    def of(self, decision: Decision, position: Position | None = None) -> int:
        """The number of transactions before ours; `position` instead of the decision's own.

        A place is a prefix of the block: behind the last transaction that comes before us. Where
        the chain does not order by fee, or the history has no fees, it is the end of the block.
        """
        position = position or decision.position
        if position is Position.TOP:
            return 0
        if position is Position.BOTTOM or not self._ordered:
            return block_end(self._update)
        place = self._by_fee(decision.priority_fee)
        if position is Position.CONTESTED:
            bid = self._valuation.gas_cost_micro_usd(decision.priority_fee * decision.gas_units)
            for index, gain in self._rivals:
                # A rival bids up to what it is worth to him; what we cannot value he can.
                if gain is None or bid <= gain:
                    place = max(place, index + 1)
        return place

    def _by_fee(self, priority_fee: int) -> int:
        """Behind the last transaction that pays at least as much per gas; ties precede us."""
        base_fee = self._update.block.base_fee_per_gas
        ahead = (
            transaction.index + 1
            for transaction in self._update.transactions
            if transaction.effective_gas_price - base_fee >= priority_fee
        )
        return max(ahead, default=0)


def block_end(update: BlockUpdate) -> int:
    """The place behind the last transaction, also where the node gave logs only."""
    last_log = update.logs[-1].transaction_index + 1 if update.logs else 0
    return max(len(update.transactions), last_log)
