"""Who really took the spreads of a recorded history: its arbitrages, put down to who made them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

from dexarb.core.block import BlockHash, Transaction
from dexarb.core.market import Market, Swap
from dexarb.core.route import Cycle, Hop
from dexarb.core.token import Address
from dexarb.study.recent import RunningSums
from dexarb.study.rivals import Rival, Take, rivals
from dexarb.study.searching import MAX_HOPS
from dexarb.study.walk import Moment
from dexarb.trading.models.rivals import Arbitrage, arbitrages, ours
from dexarb.trading.models.value import Valuation

Who = Callable[[Transaction], str | None]
"""Whom a transaction is put down to."""


@dataclass(frozen=True, slots=True)
class RivalsFound:
    """opened: cycles that were first seen open at a block's end. without_receipts: blocks of
    which the node told no transactions. own: takes of ours, which are not among the others."""

    rivals: tuple[Rival, ...]
    takes: int
    opened: int
    without_receipts: int
    own: int


@dataclass(slots=True)
class _Sums:
    """Mutable. Of one block, or of many. sent and failed: transactions by who."""

    takes: list[Take] = field(default_factory=list)
    sent: Counter[str] = field(default_factory=Counter)
    failed: Counter[str] = field(default_factory=Counter)
    opened: int = 0
    without_receipts: int = 0
    own: int = 0

    def fold(self, other: _Sums) -> None:
        self.takes += other.takes
        self.sent.update(other.sent)
        self.failed.update(other.failed)
        self.opened += other.opened
        self.without_receipts += other.without_receipts
        self.own += other.own


class RivalsStudy:
    """A study of a walk's moments."""

    def __init__(self, who_of: Who) -> None:
        self._who_of = who_of
        self._sums = RunningSums(_Sums)

    def add(self, seen: Moment) -> None:
        self._sums.add(seen.update.block.hash, self._look(seen))

    def rewind(self, block_hash: BlockHash) -> None:
        self._sums.rewind(block_hash)

    def answer(self) -> RivalsFound:
        sums = self._sums.total()
        found = tuple(rivals(sums.takes, sums.sent, sums.failed))
        return RivalsFound(found, len(sums.takes), sums.opened, sums.without_receipts, sums.own)

    def _look(self, moment: Moment) -> _Sums:
        update, who_of = moment.update, self._who_of
        found = _Sums(without_receipts=int(not update.has_receipts))
        for transaction in update.transactions:
            who = who_of(transaction)
            if who is not None:
                found.sent[who] += 1
                found.failed[who] += not transaction.succeeded
        found.opened = moment.began
        transactions = {each.index: each for each in update.transactions}
        own = ours(moment.market, update)
        for each in arbitrages(moment.market):
            if each.transaction_index in own:
                found.own += 1
                continue
            transaction_of = transactions.get(each.transaction_index)
            found.takes.append(_take(each, transaction_of, moment, who_of))
        return found


def _take(each: Arbitrage, transaction: Transaction | None, moment: Moment, who_of: Who) -> Take:
    block, valuation = moment.update.block, moment.valuation
    who = sender = bid = None
    if transaction is not None:
        who, sender = who_of(transaction), transaction.sender
        priority_fee = transaction.effective_gas_price - block.base_fee_per_gas
        bid = valuation.native_cost_micro_usd(priority_fee * transaction.gas_used)
    gain = least_gain_micro_usd(each, valuation)
    return Take(who, sender, block.number, gain, bid, _blocks_after(each, moment))


def least_gain_micro_usd(each: Arbitrage, valuation: Valuation) -> int | None:
    """What he surely had more of afterwards; None where it cannot be valued.

    A pool that collects its input tells what it took. What the swap before gave beyond that, he may
    have kept or paid into the pool as well: nothing that the pools tell says which. So beside the
    token of his main gain such a rest does not count.
    """
    worths = {token: valuation.micro_usd(token, amount) for token, amount in each.gains.items()}
    known = {token: worth for token, worth in worths.items() if worth is not None}
    if len(known) < len(worths) or len(worths) < 2:
        return each.gain_micro_usd(valuation)
    main = max(known, key=lambda token: (known[token], token))
    collected = {swap.token_in for swap in each.swaps if swap.pool.gas.collects_input} - {main}
    sure = {token: amount for token, amount in each.gains.items() if token not in collected}
    return replace(each, gains=sure).gain_micro_usd(valuation)


def _blocks_after(each: Arbitrage, moment: Moment) -> int | None:
    """Since the block at whose end the cycle was first seen open; see Take."""
    hops = hops_of(each.swaps)
    if hops is None or not _is_searched(hops, moment.market):
        return None
    opened = moment.opened_before(Cycle(tuple(hops)))
    return 0 if opened is None else moment.update.block.number - opened


def hops_of(swaps: Sequence[Swap]) -> list[Hop] | None:
    """The swaps as one cycle, in the order in which tokens pass; None where they are not one.

    A flash swap's events do not come in that order.
    """
    by_token: dict[Address, Hop] = {}
    for swap in swaps:
        by_token[swap.token_in] = Hop(swap.pool.key, swap.token_in, swap.token_out)
    token = next(iter(by_token))
    hops: list[Hop] = []
    while token in by_token:
        hops.append(by_token.pop(token))
        token = hops[-1].token_out
    whole = len(hops) == len(swaps) and token == hops[0].token_in
    return hops if whole else None


def _is_searched(hops: Sequence[Hop], market: Market) -> bool:
    starts = set(market.profile.start_tokens)
    return len(hops) <= MAX_HOPS and any(hop.token_in in starts for hop in hops)
