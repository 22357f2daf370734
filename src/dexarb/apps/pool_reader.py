"""What the chain has of the pools that the configuration asks for."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import structlog

from dexarb.apps.collect_plan import chain_profile, pool_requests, what_is_lost
from dexarb.apps.pool_watch import PoolWatch
from dexarb.apps.self_check import SelfCheck
from dexarb.chain.bootstrap.sync import Bootstrap, PoolRequest, bootstrap, request_of, with_found
from dexarb.chain.feed.headers import HeaderReader
from dexarb.chain.rpc import Rpc
from dexarb.config.collector import CollectorConfig
from dexarb.config.unpriced import REMEDY, consequence
from dexarb.core.block import BlockRef
from dexarb.core.market import Keyframe
from dexarb.core.pool import Pool, PoolKey
from dexarb.core.profile import own_names
from dexarb.core.token import Address, Token
from dexarb.errors import NothingFound

MISSING_ASKED = 2
"""So often in vain, and a pool counts as missing."""
DOUBTFUL_AFTER = 3
"""Failures in a row after which the newest block is not that of one endpoint alone."""

_log = structlog.get_logger("data-collector")


class PoolReader:
    """Mutable: remembers what tokens have told of themselves."""

    def __init__(
        self,
        config: CollectorConfig,
        rpc: Rpc,
        headers: HeaderReader,
        check: SelfCheck,
        watch: PoolWatch,
    ) -> None:
        self._config = config
        self._rpc = rpc
        self._headers = headers
        self._check = check
        self._watch = watch
        self._tokens: dict[Address, Token] = {}
        self._failures = 0

    def remember(self, tokens: Mapping[Address, Token]) -> None:
        """Tokens as they were known before."""
        self._tokens |= tokens

    async def read(self, known: Collection[PoolKey], at: BlockRef | None = None) -> Bootstrap:
        """All pools at the newest block, or at another one.

        known: pools that need not be read twice. Raises OutsideError, NothingFound among them.
        """
        self._failures += 1
        if at is None and self._failures > DOUBTFUL_AFTER:
            at = await self._lowest_head()
        found = await self._bootstrap(pool_requests(self._config.chain, self._config.choices), at)
        found = await self._with_missing(found)
        self._log_missing(found)
        if not found.pools:
            raise NothingFound(found.block.number, len(found.missing))
        # What contracts answer cannot be proven: new pools come in when it has been read twice.
        new = [pool for pool in found.pools if pool.key not in known]
        doubtful = await self._check.unconfirmed(found.block, new) if new else ()
        self._watch.doubt(doubtful, found.tokens)
        _log.info("bootstrap", block=found.block.number, pools=len(found.pools))
        self._failures = 0
        return found

    def keyframe(self, found: Bootstrap, pools: Sequence[Pool]) -> Keyframe:
        """Of these pools, without those that are left out now."""
        profile = chain_profile(self._config.chain, found.tokens, found.pools)
        left_out = self._watch.left_out
        followed = tuple(pool for pool in pools if pool.key not in left_out)
        return Keyframe(0, found.block, profile, found.tokens, followed)

    async def _lowest_head(self) -> BlockRef | None:
        """Of all endpoints: one may name a head that is not to be had from anybody."""
        heads = [header.block for header in await self._headers.heads()]
        lowest = min(heads, key=lambda block: block.number, default=None)
        return None if lowest is None else BlockRef(lowest.number, lowest.hash)

    async def _bootstrap(self, requests: Sequence[PoolRequest], at: BlockRef | None) -> Bootstrap:
        chain = self._config.chain
        found = await bootstrap(
            self._rpc,
            requests,
            chain_id=chain.chain.chain_id,
            tokens=chain.tokens.values(),
            names=own_names(chain.tokens),
            remembered=self._tokens,
            multicall=self._check.multicall,
            at=at,
        )
        self._tokens |= {token.address: token for token in found.tokens}
        return found

    async def _with_missing(self, found: Bootstrap) -> Bootstrap:
        """One false answer is enough to lose a pool until the next start: what is missing is asked
        for again at the same block, by itself, until that brings nothing more."""
        block, in_vain = BlockRef(found.block.number, found.block.hash), 0
        while found.missing and in_vain < MISSING_ASKED:
            again = await self._bootstrap(list(map(request_of, found.missing)), block)
            in_vain = 0 if again.pools else in_vain + 1
            found = with_found(found, again)
        return found

    def _log_missing(self, found: Bootstrap) -> None:
        names = own_names(self._config.chain.tokens)
        for missing in found.missing:
            request = missing.request
            pair = [names.get(token, token) for token in (request.token_a, request.token_b)]
            _log.warning(
                "pool.missing",
                dex=request.dex,
                pair="/".join(pair),
                fee_pips=missing.fee_pips,
                reason=missing.reason,
            )
        profile = chain_profile(self._config.chain, found.tokens, found.pools)
        for name in profile.unpriced:
            problem = consequence(name, profile.native_name)
            _log.warning("price.missing", problem=problem, remedy=REMEDY)
        for loss in what_is_lost(self._config.chain, found):
            _log.error("token.odd", problem=loss)
