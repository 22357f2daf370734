"""What the search reads first of a pool is where its segments begin, bit for bit."""

from __future__ import annotations

from math import inf

import pytest

from dexarb.amm.tick_math import get_sqrt_ratio_at_tick
from dexarb.amm.uniswap_v3 import UniswapV3Pool
from dexarb.core.pool import NO_SEGMENT, Pool
from dexarb.errors import PoolError
from tests.support.worlds.pools import RandomPools, rng_of, token, v2, v3

TOKENS = (token(0), token(1))


def check(pool: Pool) -> None:
    for one, first in zip(pool.tokens, pool.first_segments(), strict=True):
        segments = list(pool.segments(one))
        assert first == (segments[0] if segments else NO_SEGMENT)
        for segment in segments:
            assert segment.rate > 0.0
            assert segment.input_limit > 0.0
            assert segment.depth < inf


@pytest.mark.parametrize("seed", range(20))
def test_random_pools_and_where_trades_leave_them(seed: int) -> None:
    world = RandomPools.of(rng_of("first segments", seed), 3)
    for pool in world.pools(12):
        check(pool)
        for sold in pool.tokens:
            try:
                check(pool.swap(sold, int(1e5 / world.values[sold]) + 1).pool)
            except PoolError:
                continue


def test_on_a_tick_boundary_and_in_a_gap() -> None:
    pool = v3(1, TOKENS, 1.02, [(-3, -1, 10**18), (0, 2, 10**18), (3, 5, 10**18)])
    boundary = get_sqrt_ratio_at_tick(max(tick for tick in pool.ticks if tick <= pool.tick))
    for limit in (boundary + 1, boundary, boundary - 1, boundary - 2**80):
        reached = pool.swap(TOKENS[0], 10**20, sqrt_price_limit_x96=limit).pool
        assert isinstance(reached, UniswapV3Pool)
        assert reached.sqrt_price_x96 == limit
        check(reached)


@pytest.mark.parametrize("reserves", [(0, 0), (0, 5), (5, 0)])
def test_an_empty_pair_has_none(reserves: tuple[int, int]) -> None:
    pair = v2(1, TOKENS, *reserves)
    assert pair.first_segments() == (NO_SEGMENT, NO_SEGMENT)
    check(pair)
