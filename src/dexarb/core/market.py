"""The market: all pools at one block, and the way back over the last blocks."""

from __future__ import annotations

from collections import ChainMap, deque
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from dexarb.core.block import Block, BlockRef, BlockUpdate, Log
from dexarb.core.pool import Pool, PoolKey, SwapGas
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


Entry = Keyframe | BlockUpdate | Break


@dataclass(frozen=True, slots=True)
class Swap:
    """Somebody's swap: the pool before it, and what it moved in (negative: out) of each token."""

    pool: Pool
    flow: tuple[int, ...]

    @property
    def token_in(self) -> Address:
        """What was sold: of two tokens the one that was not bought."""
        bought = self.flow.index(min(self.flow))
        others = [place for place in range(len(self.flow)) if place != bought]
        return self.pool.tokens[max(others, key=self.flow.__getitem__)]

    @property
    def token_out(self) -> Address:
        return self.pool.tokens[self.flow.index(min(self.flow))]


@dataclass(frozen=True, slots=True)
class _Step:
    """How one block changed the market. versions: (transaction index, pool after it)."""

    update: BlockUpdate
    parent: Block
    before: Mapping[PoolKey, Pool]
    versions: Mapping[PoolKey, tuple[tuple[int, Pool], ...]]


class Market:
    """Mutable. `apply` moves it one block on, `rewind` takes blocks back.

    A place in the latest block is the number of its transactions that came before us: 0 is the
    top. Pools inside the block are kept, so `pool_at` costs a look-up at any place.
    """

    def __init__(self, keyframe: Keyframe) -> None:
        self.profile = keyframe.profile
        self.block = keyframe.block
        self.tokens: dict[Address, Token] = {token.address: token for token in keyframe.tokens}
        self.pools: dict[PoolKey, Pool] = {pool.key: pool for pool in keyframe.pools}
        """As the block has left them; see `ahead`."""
        self._kinds = {pool.address: type(pool) for pool in keyframe.pools}
        self.swap_gas: frozenset[SwapGas] = frozenset(kind.gas for kind in self._kinds.values())
        """Of the kinds of pools that there are."""
        self.timed = tuple(pool.key for pool in keyframe.pools if pool.moves_with_time)
        """The pools that change from block to block without an event."""
        self.inexact = frozenset(pool.key for pool in keyframe.pools if pool.mirror_error)
        """The pools whose segments are an approximation."""
        self._steps: deque[_Step] = deque(maxlen=MAX_REORG_DEPTH)

    @property
    def chain_id(self) -> int:
        return self.profile.chain_id

    def keyframe(self) -> Keyframe:
        """The market as it is now. Its seq, 0 here, is given by the history that takes it."""
        return Keyframe(
            0, self.block, self.profile, tuple(self.tokens.values()), tuple(self.pools.values())
        )

    @property
    def next_timestamp(self) -> int:
        """When the next block is expected: as long after this one as this one after its parent."""
        pace = self.block.timestamp - self._steps[-1].parent.timestamp if self._steps else 0
        return self.block.timestamp + max(1, pace)

    @property
    def ahead(self) -> Mapping[PoolKey, Pool]:
        """The pools as the next block is expected to find them: what to decide on."""
        if not self.timed:
            return self.pools
        when = self.next_timestamp
        return ChainMap({key: self.pools[key].at(when) for key in self.timed}, self.pools)

    def key_of(self, log: Log) -> PoolKey | None:
        """The pool of ours that an event is about, if it is one."""
        kind = self._kinds.get(log.address)
        key = None if kind is None else kind.key_of(log)
        return key if key in self.pools else None

    def at_emitter(self, address: Address) -> list[PoolKey]:
        """The pools whose events a contract emits."""
        if address not in self._kinds:
            return []
        key = PoolKey(address)
        return (
            [key]
            if key in self.pools
            else [each.key for each in self.pools.values() if each.address == address]
        )

    def differing(self, keyframe: Keyframe) -> frozenset[PoolKey]:
        """The pools that are not the same in a keyframe, those of only one of the two included."""
        theirs = {pool.key: pool for pool in keyframe.pools}
        return frozenset(
            key
            for key in self.pools.keys() | theirs.keys()
            if self.pools.get(key) != theirs.get(key)
        )

    def apply(self, update: BlockUpdate) -> frozenset[PoolKey]:
        """Move to the next block; returns the pools it touched. Raises NotNextBlock.

        Either the whole block is applied or, where a pool refuses an event, none of it.
        """
        if update.block.parent_hash != self.block.hash:
            raise NotNextBlock(self.block.hash, update.block.number, update.block.parent_hash)
        versions: dict[PoolKey, list[tuple[int, Pool]]] = {}
        for log in update.logs:
            key = self.key_of(log)
            if key is None:
                continue
            known = versions.get(key)
            current = (known[-1][1] if known else self.pools[key]).at(update.block.timestamp)
            after = current.apply(log)
            if after is not current:
                versions.setdefault(key, []).append((log.transaction_index, after))
        before = {key: self.pools[key] for key in versions}
        frozen = {key: tuple(states) for key, states in versions.items()}
        self._steps.append(_Step(update, self.block, before, frozen))
        for key, states in frozen.items():
            self.pools[key] = states[-1][1]
        self.block = update.block
        return frozenset(frozen)

    def rewind(self, block_hash: str) -> frozenset[PoolKey]:
        """Go back to the end of an earlier block; returns the pools that changed on the way.

        Raises RewindTooDeep, and leaves the market as it is, if the block is not in the journal.
        """
        if block_hash == self.block.hash:
            return frozenset()
        if not self.remembers(block_hash):
            raise RewindTooDeep(block_hash, len(self._steps))
        touched: set[PoolKey] = set()
        while self.block.hash != block_hash:
            step = self._steps.pop()
            self.pools.update(step.before)
            touched.update(step.before)
            self.block = step.parent
        return frozenset(touched)

    def remembers(self, block_hash: str) -> bool:
        """Whether `rewind` can reach the block."""
        return block_hash == self.block.hash or any(
            step.parent.hash == block_hash for step in self._steps
        )

    def last_events(self, pool: PoolKey, count: int) -> list[tuple[int, int, str]]:
        """The newest events of a pool in the journal: block, transaction index, first topic."""
        found: list[tuple[int, int, str]] = []
        for step in reversed(self._steps):
            for log in reversed(step.update.logs):
                if len(found) < count and self.key_of(log) == pool:
                    topic = "0x" + log.topics[0].hex()
                    found.append((step.update.block.number, log.transaction_index, topic))
        return found

    def pool_at(self, key: PoolKey, place: int) -> Pool:
        """The pool as a transaction at `place` in the latest block would find it."""
        if not self._steps:
            raise MarketError("no block has been applied yet, so there are no places in it")
        step = self._steps[-1]
        pool = step.before.get(key) or self.pools[key]
        for transaction_index, after in step.versions.get(key, ()):
            if transaction_index >= place:
                break
            pool = after
        return pool.at(step.update.block.timestamp)

    def is_touched(self, key: PoolKey, place: int) -> bool:
        """Whether a transaction before `place` in the latest block has changed the pool."""
        versions = self._steps[-1].versions.get(key, ()) if self._steps else ()
        return bool(versions) and versions[0][0] < place

    def touching(self, pools: Collection[PoolKey]) -> tuple[int, ...]:
        """Indices of the latest block's transactions that changed one of the pools, ascending."""
        if not self._steps:
            return ()
        versions = self._steps[-1].versions
        return tuple(sorted({index for key in pools for index, _ in versions.get(key, ())}))

    def swaps(self) -> Mapping[int, tuple[Swap, ...]]:
        """The latest block's swaps in our pools, by transaction index."""
        if not self._steps:
            return {}
        step = self._steps[-1]
        current: dict[PoolKey, Pool] = {}
        found: dict[int, list[Swap]] = {}
        for log in step.update.logs:
            key = self.key_of(log)
            if key is None or key not in step.before:
                continue
            pool = (current.get(key) or step.before[key]).at(step.update.block.timestamp)
            flow = pool.flow(log)
            if flow is not None:
                found.setdefault(log.transaction_index, []).append(Swap(pool, flow))
            current[key] = pool.apply(log)
        return {index: tuple(swaps) for index, swaps in found.items()}
