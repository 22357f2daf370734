"""The market: all pools at one block, and the way back over the last blocks."""

from __future__ import annotations

from collections import ChainMap, deque
from collections.abc import Collection, Mapping, Set
from dataclasses import dataclass, field

from dexarb.core.block import Block, BlockHash, BlockRef, BlockUpdate, Log
from dexarb.core.gas_schedule import GasSchedule
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
    left: tuple[PoolKey, ...] = ()

    @property
    def corrected(self) -> frozenset[PoolKey]:
        """Pools whose state is put right."""
        return frozenset(self.left) & {pool.key for pool in self.joined}


Entry = Keyframe | BlockUpdate | PoolsChanged | Break


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
    """How one block changed the market. pace: see Market. versions: (transaction index, pool after
    it). named: pools that events are about, in their order. joined: pools that have come to the
    market at the end of the block. A pool that leaves goes from all four."""

    update: BlockUpdate
    parent: Block
    pace: int
    before: dict[PoolKey, Pool]
    versions: dict[PoolKey, list[tuple[int, Pool]]]
    named: dict[PoolKey, None]
    joined: set[PoolKey] = field(default_factory=set)


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
        self.pools: dict[PoolKey, Pool] = {pool.key: pool for pool in keyframe.pools}
        """As the block has left them; see `ahead`."""
        self._kinds: dict[Address, type[Pool]] = {}
        self.swap_gas: frozenset[SwapGas] = frozenset()
        """Of the kinds of pools that there have been."""
        self.timed: tuple[PoolKey, ...] = ()
        """The pools that change from block to block without an event."""
        self.inexact: frozenset[PoolKey] = frozenset()
        """The pools whose segments are an approximation."""
        self._know(keyframe.pools)
        self._steps: deque[_Step] = deque(maxlen=MAX_REORG_DEPTH)
        self.pace = 0
        """Seconds from the parent to the latest block; 0 where the parent is not known."""

    @property
    def chain_id(self) -> int:
        return self.profile.chain_id

    def _know(self, joined: Collection[Pool]) -> None:
        """What has to be known of pools beside their state."""
        kinds = {pool.address: type(pool) for pool in joined}
        self._kinds |= kinds
        self.swap_gas |= {kind.gas for kind in kinds.values()}
        self.timed += tuple(pool.key for pool in joined if pool.moves_with_time)
        self.inexact |= {pool.key for pool in joined if pool.mirror_error}

    def _forget(self, gone: Set[PoolKey]) -> None:
        self.timed = tuple(key for key in self.timed if key not in gone)
        self.inexact -= gone

    def keyframe(self) -> Keyframe:
        """The market as it is now. Its seq, 0 here, is given by the history that takes it."""
        return Keyframe(
            0, self.block, self.profile, tuple(self.tokens.values()), tuple(self.pools.values())
        )

    @property
    def next_timestamp(self) -> int:
        """When the next block is expected: as long after this one as this one after its parent."""
        return self.block.timestamp + max(1, self.pace)

    @property
    def next_gas_schedule(self) -> GasSchedule:
        """What the next block charges by: to decide with."""
        return self.profile.gas_schedule(self.block.number + 1)

    @property
    def next_surcharges(self) -> Mapping[Address, int]:
        """Of tokens in the next block; see the profile."""
        return self.profile.surcharges_at(self.block.number + 1)

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
        pools, timestamp = self.pools, update.block.timestamp
        versions: dict[PoolKey, list[tuple[int, Pool]]] = {}
        named: dict[PoolKey, None] = {}
        kinds = self._kinds
        for log in update.logs:
            # As `key_of`, which is a call more for every event of a history.
            kind = kinds.get(log.address)
            key = None if kind is None else kind.key_of(log)
            if key is None or key not in pools:
                continue
            named[key] = None
            known = versions.get(key)
            current = known[-1][1] if known else pools[key]
            if current.moves_with_time:
                current = current.at(timestamp)
            after = current.apply(log)
            if after is current:
                continue
            if known:
                known.append((log.transaction_index, after))
            else:
                versions[key] = [(log.transaction_index, after)]
        before = {key: pools[key] for key in versions}
        self._steps.append(_Step(update, self.block, self.pace, before, versions, named))
        self.pace = timestamp - self.block.timestamp
        for key, states in versions.items():
            pools[key] = states[-1][1]
        self.block = update.block
        return frozenset(versions)

    def change(self, entry: PoolsChanged) -> frozenset[PoolKey]:
        """Take pools in and leave pools out at the end of the market's block; returns them all.

        What leaves was never there: no rewind brings it back. What joins is known from here on: a
        rewind behind this block takes it out again. Raises MarketError, and changes nothing, for
        an entry of another block and for one that does not fit the pools that are there.
        """
        self._require_fitting(entry)
        for step in self._steps:
            for key in entry.left:
                step.before.pop(key, None)
                step.versions.pop(key, None)
                step.named.pop(key, None)
                step.joined.discard(key)
        for key in entry.left:
            del self.pools[key]
        self._forget(frozenset(entry.left))
        joined = {pool.key: pool for pool in entry.joined}
        self._know(entry.joined)
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
        left = {key: self.pools.get(key) for key in entry.left}
        for key, pool in left.items():
            if pool is None or entry.left.count(key) > 1:
                raise MarketError(f"pool {key} leaves the market and is not there")
        joined: set[PoolKey] = set()
        for pool in entry.joined:
            before = left.get(pool.key)
            if pool.key in joined or (before is None and pool.key in self.pools):
                raise MarketError(f"pool {pool.key} joins the market and is there already")
            if before is not None and before.tokens != pool.tokens:
                raise MarketError(f"pool {pool.key} comes back with other tokens")
            joined.add(pool.key)
        for token in entry.tokens:
            if self.tokens.get(token.address, token) != token:
                raise MarketError(f"token {token.address} is known as another one")

    def rewind(self, block_hash: BlockHash) -> frozenset[PoolKey]:
        """Go back to the end of an earlier block; returns the pools that changed on the way, those
        included that have joined since and are gone.

        Raises RewindTooDeep, and leaves the market as it is, if the block is not in the journal.
        """
        if block_hash == self.block.hash:
            return frozenset()
        if not self.remembers(block_hash):
            raise RewindTooDeep(block_hash, len(self._steps))
        touched: set[PoolKey] = set()
        while self.block.hash != block_hash:
            step = self._steps.pop()
            self.pools |= step.before
            for key in step.joined:
                del self.pools[key]
            self._forget(step.joined)
            touched.update(step.before, step.joined)
            self.block, self.pace = step.parent, step.pace
        return frozenset(touched)

    def remembers(self, block_hash: BlockHash) -> bool:
        """Whether `rewind` can reach the block."""
        return block_hash == self.block.hash or any(
            step.parent.hash == block_hash for step in self._steps
        )

    def remember(self, blocks: int) -> None:
        """Be able to take back so many from now on."""
        self._steps = deque(self._steps, maxlen=blocks)

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
        versions = self._steps[-1].versions.get(key) if self._steps else None
        return versions is not None and versions[0][0] < place

    def touching(self, pools: Collection[PoolKey]) -> tuple[int, ...]:
        """Indices of the latest block's transactions that changed one of the pools, ascending."""
        if not self._steps:
            return ()
        versions = self._steps[-1].versions
        return tuple(sorted({index for key in pools for index, _ in versions.get(key, ())}))

    @property
    def named(self) -> Collection[PoolKey]:
        """The pools that the latest block's events are about, in their order: also those that none
        of them changed."""
        return self._steps[-1].named.keys() if self._steps else ()

    def moves(self) -> Mapping[int, Mapping[PoolKey, Pool]]:
        """The latest block's transactions that changed pools, in order: each with these pools as it
        left them."""
        found: dict[int, dict[PoolKey, Pool]] = {}
        for key, states in self._steps[-1].versions.items() if self._steps else ():
            for index, after in states:
                found.setdefault(index, {})[key] = after
        return dict(sorted(found.items()))

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
