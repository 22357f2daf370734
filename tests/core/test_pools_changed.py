"""Pools that come and go: after any blocks, changes and rewinds the market is what full copies of
every block say."""

from __future__ import annotations

import random
from dataclasses import dataclass, field, replace
from itertools import pairwise

import pytest

from dexarb.amm.uniswap_v2 import UniswapV2Pool
from dexarb.core.block import Block, BlockHash, BlockRef, BlockUpdate
from dexarb.core.market import MAX_REORG_DEPTH, Keyframe, Market, PoolsChanged
from dexarb.core.pool import Pool, PoolKey
from dexarb.core.token import Address, Token
from dexarb.errors import MarketError, RewindTooDeep
from tests.support.worlds import small_chain
from tests.support.worlds.blocks import block, block_after, ref_of
from tests.support.worlds.events import state_log
from tests.support.worlds.small_chain import CHAIN_ID, PROFILE, TOKENS, WETH

ADDRESSES = tuple(PoolKey(f"0x{number:040x}") for number in range(1, 9))
Pools = dict[PoolKey, Pool]


@dataclass
class Copy:
    """A block, and the pools at each place in it: before its first transaction, then after each."""

    block: Block
    places: list[Pools] = field(default_factory=list)

    @property
    def end(self) -> Pools:
        return self.places[-1]


class FullCopies:
    """The oracle: what has left is taken out of every copy, what joins comes into the last one."""

    def __init__(self, first: Keyframe) -> None:
        self.copies = [Copy(first.block, [{pool.key: pool for pool in first.pools}])]

    @property
    def tip(self) -> Copy:
        return self.copies[-1]

    def apply(self, update: BlockUpdate) -> None:
        places = [dict(self.tip.end)]
        for log in update.logs:
            after = dict(places[-1])
            if PoolKey(log.address) in after:
                after[PoolKey(log.address)] = after[PoolKey(log.address)].apply(log)
            places.append(after)
        self.copies.append(Copy(update.block, places))

    def change(self, entry: PoolsChanged) -> None:
        for copy in self.copies:
            for pools in copy.places:
                for address in entry.left:
                    pools.pop(address, None)
        for pools in self.tip.places:
            pools.update({pool.key: pool for pool in entry.joined})

    def rewind(self, depth: int) -> None:
        del self.copies[len(self.copies) - depth :]


def pool(address: PoolKey, random_: random.Random) -> UniswapV2Pool:
    return replace(
        small_chain.weth_pool(address, random_.randint(1_000, 9_000)),
        reserve0=random_.randint(10**18, 10**21),
    )


def keyframe(random_: random.Random) -> Keyframe:
    pools = tuple(pool(address, random_) for address in ADDRESSES[:4])
    return Keyframe(1, block(100, "0x100"), PROFILE, TOKENS, pools)


def next_block(market: Market, random_: random.Random, count: int) -> BlockUpdate:
    """One event a transaction, of pools that are there, were there or never were."""
    logs = tuple(
        state_log(pool(random_.choice(ADDRESSES), random_), index)
        for index in range(random_.randint(0, 4))
    )
    return BlockUpdate(count, block_after(market.block, f"entry {count}"), logs, ())


def change(market: Market, random_: random.Random, count: int) -> PoolsChanged:
    there = sorted(market.pools)
    absent = [address for address in ADDRESSES if address not in market.pools]
    left = random_.sample(there, random_.randint(0, min(2, len(there))))
    joined = random_.sample([*absent, *left], random_.randint(0, min(3, len(absent))))
    pools = tuple(pool(address, random_) for address in joined)
    return PoolsChanged(count, ref_of(market), (), pools, tuple(left))


def unfitting(market: Market, random_: random.Random, count: int) -> PoolsChanged:
    """One of the many that cannot be."""
    good = change(market, random_, count)
    there, absent = min(market.pools, default=None), set(ADDRESSES) - market.pools.keys()
    bad = [replace(good, block=BlockRef(good.block.number, BlockHash("0xother")))]
    if there is not None and there not in good.left:
        bad.append(replace(good, joined=(*good.joined, pool(there, random_))))
    if there is not None:
        bad.append(replace(good, joined=(), left=(there, there)))
    if absent:
        bad.append(replace(good, left=(*good.left, min(absent))))
        twice = (pool(min(absent), random_),) * 2
        bad.append(replace(good, joined=twice))
    return random_.choice(bad)


