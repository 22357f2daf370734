"""The collector's doubt about itself: pools are read again now and then and compared."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import structlog

from dexarb.chain.bootstrap.sync import reread, reread_requests
from dexarb.chain.rpc import Rpc
from dexarb.core.block import Block
from dexarb.core.market import Market
from dexarb.core.pool import Pool, PoolKey
from dexarb.core.token import Address
from dexarb.errors import OutsideError

REQUESTS_A_BLOCK = 0.15
"""What the checks may cost on average."""
MAX_POOLS_A_CHECK = 20
FIRST_AFTER_BLOCKS = 8
FORGIVEN_AFTER_BLOCKS = 20_000
"""A pool that has not differed for so long is as good as any."""
QUIET_AFTER = 3
"""So often may an unknown event have changed nothing before it is taken for one that never does."""

_log = structlog.get_logger("data-collector")


@dataclass(slots=True)
class CheckCounts:
    """Of this run. requests: round trips spent on checks."""

    pools: int = 0
    requests: int = 0
    differences: int = 0


@dataclass
class SelfCheck:
    """Mutable. `advance` after every block; what it found differing is in `take`.

    A reading of contracts cannot be proven, so it counts against a pool only when a second one,
    of another endpoint where there is one, says the same.
    """

    rpc: Rpc
    multicall: Address | None
    counts: CheckCounts = field(default_factory=CheckCounts)
    _differences: Counter[PoolKey] = field(default_factory=Counter)
    _differed_at: dict[PoolKey, int] = field(default_factory=dict)
    _blocks: int = 0
    _next: int = 0
    _running: asyncio.Task[None] | None = None
    _found: set[PoolKey] = field(default_factory=set)
    _quiet: Counter[tuple[PoolKey, bytes]] = field(default_factory=Counter)

    def advance(self, market: Market) -> None:
        """Start the next check if what has been spent allows for it."""
        self._blocks += 1
        if self._running is not None and not self._running.done():
            return
        affordable = REQUESTS_A_BLOCK * (self._blocks - FIRST_AFTER_BLOCKS) - self.counts.requests
        chosen = self._next_pools(list(market.pools.values()), affordable)
        if chosen:
            self._running = asyncio.create_task(self._check(market.block, chosen))

    def _next_pools(self, pools: Sequence[Pool], affordable: float) -> list[Pool]:
        """The next ones in turn, as many as may be read for so many requests."""
        chosen: list[Pool] = []
        for step in range(min(MAX_POOLS_A_CHECK, len(pools))):
            wanted = [*chosen, pools[(self._next + step) % len(pools)]]
            if reread_requests(wanted) > affordable:
                break
            chosen = wanted
        self._next = (self._next + len(chosen)) % max(1, len(pools))
        return chosen

    def take(self) -> set[PoolKey]:
        """Pools that were found to differ since the last call."""
        found, self._found = self._found, set()
        return found

    def count_difference(self, pool: PoolKey) -> int:
        """One more of a pool; returns how many it has had, each within so many blocks of the
        next that they belong together."""
        self.counts.differences += 1
        before = self._differed_at.get(pool, self._blocks)
        if self._blocks - before > FORGIVEN_AFTER_BLOCKS:
            self._differences[pool] = 0
        self._differed_at[pool] = self._blocks
        self._differences[pool] += 1
        return self._differences[pool]

    async def differing(self, block: Block, pools: Sequence[Pool]) -> dict[PoolKey, Pool]:
        """Of pools as we have them at the end of a block: what two readings say of those that the
        chain has in another state. Raises OutsideError."""
        ours = {pool.key: pool for pool in pools}
        self.counts.pools += len(ours)
        first = {
            address: pool
            for address, pool in (await self._read(self.rpc, block, pools)).items()
            if pool != ours[address]
        }
        if not first:
            return {}
        second = await self._read_again(block, [ours[address] for address in first])
        return {address: pool for address, pool in first.items() if second.get(address) == pool}

    async def examine(
        self, market: Market, events: Sequence[tuple[PoolKey, bytes]], silent: Collection[PoolKey]
    ) -> set[PoolKey]:
        """Pools that the latest block shows to be away from ours, before the block is written.

        events: those of unknown kinds, (pool, topic). silent: pools of which the block's bloom says
        that there may be an event, though none came. An endpoint that cannot be asked now leaves
        it to the next regular check.
        """
        doubtful = [each for each in events if self._quiet[each] < QUIET_AFTER]
        wanted = {*silent, *(pool for pool, _ in doubtful)}
        pools = [market.pools[address] for address in wanted]
        if not pools:
            return set()
        try:
            found = await self.differing(market.block, pools)
        except OutsideError as error:
            _log.warning("self_check", problem=str(error))
            return set()
        self._quiet.update(each for each in doubtful if each[0] not in found)
        return set(found)

    async def restored(self, block: Block, pools: Sequence[Pool]) -> dict[PoolKey, Pool]:
        """The chain's state of pools at the end of a block, of those that two readings agree on.

        Raises OutsideError.
        """
        first = await self._read(self.rpc, block, pools)
        second = await self._read_again(block, pools)
        return {address: pool for address, pool in first.items() if second.get(address) == pool}

    async def unconfirmed(self, block: Block, pools: Sequence[Pool]) -> list[Pool]:
        """Of pools as they were read at the end of a block, those of which a second reading says
        something else. Raises OutsideError."""
        second = await self._read_again(block, pools)
        return [pool for pool in pools if second.get(pool.key) != pool]

    async def _read_again(self, block: Block, pools: Sequence[Pool]) -> Mapping[PoolKey, Pool]:
        """By the endpoints that were not asked first, or by the one that can be asked."""
        if len(self.rpc.names) > 1:
            with contextlib.suppress(OutsideError):
                return await self._read(self.rpc.avoiding(self.rpc.preferred), block, pools)
        return await self._read(self.rpc, block, pools)

    async def _read(self, rpc: Rpc, block: Block, pools: Sequence[Pool]) -> Mapping[PoolKey, Pool]:
        """Without those that cannot be read."""
        counted = rpc.scoped(attempts=2)
        try:
            found = await reread(counted, block, pools, self.multicall)
        finally:
            self.counts.requests += counted.requests
        return {key: pool for key, pool in found.items() if not isinstance(pool, Exception)}

    async def _check(self, block: Block, pools: Sequence[Pool]) -> None:
        try:
            self._found.update(await self.differing(block, pools))
        except OutsideError as error:
            # The block may have left the chain, or the node does not keep old states.
            _log.debug("self_check", problem=str(error))
