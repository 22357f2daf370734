"""Which pools the history follows: one that the chain shows to be wrong is left out at once."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

import structlog

from dexarb.apps.recorder import Recorder
from dexarb.apps.self_check import SelfCheck
from dexarb.chain.feed.feed import Received
from dexarb.core.block import BlockUpdate
from dexarb.core.market import Market
from dexarb.core.pool import Pool, PoolKey
from dexarb.core.token import Address, Token
from dexarb.errors import OutsideError, PoolError

DIFFERENCES_BORNE = 1
"""A pool that differs more often is one that we cannot follow: it stays out until a restart."""
EVENTS_SHOWN = 3
MOST_DOUBLINGS = 12
"""Of the blocks until a pool that could not be read anew is read once more: 4,096 at last."""

_log = structlog.get_logger("data-collector")


class PoolWatch:
    """Mutable. Every change of the set of pools is an entry, so traders pass the pools over."""

    def __init__(self, recorder: Recorder, check: SelfCheck) -> None:
        self._recorder = recorder
        self._check = check
        self._absent: dict[PoolKey, Pool] = {}
        self._tokens: dict[Address, Token] = {}
        self.given_up: dict[PoolKey, str] = {}
        self._failed_restores = self._blocks_to_restore = 0

    async def applied(self, received: Received) -> BlockUpdate:
        """The block in the market. Pools that it shows to be wrong are left out before it.

        Raises ReorgTooDeep.
        """
        update = received.update(0)
        self._miss(self._recorder.go_back(update.block))
        while True:
            try:
                ours = self._recorder.apply(update)
            except PoolError as error:
                await self._leave_out(self._culprits(error, update), str(error))
                continue
            market = self._market
            events = [
                (pool, topic)
                for emitter, topic in received.contents.unknown_events
                for pool in market.at_emitter(emitter)
            ]
            silent = {
                pool
                for emitter in received.contents.admitted
                for pool in market.at_emitter(emitter)
            }
            differing = await self._check.examine(market, events, silent)
            if not differing:
                return ours
            self._recorder.take_back(ours)
            topics = sorted({"0x" + topic.hex() for pool, topic in events if pool in differing})
            unknown = f"moved by events of unknown kinds: {topics}"
            await self._leave_out(differing, unknown if topics else "an event is missing")

    def doubt(self, pools: Iterable[Pool], tokens: Iterable[Token]) -> None:
        """Leave out what was read in two ways, until two readings agree. tokens: also theirs."""
        for pool in pools:
            _log.warning("pool.doubtful", pool=pool.key, dex=pool.dex)
            self._await(pool)
        self._tokens |= {token.address: token for token in tokens}

    def _miss(self, pools: Mapping[PoolKey, Pool]) -> None:
        """These joined on a branch that is dead now: on this one nobody has read them."""
        for pool in pools.values():
            self._await(pool)

    def _await(self, pool: Pool) -> None:
        """Take it in as soon as it can be read."""
        self._absent[pool.key] = pool
        self._failed_restores = self._blocks_to_restore = 0

    async def settle(self) -> None:
        """After a block: act on what the check found, and take in again what was left out."""
        differing = self._check.take() & self._market.pools.keys()
        if differing:
            await self._leave_out(differing, "differs from the chain")
        elif self.absent:
            await self._restore()
        self._check.advance(self._market)

    def _culprits(self, error: PoolError, update: BlockUpdate) -> set[PoolKey]:
        named = {PoolKey(error.pool)} & self._market.pools.keys()
        return named or {
            key for log in update.logs if (key := self._market.key_of(log)) is not None
        }

    async def _leave_out(self, pools: Collection[PoolKey], reason: str) -> None:
        """The chain's state comes back in, unless it has happened too often."""
        market = self._market
        for key in sorted(pools):
            pool = market.pools[key]
            comes_back = self._check.count_difference(key) <= DIFFERENCES_BORNE
            _log.error(
                "pool.left_out",
                pool=key,
                dex=pool.dex,
                kind=pool.kind,
                reason=reason,
                last_events=market.last_events(key, EVENTS_SHOWN),
                until="it has been read anew" if comes_back else "a restart",
                remedy="Is it of this kind? Fees on transfers and forks of other events are not",
            )
            if comes_back:
                self._await(pool)
            else:
                self.given_up[key] = reason
        await self._recorder.leave_out(pools)

    async def _restore(self) -> None:
        """Take in again, as the chain has them, pools that were left out.

        What cannot be read is asked for ever less often: it may never answer again.
        """
        self._blocks_to_restore -= 1
        if self._blocks_to_restore > 0:
            return
        market = self._market
        found: Mapping[PoolKey, Pool] = {}
        try:
            found = await self._check.restored(market.block, self.absent)
        except OutsideError as error:
            _log.debug("restore", problem=str(error))
        self._failed_restores = 0 if found else self._failed_restores + 1
        self._blocks_to_restore = 1 << min(MOST_DOUBLINGS, self._failed_restores)
        if found:
            own = dict.fromkeys(token for pool in found.values() for token in pool.tokens)
            tokens = [self._tokens[token] for token in own if token in self._tokens]
            await self._recorder.change(tokens=tokens, joined=found.values())
            for key in found:
                del self._absent[key]
            _log.info("pool.restored", pools=sorted(found), block=market.block.number)

    @property
    def absent(self) -> list[Pool]:
        """Pools that may come back any time, as they were last: their events have to be heard."""
        there = self._market.pools
        self._absent = {key: pool for key, pool in self._absent.items() if key not in there}
        return list(self._absent.values())

    @property
    def left_out(self) -> list[PoolKey]:
        """Those that a restart would bring back, and those that the next blocks may."""
        return sorted({*self._absent, *self.given_up})

    @property
    def _market(self) -> Market:
        market = self._recorder.market
        assert market is not None
        return market
