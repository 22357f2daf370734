"""The market: all pools at one block, and the way back over the last blocks."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from dexarb.core.block import Block, BlockRef, BlockUpdate
from dexarb.core.pool import Pool
from dexarb.core.profile import ChainProfile
from dexarb.core.token import Address, Token
from dexarb.errors import MarketError, NotNextBlock, RewindTooDeep

MAX_REORG_DEPTH = 128
"""Blocks that can be taken back; a deeper reorganisation means a clean resync."""


@dataclass(frozen=True, slots=True)
class Keyframe:
    """Entry `seq` of the history: the whole market at the end of a block, ticks included."""

    seq: int
    block: Block
    profile: ChainProfile
    tokens: tuple[Token, ...]
    pools: tuple[Pool, ...]


@dataclass(frozen=True, slots=True)
class Break:
    """Entry `seq` of the history: the blocks before it and those after it do not connect.

    fork_point: the newest recorded block that still stands; all that is recorded behind it is
    dead. None: nothing that is recorded stands any more. What lies between the fork point and the
    keyframe that follows is missing. reason: in words, for people.
    """

    seq: int
    fork_point: BlockRef | None
    reason: str


@dataclass(frozen=True, slots=True)
class PoolsChanged:
    """Entry `seq` of the history: pools join and leave at the end of the block it ends at.

    tokens: those of joining pools that the market does not know yet. joined: the pools as they are
    at the end of `block`. left: pools that are not to be followed any more; one that is joined as
    well is a state that is put right.
    """

    seq: int
    block: BlockRef
    tokens: tuple[Token, ...] = ()
    joined: tuple[Pool, ...] = ()
    left: tuple[Address, ...] = ()

    @property
    def corrected(self) -> frozenset[Address]:
        """Pools whose state is put right."""
        return frozenset(self.left) & {pool.address for pool in self.joined}


Entry = Keyframe | BlockUpdate | PoolsChanged | Break


@dataclass(frozen=True, slots=True)
class Swap:
    """Somebody's swap: the pool before it, and what it moved in (negative: out) of each token."""

    pool: Pool
    flow: tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Step:
    """How one block changed the market. versions: (transaction index, pool after it). joined: pools
    that have come to the market at the end of the block. A pool that leaves goes from all three."""

    update: BlockUpdate
    parent: Block
    before: dict[Address, Pool]
    versions: dict[Address, tuple[tuple[int, Pool], ...]]
    joined: set[Address] = field(default_factory=set)