def assert_equal(market: Market, oracle: FullCopies) -> None:
    assert market.block == oracle.tip.block
    assert market.pools == oracle.tip.end
    if len(oracle.copies) == 1:
        return
    places = oracle.tip.places
    for address in market.pools:
        for place, pools in enumerate(places):
            assert market.pool_at(address, place) == pools[address]
        moved = [
            index
            for index, (before, after) in enumerate(pairwise(places))
            if before[address] is not after[address]
        ]
        assert market.touching([address]) == tuple(moved)


@pytest.mark.parametrize(
    "seed", [*range(20), *(pytest.param(seed, marks=pytest.mark.fuzz) for seed in range(20, 300))]
)
def test_a_market_is_what_full_copies_say(seed: int) -> None:
    random_ = random.Random(seed)
    first = keyframe(random_)
    market, oracle = Market(first), FullCopies(first)
    kinds: set[str] = set()
    for count in range(2, 300):
        before = dict(market.pools)
        kind = random_.choices(["block", "change", "rewind", "unfitting"], weights=[5, 3, 2, 1])[0]
        kinds.add(kind)
        if kind == "block":
            update = next_block(market, random_, count)
            touched = market.apply(update)
            oracle.apply(update)
        elif kind == "change":
            entry = change(market, random_, count)
            touched = market.change(entry)
            oracle.change(entry)
        elif kind == "rewind":
            depth = random_.randint(0, min(12, len(oracle.copies) - 1))
            oracle.rewind(depth)
            touched = market.rewind(oracle.tip.block.hash)
        else:
            with pytest.raises(MarketError):
                market.change(unfitting(market, random_, count))
            touched = frozenset()
        assert_equal(market, oracle)
        differing = {
            address
            for address in before.keys() | market.pools.keys()
            if before.get(address) != market.pools.get(address)
        }
        assert differing <= touched
    assert kinds == {"block", "change", "rewind", "unfitting"}


def test_what_joined_is_gone_behind_the_block_at_whose_end_it_joined() -> None:
    random_ = random.Random(1)
    market = Market(keyframe(random_))
    first = market.block.hash
    market.apply(next_block(market, random_, 2))
    market.change(PoolsChanged(3, ref_of(market), (), (pool(ADDRESSES[7], random_),)))
    joined_at = market.block.hash
    market.apply(next_block(market, random_, 4))
    market.rewind(joined_at)
    assert ADDRESSES[7] in market.pools
    assert market.rewind(first) >= {ADDRESSES[7]}
    assert ADDRESSES[7] not in market.pools


def test_what_left_does_not_come_back_on_the_way_back() -> None:
    random_ = random.Random(2)
    market = Market(keyframe(random_))
    first = market.block
    moved = state_log(pool(ADDRESSES[0], random_))
    market.apply(BlockUpdate(2, block_after(first, "0x101"), (moved,), ()))
    market.change(PoolsChanged(3, ref_of(market), left=(ADDRESSES[0],)))
    assert market.touching(ADDRESSES) == ()
    assert market.swaps() == {}
    assert ADDRESSES[0] not in market.rewind(first.hash)
    assert sorted(market.pools) == list(ADDRESSES[1:4])


def test_the_way_back_is_as_long_as_before() -> None:
    random_ = random.Random(3)
    market = Market(keyframe(random_))
    hashes = [market.block.hash]
    for count in range(2, 2 + MAX_REORG_DEPTH + 10):
        market.apply(next_block(market, random_, count))
        market.change(change(market, random_, count))
        hashes.append(market.block.hash)
    with pytest.raises(RewindTooDeep):
        market.rewind(hashes[-MAX_REORG_DEPTH - 2])
    market.rewind(hashes[-MAX_REORG_DEPTH - 1])
    assert market.block.hash == hashes[-MAX_REORG_DEPTH - 1]


def test_tokens_of_pools_that_join_are_known_from_then_on_and_nobody_renames_one() -> None:
    random_ = random.Random(4)
    market = Market(keyframe(random_))
    token = Token(CHAIN_ID, Address("0x" + "77" * 20), "NEW", 9)
    joined = replace(pool(ADDRESSES[7], random_), token1=token.address)
    market.change(PoolsChanged(2, ref_of(market), (token,), (joined,)))
    assert market.tokens[token.address] == token
    renamed = replace(market.tokens[WETH], decimals=6)
    with pytest.raises(MarketError, match="known as another one"):
        market.change(PoolsChanged(3, ref_of(market), (renamed,)))
    other = replace(joined, token1=WETH, token0=Address("0x" + "00" * 20))
    with pytest.raises(MarketError, match="other tokens"):
        market.change(PoolsChanged(3, ref_of(market), (), (other,), (ADDRESSES[7],)))
    assert market.pools[ADDRESSES[7]] == joined
