"""A quote is what the swap gives, for every kind of pool and any amount, errors included."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from dexarb.amm.uniswap_v3 import UniswapV3Pool
from dexarb.amm.v3_events import SWAP
from dexarb.core.block import Log
from dexarb.core.pool import Pool
from dexarb.core.token import Address
from dexarb.errors import PoolError, UnknownToken
from tests.support.worlds.pools import RandomPools, rng_of, token, uninitialised
from tests.toy.markets import market_with_toys

LARGEST = 2**257


def outcome(pool: Pool, token_in: Address, amount: int, token_out: Address) -> str:
    """What both say, once they are found to agree: an error's type, or that there was none."""
    error, expected = None, 0
    try:
        expected = pool.swap(token_in, amount, token_out).amount_out
    except PoolError as refused:
        error = refused
    if error is None:
        assert pool.quote(token_in, amount, token_out) == expected
        return "quoted"
    with pytest.raises(type(error), match=re.escape(str(error))):
        pool.quote(token_in, amount, token_out)
    return type(error).__name__


def with_impossible_liquidity(pool: Pool) -> Pool:
    """As events have reported it that the ticks deny."""
    assert isinstance(pool, UniswapV3Pool)
    words = (1, -1, pool.sqrt_price_x96, 2**128 - 1, pool.tick)
    data = b"".join(word.to_bytes(32, "big", signed=word < 0) for word in words)
    return pool.apply(Log(pool.address, (SWAP, bytes(32), bytes(32)), data, 0, 0))


def test_a_quote_is_what_the_swap_gives() -> None:
    seen: Counter[tuple[str, str]] = Counter()
    for seed in range(16):
        rng = rng_of("quotes", seed)
        made = RandomPools.of(rng, 4)
        pools: list[Pool] = [
            made.pool(n, (token(n % 3), token(3)), kind=2 + n % 2, noise=0.3) for n in range(4)
        ]
        pools += market_with_toys(rng, 10.0 ** float(rng.uniform(1, 6)), 0.4).pools.values()
        pools.append(with_impossible_liquidity(pools[1]))
        pools.append(uninitialised(9, (token(0), token(1))))
        for pool in pools:
            amounts = [0, -1, 1, LARGEST, *(int(10.0**e) for e in rng.uniform(0, 36, 6))]
            for amount in amounts:
                for sold in (*pool.tokens, token(77)):
                    bought = next(each for each in pool.tokens if each != sold)
                    seen[pool.kind, outcome(pool, sold, amount, bought)] += 1
    for kind in ("uniswap_v2", "uniswap_v3", "toy"):
        assert seen[kind, "quoted"] > 60, seen
        assert seen[kind, UnknownToken.__name__] > 60, seen
        assert seen[kind, "InvalidAmount"] > 60, seen
    assert seen["uniswap_v3", "InsufficientLiquidity"] > 60, seen
