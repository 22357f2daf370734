"""Tips: what transactions pay for their place, and whether a block stands in the order of them.

docs/honest-fills.md, Place in the block.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterable
from itertools import pairwise
from typing import NamedTuple

from dexarb.core.block import BlockUpdate, Transaction
from dexarb.core.profile import ChainProfile
from dexarb.core.token import Address


class Bid(NamedTuple):
    """place: index of the transaction. tip: wei per gas that it stands with, see `bids`."""

    place: int
    tip: int


def is_own(transaction: Transaction, base_fee: int) -> bool:
    """Whether it is one of the chain's own: they pay nothing, or less than anybody else may."""
    paid = transaction.effective_gas_price
    return paid == 0 or paid < base_fee


def bids(update: BlockUpdate) -> list[Bid]:
    """In the block's order, without the chain's own; none where the node gave no receipts.

    A tip is the effective gas price less the base fee, or what an earlier transaction of the same
    sender stands with where that is less: nonces come in order, so it has to wait for that one.
    """
    base_fee = update.block.base_fee_per_gas
    least: dict[Address, int] = {}
    found = []
    for each in update.transactions:
        if is_own(each, base_fee):
            continue
        tip = each.effective_gas_price - base_fee
        tip = least[each.sender] = min(tip, least.get(each.sender, tip))
        found.append(Bid(each.index, tip))
    return found


def keeps_order(found: Iterable[Bid]) -> bool:
    """Whether nobody stands behind one who bid less."""
    return all(one.tip >= other.tip for one, other in pairwise(found))


def ordering_bids(profile: ChainProfile, update: BlockUpdate) -> list[Bid] | None:
    """The bids where they bought the places; None where the chain orders otherwise, the node gave
    no receipts, or the block did not keep the order."""
    if profile.ordering != "fee" or not update.has_receipts:
        return None
    found = bids(update)
    return found if keeps_order(found) else None


def inversions(found: Iterable[Bid]) -> int:
    """Pairs of which the later one bid more: 0 where the order was kept."""
    count = 0
    before: list[int] = []
    for bid in found:
        count += bisect_left(before, bid.tip)
        insort(before, bid.tip)
    return count