class Market:
    """Mutable. `apply` moves it one block on, `rewind` takes blocks back, `change` lets pools come
    and go.

    A place in the latest block is the number of its transactions that came before us: 0 is the
    top. Pools inside the block are kept, so `pool_at` costs a look-up at any place.
    """

    def __init__(self, keyframe: Keyframe) -> None:
        self.profile = keyframe.profile
        self.block = keyframe.block
        self.tokens: dict[Address, Token] = {token.address: token for token in keyframe.tokens}
        self.pools: dict[Address, Pool] = {pool.address: pool for pool in keyframe.pools}
        self._steps: deque[_Step] = deque(maxlen=MAX_REORG_DEPTH)

    @property
    def chain_id(self) -> int:
        return self.profile.chain_id

    def keyframe(self) -> Keyframe:
        """The market as it is now. Its seq, 0 here, is given by the history that takes it."""
        return Keyframe(
            0, self.block, self.profile, tuple(self.tokens.values()), tuple(self.pools.values())
        )

    def differing(self, keyframe: Keyframe) -> frozenset[Address]:
        """The pools that are not the same in a keyframe, those of only one of the two included."""
        theirs = {pool.address: pool for pool in keyframe.pools}
        return frozenset(
            address
            for address in self.pools.keys() | theirs.keys()
            if self.pools.get(address) != theirs.get(address)
        )

    def apply(self, update: BlockUpdate) -> frozenset[Address]:
        """Move to the next block; returns the pools it touched. Raises NotNextBlock.

        Either the whole block is applied or, where a pool refuses an event, none of it.
        """
        if update.block.parent_hash != self.block.hash:
            raise NotNextBlock(self.block.hash, update.block.number, update.block.parent_hash)
        versions: dict[Address, list[tuple[int, Pool]]] = {}
        for log in update.logs:
            pool = self.pools.get(log.address)
            if pool is None:
                continue
            known = versions.get(log.address)
            current = known[-1][1] if known else pool
            after = current.apply(log)
            if after is not current:
                versions.setdefault(log.address, []).append((log.transaction_index, after))
        before = {address: self.pools[address] for address in versions}
        frozen = {address: tuple(states) for address, states in versions.items()}
        self._steps.append(_Step(update, self.block, before, frozen))
        for address, states in frozen.items():
            self.pools[address] = states[-1][1]
        self.block = update.block
        return frozenset(frozen)

    def change(self, entry: PoolsChanged) -> frozenset[Address]:
        """Take pools in and leave pools out at the end of the market's block; returns them all.

        What leaves was never there: no rewind brings it back. What joins is known from here on: a
        rewind behind this block takes it out again. Raises MarketError, and changes nothing, for
        an entry of another block and for one that does not fit the pools that are there.
        """
        self._require_fitting(entry)
        for step in self._steps:
            for address in entry.left:
                step.before.pop(address, None)
                step.versions.pop(address, None)
                step.joined.discard(address)
        for address in entry.left:
            del self.pools[address]
        joined = {pool.address: pool for pool in entry.joined}
        self.tokens |= {token.address: token for token in entry.tokens}
        self.pools |= joined
        if self._steps:
            self._steps[-1].joined.update(joined)
        return frozenset(entry.left) | joined.keys()

    def _require_fitting(self, entry: PoolsChanged) -> None:
        """Raises MarketError."""
        ours = BlockRef(self.block.number, self.block.hash)
        if entry.block != ours:
            raise MarketError(
                f"pools change at block {entry.block.number} {entry.block.hash}, "
                f"the market is at {ours.number} {ours.hash}"
            )
        left = {address: self.pools.get(address) for address in entry.left}
        for address, pool in left.items():
            if pool is None or entry.left.count(address) > 1:
                raise MarketError(f"pool {address} leaves the market and is not there")
        joined: set[Address] = set()
        for pool in entry.joined:
            before = left.get(pool.address)
            if pool.address in joined or (before is None and pool.address in self.pools):
                raise MarketError(f"pool {pool.address} joins the market and is there already")
            if before is not None and before.tokens != pool.tokens:
                raise MarketError(f"pool {pool.address} comes back with other tokens")
            joined.add(pool.address)
        for token in entry.tokens:
            if self.tokens.get(token.address, token) != token:
                raise MarketError(f"token {token.address} is known as another one")

    def rewind(self, block_hash: str) -> frozenset[Address]:
        """Go back to the end of an earlier block; returns the pools that changed on the way, those
        included that have joined since and are gone.

        Raises RewindTooDeep, and leaves the market as it is, if the block is not in the journal.
        """
        if block_hash == self.block.hash:
            return frozenset()
        if not self.remembers(block_hash):
            raise RewindTooDeep(block_hash, len(self._steps))
        touched: set[Address] = set()
        while self.block.hash != block_hash:
            step = self._steps.pop()
            self.pools |= step.before
            for address in step.joined:
                del self.pools[address]
            touched.update(step.before, step.joined)
            self.block = step.parent
        return frozenset(touched)

    def remembers(self, block_hash: str) -> bool:
        """Whether `rewind` can reach the block."""
        return block_hash == self.block.hash or any(
            step.parent.hash == block_hash for step in self._steps
        )

    def last_events(self, address: Address, count: int) -> list[tuple[int, int, str]]:
        """The newest events of a pool in the journal: block, transaction index, first topic."""
        found: list[tuple[int, int, str]] = []
        for step in reversed(self._steps):
            for log in reversed(step.update.logs):
                if log.address == address and len(found) < count:
                    topic = "0x" + log.topics[0].hex()
                    found.append((step.update.block.number, log.transaction_index, topic))
        return found

    def pool_at(self, address: Address, place: int) -> Pool:
        """The pool as a transaction at `place` in the latest block would find it."""
        if not self._steps:
            raise MarketError("no block has been applied yet, so there are no places in it")
        step = self._steps[-1]
        pool = step.before.get(address) or self.pools[address]
        for transaction_index, after in step.versions.get(address, ()):
            if transaction_index >= place:
                break
            pool = after
        return pool

    def touching(self, pools: Collection[Address]) -> tuple[int, ...]:
        """Indices of the latest block's transactions that changed one of the pools, ascending."""
        if not self._steps:
            return ()
        versions = self._steps[-1].versions
        return tuple(sorted({index for address in pools for index, _ in versions.get(address, ())}))

    def swaps(self) -> Mapping[int, tuple[Swap, ...]]:
        """The latest block's swaps in our pools, by transaction index."""
        if not self._steps:
            return {}
        step = self._steps[-1]
        current = dict(step.before)
        found: dict[int, list[Swap]] = {}
        for log in step.update.logs:
            pool = current.get(log.address)
            if pool is None:
                continue
            flow = pool.flow(log)
            if flow is not None:
                found.setdefault(log.transaction_index, []).append(Swap(pool, flow))
            current[log.address] = pool.apply(log)
        return {index: tuple(swaps) for index, swaps in found.items()}
