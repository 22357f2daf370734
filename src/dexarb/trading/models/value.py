"""What a token is worth in USD: a median that no single mispriced pool can move.

The price of a token is the median of the last block-end mid prices of its reference pools
(docs/honest-fills.md, Costs and value). A pool below its minimum depth does not count. The
numeraire is one USD by definition. Values are integer micro-USD.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Container
from dataclasses import dataclass
from typing import ClassVar

from dexarb.core.block import BlockHash
from dexarb.core.market import MAX_REORG_DEPTH, Market
from dexarb.core.pool import PIPS, Pool, PoolKey, places_of_ways
from dexarb.core.token import Address
from dexarb.core.units import MICRO_USD
from dexarb.errors import MarketError, UnknownToken
from dexarb.trading.models.model import Model

PRICE_SHIFT = 96
"""Prices are micro-USD per smallest unit, times 2**96: 1e-20 USD still has nine digits."""

MOST_MICRO_USD = 2**53
"""Nine billion USD: no trade is worth that, so a price or an amount that says so is wrong. A
thousand such trades still fit into the books' 64 bits."""


def rounded_down(worth: int) -> int:
    """Amount times price in micro-USD: gains are never rounded up, losses never down."""
    return worth >> PRICE_SHIFT


def rounded_up(worth: int) -> int:
    """Amount times price in micro-USD, for what is to pay."""
    return -(-worth >> PRICE_SHIFT)


def mid_price(pool: Pool, token_in: Address, token_out: Address) -> tuple[float, float] | None:
    """(token_out per token_in before the fee, virtual reserve of token_out), smallest units.

    None where the pool has no liquidity at its price.
    """
    place = places_of_ways(pool.tokens).get((token_in, token_out))
    if place is None:
        raise UnknownToken(pool.key, token_in)
    segment = pool.first_segments()[place]
    if not segment.rate or segment.depth <= 0.0:
        return None
    return segment.rate / (1.0 - pool.fee_pips / PIPS), segment.rate / segment.depth


@dataclass(frozen=True, slots=True)
class ValueModel(Model):
    """The lower median of so many block ends, over all reference pools that are deep enough."""

    NAME: ClassVar[str] = "median"
    VERSION: ClassVar[int] = 1

    window_blocks: int = 30

    def valuation(
        self,
        market: Market,
        before: Valuation | None = None,
        changed: Container[PoolKey] = (),
    ) -> Valuation:
        """At the end of the market's block; before and changed: see Valuation."""
        return Valuation(market, self.window_blocks, before, changed)


SavedMids = tuple[BlockHash, dict[Address, tuple[float, ...]]]
"""A block's mids of every token's deep enough reference pools."""


