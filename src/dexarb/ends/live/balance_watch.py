"""What a bot holds: whether it became less than by its own doing.

Balances are read at a block of the history, by its hash, so both sides speak of one moment: an
endpoint that lags does not know the block, and what one on a dead branch says is of that branch.
From one reading to the next all that the bot did stands in the blocks between. What it holds may
become more by anybody's gift; that it is less than that is nobody's right but the owner's.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from dexarb.core.block import BlockHash, BlockUpdate, Transaction
from dexarb.core.market import MAX_REORG_DEPTH
from dexarb.core.token import Address
from dexarb.ends.executor_contract import NATIVE_COIN


class Holding(NamedTuple):
    """Of whom, and which token: NATIVE_COIN for the chain's own."""

    holder: Address
    token: Address


class Loss(NamedTuple):
    """missing: of what is there after all that the bot did, in the smallest unit. by_owner: he has
    called the executor since it was all there."""

    holding: Holding
    missing: int
    by_owner: bool


@dataclass(slots=True)
class _Block:
    """expected: what is there at its end, or more; None before the first reading. is_read: it is
    what was there. by_owner: he called the executor in it."""

    hash: BlockHash
    own: Mapping[Holding, int]
    by_owner: bool
    expected: Mapping[Holding, int] | None
    is_read: bool = False


class BalanceWatch:
    """Mutable: the newest blocks of the branch that stands."""

    def __init__(self, executor: Address, owner: Address, lanes: Sequence[Address]) -> None:
        self._executor, self._owner, self._lanes = executor, owner, frozenset(lanes)
        self._blocks: deque[_Block] = deque(maxlen=MAX_REORG_DEPTH + 1)

    @property
    def newest(self) -> BlockHash | None:
        """The block to read at; None before one of which all is known."""
        return self._blocks[-1].hash if self._blocks else None

    def follow(self, update: BlockUpdate) -> bool:
        """With every block. Returns whether somebody else has called the executor in it.

        Behind one that is not proven nobody knows what the bot did, so the next reading is the
        first again.
        """
        while self._blocks and self._blocks[-1].hash != update.block.parent_hash:
            self._blocks.pop()
        if not update.has_receipts or not update.witnesses:
            self._blocks.clear()
            return False
        before = self._blocks[-1].expected if self._blocks else None
        own = self._own(update)
        calls = [
            each.sender
            for each in update.transactions
            if each.to == self._executor and each.succeeded and each.sender not in self._lanes
        ]
        self._blocks.append(
            _Block(
                BlockHash(update.block.hash),
                own,
                self._owner in calls,
                None if before is None else _with(before, own),
            )
        )
        return bool(calls)

    def hear(self, at: BlockHash, found: Mapping[Holding, int]) -> list[Loss]:
        """What a node says of all holdings at the end of a block. One that does not stand, or is
        older than what was read already, says nothing."""
        blocks = list(self._blocks)
        place = next((n for n, each in enumerate(blocks) if each.hash == at), None)
        if place is None or any(each.is_read for each in blocks[place:]):
            return []
        read, expected = blocks[place], blocks[place].expected or {}
        since: list[_Block] = []
        for each in reversed(blocks[: place + 1]):
            if each.is_read:
                break
            since.append(each)
        by_owner = any(each.by_owner for each in since)
        losses = [
            Loss(holding, expected[holding] - amount, by_owner)
            for holding, amount in found.items()
            if amount < expected.get(holding, 0)
        ]
        read.expected, read.is_read = dict(found), True
        for before, after in zip(blocks[place:], blocks[place + 1 :], strict=False):
            after.expected = _with(before.expected or {}, after.own)
        return losses

    def holds(self, holding: Holding) -> int | None:
        """Now, as far as anybody knows."""
        expected = self._blocks[-1].expected if self._blocks else None
        return None if expected is None else expected.get(holding)

    def _own(self, update: BlockUpdate) -> dict[Holding, int]:
        """What the bot's own transactions have changed. Where it is not known what one gained, that
        is less than there is, which takes nothing for a loss."""
        own: dict[Holding, int] = {}
        ours: dict[int, Transaction] = {
            each.index: each for each in update.transactions if each.sender in self._lanes
        }
        for each in ours.values():
            coin = Holding(each.sender, NATIVE_COIN)
            own[coin] = own.get(coin, 0) - each.gas_used * each.effective_gas_price
        for flow in update.traffic.flows if update.traffic and ours else ():
            done = ours.get(flow.transaction_index)
            if done is None or done.to != self._executor:
                continue
            for change in flow.target:
                token = Holding(self._executor, change.token)
                own[token] = own.get(token, 0) + change.amount
        return own


def _with(amounts: Mapping[Holding, int], own: Mapping[Holding, int]) -> Mapping[Holding, int]:
    if not own:
        return amounts
    return {holding: amount + own.get(holding, 0) for holding, amount in amounts.items()}
