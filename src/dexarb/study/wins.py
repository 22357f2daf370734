"""What others won in a block: its arbitrages by flow, through whichever pools."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dexarb.core.block import Transaction
from dexarb.core.token import Address
from dexarb.core.traffic import SwapCount
from dexarb.study.walk import Moment
from dexarb.trading.models.value import Valuation


@dataclass(frozen=True, slots=True)
class Win:
    """An arbitrage by flow. pools: contracts and events that it passed. place: its index in the
    block, of `places`. is_ours: an executor or an operator of our own made it.

    gain, gas (at the base fee) and tip (above it) in micro-USD; None without a price. Of a gain in
    several tokens those with a price count.
    """

    transaction: Transaction
    block: int
    pools: tuple[SwapCount, ...]
    place: int
    places: int
    gain_micro_usd: int | None
    gas_micro_usd: int | None
    tip_micro_usd: int | None
    is_ours: bool

    @property
    def net_micro_usd(self) -> int | None:
        gain, gas, tip = self.gain_micro_usd, self.gas_micro_usd, self.tip_micro_usd
        return None if gain is None or gas is None or tip is None else gain - gas - tip


def wins(moment: Moment) -> Iterator[Win]:
    """Those of its block, in order. None where the history has no traffic."""
    update = moment.update
    traffic = update.traffic
    if traffic is None or not traffic.flows:
        return
    transactions = {each.index: each for each in update.transactions}
    for flow in traffic.flows:
        transaction = transactions.get(flow.transaction_index)
        if transaction is not None and (gains := flow.gains()):
            yield _win(moment, transaction, gains, traffic.emitters(flow))


def cost_micro_usd(moment: Moment, transaction: Transaction) -> int | None:
    """Of its gas and tip, rounded up; None without a price of the native token."""
    wei = transaction.gas_used * transaction.effective_gas_price
    return moment.valuation.native_cost_micro_usd(wei)


def collected(moment: Moment) -> frozenset[Address]:
    """Contracts of the pools that are collected."""
    return frozenset(pool.address for pool in moment.market.pools.values())


def _win(
    moment: Moment,
    transaction: Transaction,
    gains: Mapping[Address, int],
    pools: tuple[SwapCount, ...],
) -> Win:
    valuation = moment.valuation
    paid, base_fee = transaction.effective_gas_price, moment.update.block.base_fee_per_gas
    # Senders that pay nothing, or less than anybody else may, have no negative tip.
    base = min(paid, base_fee)
    return Win(
        transaction,
        moment.update.block.number,
        pools,
        transaction.index,
        len(moment.update.transactions),
        _worth(gains, valuation),
        valuation.native_cost_micro_usd(base * transaction.gas_used),
        valuation.native_cost_micro_usd((paid - base) * transaction.gas_used),
        moment.market.profile.is_ours(transaction),
    )


def _worth(gains: Mapping[Address, int], valuation: Valuation) -> int | None:
    known = [
        worth
        for token, amount in gains.items()
        if (worth := valuation.micro_usd(token, amount)) is not None
    ]
    return sum(known) if known else None
