"""Blocks one after the other, a second apart, and the market at the first of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from dexarb.core.block import Block, BlockHash, BlockRef, BlockUpdate, Log, Transaction
from dexarb.core.market import Keyframe, Market
from dexarb.core.pool import Pool
from dexarb.core.profile import ChainProfile, ReferencePool
from dexarb.core.token import Address, Token
from tests.support.worlds.events import state_log
from tests.support.worlds.pools import token

GENESIS = 1_700_000_000
GWEI = 10**9
TRADER = Address("0x" + "7a" * 20)


def block(number: int, own: str, parent: str = "0xgenesis", **changes: Any) -> Block:
    """changes: of fields of the header."""
    hashes = BlockHash(own), BlockHash(parent)
    made = Block(number, *hashes, GENESIS + number, 30 * GWEI, 0, 30_000_000)
    return replace(made, **changes)


def block_after(parent: Block, own: str, **changes: Any) -> Block:
    """Names are hashes, so they must not be used twice."""
    return block(parent.number + 1, own, parent.hash, **changes)


def next_block(market: Market, pools: Iterable[Pool] = (), own: str | None = None) -> BlockUpdate:
    """The block after which these pools are in these states, reached with the same ticks."""
    own = own or f"{market.block.hash}.{market.block.number + 1}"
    logs = (state_log(pool, index) for index, pool in enumerate(pools))
    return update_of(block_after(market.block, own), logs)


def update_of(of: Block, logs: Iterable[Log]) -> BlockUpdate:
    return BlockUpdate(of.number, of, tuple(logs), ())


def transaction(index: int, **changes: Any) -> Transaction:
    made = Transaction(index, f"0xt{index}", TRADER, None, 60 * GWEI, 100_000, succeeded=True)
    return msgspec.structs.replace(made, **changes)


def profile(
    name: str,
    tokens: Sequence[Token],
    *,
    native: Address,
    numeraire: Address,
    starts: tuple[Address, ...] = (),
    references: Mapping[Address, tuple[ReferencePool, ...]] | None = None,
    **changes: Any,
) -> ChainProfile:
    """Of a chain that orders by fee, with the chain id of its tokens."""
    made = ChainProfile(
        chain_id=tokens[0].chain_id if tokens else 1,
        name=name,
        ordering="fee",
        wrapped_native=native,
        numeraire=numeraire,
        tokens={each.symbol: each.address for each in tokens},
        start_tokens=starts,
        reference_pools=references or {},
        default_priority_fee=30 * GWEI,
    )
    return replace(made, **changes)


def market_of(pools: Iterable[Pool]) -> Market:
    """Of pools alone: nothing has a price."""
    nothing = profile("test", (), native=token(0), numeraire=token(0))
    return Market(Keyframe(0, block(0, "0"), nothing, (), tuple(pools)))


def ref_of(market: Market) -> BlockRef:
    return BlockRef(market.block.number, market.block.hash)


class Chain:
    """Mutable. History entries one after the other, and branches of them."""

    def __init__(self, first: Keyframe) -> None:
        self.first = first
        self.tip = first.block
        self.seq = first.seq

    def add(
        self,
        own: str,
        logs: Iterable[Log] = (),
        transactions: Iterable[Transaction] = (),
        *,
        parent: Block | None = None,
        **changes: Any,
    ) -> BlockUpdate:
        """A block on top of `parent`, by default the latest block."""
        self.seq += 1
        self.tip = block_after(parent or self.tip, own, **changes)
        return BlockUpdate(self.seq, self.tip, tuple(logs), tuple(transactions))
