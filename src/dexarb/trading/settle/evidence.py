"""What the chain did with the spreads that were decided on: collected block by block.

Fills never wait for it: it is found out later, kept apart, and changes nothing.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Self

import msgspec

from dexarb.core.block import Block, BlockHash, BlockUpdate
from dexarb.core.evidence import PERSISTS_AFTER_BLOCKS, Evidence, Mover, Outcome
from dexarb.core.market import MAX_REORG_DEPTH, Market
from dexarb.core.pool import PoolKey
from dexarb.core.route import Cycle, CycleId
from dexarb.core.saved import NounReader, NounWriter
from dexarb.core.token import Address
from dexarb.core.trade import Decision
from dexarb.trading.models.rivals import Arbitrage, ours, rivals

_Key = tuple[CycleId, BlockHash]
"""Cycle id and hash of the block at whose end it was open."""


@dataclass(frozen=True, slots=True)
class _Watch:
    """A cycle that was open at the end of `block`, and who moved its pools first since then."""

    cycle: Cycle
    block: Block
    mover: Mover | None = None
    is_arbitrage: bool = False
    gain_token: Address | None = None
    gain: int | None = None

    @property
    def key(self) -> _Key:
        return self.cycle.id, self.block.hash

    def evidence(self, outcome: Outcome, closed_after: int | None) -> Evidence:
        return Evidence(
            cycle=self.cycle,
            block_number=self.block.number,
            block_hash=self.block.hash,
            outcome=outcome,
            closed_after=closed_after,
            mover=self.mover,
            gain_token=self.gain_token,
            gain=self.gain,
        )


class SavedWatch(msgspec.Struct, array_like=True):
    """A watch with the numbers of its cycle and its block."""

    cycle: int
    block: int
    mover: Mover | None
    is_arbitrage: bool
    gain_token: Address | None
    gain: int | None


@dataclass(slots=True)
class _Seen:
    """After a block: what was being watched then, and what was decided on at its end."""

    block_hash: BlockHash
    watches: dict[_Key, _Watch]
    begun: list[_Watch]


class EvidenceTracker:
    """Mutable: `observe` after every block, `watch` what was decided at its end, `rewind`."""

    def __init__(self) -> None:
        self._watches: dict[_Key, _Watch] = {}
        self._journal: deque[_Seen] = deque(
            [_Seen(BlockHash(""), {}, [])], maxlen=MAX_REORG_DEPTH + 1
        )

    def state(self, nouns: NounWriter) -> list[SavedWatch]:
        """After a block."""
        return [
            SavedWatch(
                nouns.cycle(watch.cycle),
                nouns.block(watch.block),
                watch.mover,
                watch.is_arbitrage,
                watch.gain_token,
                watch.gain,
            )
            for watch in self._watches.values()
        ]

    @classmethod
    def from_state(
        cls, state: Iterable[SavedWatch], nouns: NounReader, block_hash: BlockHash
    ) -> Self:
        """As after the block."""
        tracker = cls()
        for each in state:
            watch = _Watch(
                nouns.cycle(each.cycle),
                nouns.block(each.block),
                each.mover,
                each.is_arbitrage,
                each.gain_token,
                each.gain,
            )
            tracker._watches[watch.key] = watch
        tracker._journal.clear()
        tracker._journal.append(_Seen(block_hash, dict(tracker._watches), []))
        return tracker

    def remember(self, blocks: int) -> None:
        """Be able to take back so many from now on."""
        self._journal = deque(self._journal, maxlen=blocks + 1)

    def restart(self, block_hash: BlockHash, pools: Container[PoolKey] = ()) -> None:
        """The market begins anew at this block, with these pools: forget what has others."""
        self._watches = _within(pools, self._watches)
        self._journal.clear()
        self._journal.append(_Seen(block_hash, dict(self._watches), []))

    def keep(self, pools: Container[PoolKey]) -> None:
        """The market goes on with these pools: forget what has others, on the way back too."""
        self._watches = _within(pools, self._watches)
        for seen in self._journal:
            seen.watches = _within(pools, seen.watches)
            seen.begun = [watch for watch in seen.begun if _passes_only(pools, watch)]

    def observe(
        self, market: Market, update: BlockUpdate, open_cycles: Container[Cycle]
    ) -> tuple[Evidence, ...]:
        """Take the block that the market has just applied; returns what is known now.

        open_cycles: those that are open at its end.
        """
        found: list[Evidence] = []
        by_index: dict[int, Arbitrage] | None = None
        own = ours(market, update)
        for key, watch in list(self._watches.items()):
            if update.block.number <= watch.block.number:
                continue  # a reorganisation has taken back the block it was decided on
            touching = market.touching(watch.cycle.pools) if watch.mover is None else ()
            if touching and touching[0] in own:
                del self._watches[key]  # what others had done nobody will ever know
                continue
            if touching:
                if by_index is None:
                    by_index = {each.transaction_index: each for each in rivals(market, update)}
                watch = _moved(watch, update, touching[0], by_index.get(touching[0]))
                self._watches[key] = watch
            evidence = _conclusion(watch, update.block, watch.cycle in open_cycles)
            if evidence is not None:
                found.append(evidence)
                del self._watches[key]
        self._journal.append(_Seen(update.block.hash, dict(self._watches), []))
        return tuple(found)

    def watch(self, decisions: Iterable[Decision]) -> None:
        """Decisions made at the end of the latest block; a cycle is watched once, not per
        strategy."""
        for decision in decisions:
            key = decision.cycle.id, decision.block.hash
            if key not in self._watches:
                self._watches[key] = _Watch(decision.cycle, decision.block)
                self._journal[-1].begun.append(self._watches[key])

    def rewind(self, block_hash: BlockHash) -> tuple[BlockHash, ...]:
        """Go back to the end of an earlier block, or to before all that is remembered where it is
        not among that; returns the hashes of the dead ones, oldest first.

        Evidence found in those is open again. So is what was decided in them: it was sent, and
        meets the new branch.
        """
        dead: list[BlockHash] = []
        begun: list[_Watch] = []
        while self._journal and self._journal[-1].block_hash != block_hash:
            seen = self._journal.pop()
            dead.append(seen.block_hash)
            begun[:0] = seen.begun
        if not self._journal:
            self._watches.clear()
            self._journal.append(_Seen(block_hash, {}, []))
        elif dead:
            fork = self._journal[-1]
            fork.begun.extend(begun)
            self._watches = fork.watches | {watch.key: watch for watch in fork.begun}
        return tuple(reversed(dead))


def _within(pools: Container[PoolKey], watches: Mapping[_Key, _Watch]) -> dict[_Key, _Watch]:
    return {key: watch for key, watch in watches.items() if _passes_only(pools, watch)}


def _passes_only(pools: Container[PoolKey], watch: _Watch) -> bool:
    return all(pool in pools for pool in watch.cycle.pools)


def _moved(watch: _Watch, update: BlockUpdate, place: int, made: Arbitrage | None) -> _Watch:
    """The transaction at `place` is the first to touch the cycle's pools."""
    block = update.block
    mover = Mover(block.number, block.hash, place)
    transaction = next((each for each in update.transactions if each.index == place), None)
    if transaction is not None:
        mover = replace(
            mover,
            transaction=transaction.hash,
            sender=transaction.sender,
            to=transaction.to,
            paid=transaction.gas_used * transaction.effective_gas_price,
        )
    token, gain = None, None
    if made is not None and made.gains:
        token = _main_token(watch.cycle, made.gains.keys())
        gain = made.gains[token]
    return replace(watch, mover=mover, is_arbitrage=made is not None, gain_token=token, gain=gain)


def _main_token(cycle: Cycle, tokens: Iterable[Address]) -> Address:
    """The token of a gain that is told: the cycle's own start token where it is among them."""
    return cycle.start_token if cycle.start_token in tokens else min(tokens)


def _conclusion(watch: _Watch, block: Block, is_open: bool) -> Evidence | None:
    blocks = block.number - watch.block.number
    if not is_open:
        return watch.evidence(Outcome.TAKEN if watch.is_arbitrage else Outcome.VANISHED, blocks)
    if blocks >= PERSISTS_AFTER_BLOCKS:
        return watch.evidence(Outcome.PERSISTED, None)
    return None