class Valuation:
    """Mutable: `observe` after every block, `amend` when pools come or go, `rewind` when blocks are
    taken back.

    before: the valuation of the same chain up to this block, where only these pools have changed. A
    token whose reference pools are the same keeps its window.
    """

    def __init__(
        self,
        market: Market,
        window_blocks: int,
        before: Valuation | None = None,
        changed: Container[PoolKey] = (),
    ) -> None:
        self._window_blocks = window_blocks
        profile = market.profile
        self._references = profile.reference_pools
        self._numeraire = profile.numeraire
        self._wrapped_native = profile.wrapped_native
        self._know_numeraire(market)
        # One entry a block.
        self._mids: deque[SavedMids] = deque(maxlen=window_blocks + MAX_REORG_DEPTH)
        self._prices: dict[Address, int | None] = {}
        self._carries_on = False
        if before is not None:
            known = self._references.items() & before._references.items()
            kept = {
                token for token, pools in known if not any(each.pool in changed for each in pools)
            }
            for block_hash, mids in before._mids:
                if block_hash != market.block.hash:
                    mids = {token: found for token, found in mids.items() if token in kept}
                    self._mids.append((block_hash, mids))
        self.observe(market, market.pools)

    def state(self) -> list[SavedMids]:
        """The window after a block, the oldest first."""
        return list(self._mids)[-self._window_blocks :]

    def take_up(self, state: list[SavedMids]) -> None:
        """Have seen these blocks, the last of them the market's."""
        self._mids.clear()
        self._mids.extend(state)
        self._carries_on = False
        self._prices.clear()

    def remember(self, blocks: int) -> None:
        """Be able to take back so many from now on."""
        self._mids = deque(self._mids, maxlen=self._window_blocks + blocks)

    def _know_numeraire(self, market: Market) -> None:
        """One that does not tell its decimals is no token of the market: nothing has a price."""
        numeraire = market.tokens.get(self._numeraire)
        unit = 10**numeraire.decimals if numeraire else None
        self._numeraire_price = (MICRO_USD << PRICE_SHIFT) // unit if unit else None
        self._micro_usd_per_unit = MICRO_USD / unit if unit else 0.0

    def observe(self, market: Market, touched: Collection[PoolKey]) -> None:
        """Record the mids at the end of the market's block."""
        self._mids.append((market.block.hash, self._read(market, touched)))
        self._prices.clear()

    def amend(
        self, market: Market, touched: Collection[PoolKey], corrected: Collection[PoolKey]
    ) -> None:
        """Pools have come, gone or been corrected at the end of the market's block.

        A token with a corrected reference pool begins a new window: what that pool said was wrong.
        What a pool that is gone said stays in its window, and leaves it as the blocks go by.
        """
        for token, references in self._references.items():
            if any(reference.pool in corrected for reference in references):
                for _, mids in self._mids:
                    mids.pop(token, None)
        self._know_numeraire(market)
        self._mids[-1] = (market.block.hash, self._read(market, touched))
        self._prices.clear()

    def _read(
        self, market: Market, touched: Collection[PoolKey]
    ) -> dict[Address, tuple[float, ...]]:
        """The mids as the market has them; those of untouched pools are the latest ones."""
        latest = self._mids[-1][1] if self._carries_on else {}
        self._carries_on = True
        mids: dict[Address, tuple[float, ...]] = {}
        for token, references in self._references.items():
            if token in latest and not any(ref.pool in touched for ref in references):
                mids[token] = latest[token]
                continue
            found = []
            for reference in references:
                pool = market.pools.get(reference.pool)
                quote = mid_price(pool, token, reference.quote) if pool else None
                if quote and quote[1] >= reference.min_depth:
                    found.append(quote[0])
            mids[token] = tuple(found)
        return mids

    def rewind(self, block_hash: BlockHash) -> None:
        """Forget the blocks after `block_hash`. Pools may have gone since that was observed."""
        while len(self._mids) > 1 and self._mids[-1][0] != block_hash:
            self._mids.pop()
            self._carries_on = False
        self._prices.clear()

    def price(self, token: Address) -> int | None:
        """Micro-USD per smallest unit times 2**96, None without a price."""
        if token == self._numeraire:
            return self._numeraire_price
        if token not in self._prices:
            self._prices[token] = self._median(token)
        return self._prices[token]

    @property
    def native_price(self) -> int | None:
        """As `price`, of the token that pays for gas."""
        return self.price(self._wrapped_native)

    def _median(self, token: Address) -> int | None:
        window = list(self._mids)[-self._window_blocks :]
        mids = sorted(mid for _, by_token in window for mid in by_token.get(token, ()))
        if not mids:
            return None
        # The lower of the two middle mids for an even count: no average of two floats.
        return int(mids[(len(mids) - 1) // 2] * self._micro_usd_per_unit * float(2**PRICE_SHIFT))

    def micro_usd(self, token: Address, amount: int) -> int | None:
        """The value of an amount, rounded down."""
        price = self.price(token)
        return None if price is None else rounded_down(amount * price)

    def cost_micro_usd(self, token: Address, amount: int) -> int | None:
        """The value of something to pay, rounded up."""
        price = self.price(token)
        return None if price is None else rounded_up(amount * price)

    def native_cost_micro_usd(self, wei: int) -> int | None:
        """What is paid in the native token, rounded up; None without a price of it."""
        return self.cost_micro_usd(self._wrapped_native, wei)

    def gas_cost_micro_usd(self, wei: int) -> int:
        """The same of gas. Raises MarketError without a price of the native token."""
        cost = self.native_cost_micro_usd(wei)
        if cost is None:
            raise MarketError(f"no price for the native token {self._wrapped_native}")
        return cost

    def amount(self, token: Address, micro_usd: int) -> int | None:
        """How much of the token the money buys, in smallest units, rounded down."""
        price = self.price(token)
        return None if not price else (micro_usd << PRICE_SHIFT) // price
