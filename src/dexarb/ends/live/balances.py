"""Do balances say what the trades say? A gift is nobody's trouble; what is missing is.

The chain is asked for all of them at one block. Blocks of the history tell by how much trades have
changed them until then: what runs brought the executor, and the gas of its operators. Pure.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

from dexarb.core.block import BlockHash, BlockUpdate
from dexarb.core.market import MAX_REORG_DEPTH
from dexarb.core.token import Address
from dexarb.ends.executor_contract import NATIVE_COIN

Held = Mapping[tuple[Address, Address], int]
"""By account and token; the chain's own coin under NATIVE_COIN."""


class Reading(NamedTuple):
    """What an endpoint says of balances at the end of a block."""

    block: BlockHash
    held: Held


class Missing(NamedTuple):
    """Of an account's token so much less than trades explain, in its smallest unit."""

    account: Address
    token: Address
    amount: int


class Balances:
    """Mutable. `follow` every entry with a block; `compare` a reading, which may wait for its
    block, or be of one that has died."""

    def __init__(self, executor: Address, lanes: Collection[Address]) -> None:
        self._executor, self._lanes = executor, frozenset(lanes)
        self._changes: OrderedDict[BlockHash, dict[tuple[Address, Address], int]] = OrderedDict()
        self._last: Reading | None = None

    def follow(self, update: BlockUpdate) -> None:
        """What has changed since the first block that was followed. Behind a gap, and a block
        without receipts, that is not known any more."""
        before = self._changes.get(update.block.parent_hash)
        if before is None or not update.has_receipts:
            self._changes.clear()
            self._last = None
            before = {}
        now = dict(before)
        ours = {each.index: each for each in update.transactions if each.sender in self._lanes}
        for each in ours.values():
            gas = each.gas_used * each.effective_gas_price
            now[each.sender, NATIVE_COIN] = now.get((each.sender, NATIVE_COIN), 0) - gas
        for flow in update.traffic.flows if update.traffic else ():
            if flow.transaction_index in ours:
                for change in flow.target:
                    place = self._executor, change.token
                    now[place] = now.get(place, 0) + change.amount
        self._changes[update.block.hash] = now
        while len(self._changes) > 2 * MAX_REORG_DEPTH:
            self._changes.popitem(last=False)

    def compare(self, reading: Reading) -> Sequence[Missing] | None:
        """None where its block is not among those that are known, or not yet. From then on the
        reading is what later ones are measured by."""
        now = self._changes.get(reading.block)
        if now is None:
            return None
        last, self._last = self._last, reading
        then = self._changes.get(last.block) if last else None
        if last is None or then is None:
            return ()
        expected = {
            place: amount + now.get(place, 0) - then.get(place, 0)
            for place, amount in last.held.items()
        }
        return [
            Missing(*place, amount - reading.held[place])
            for place, amount in expected.items()
            if place in reading.held and reading.held[place] < amount
        ]
