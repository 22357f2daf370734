"""Random markets with prices, random histories of them, and random strategies on them."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations

import numpy as np
from hypothesis import strategies as st

from dexarb.core.block import BlockUpdate
from dexarb.core.market import Keyframe, Market
from dexarb.core.pool import Pool, PoolKey
from dexarb.core.profile import ReferencePool
from dexarb.core.token import Token, pair_of
from dexarb.core.trade import Funding, Position
from dexarb.errors import PoolError
from dexarb.trading.strategy import StrategySettings
from tests.support.worlds.blocks import GWEI, block, next_block, profile
from tests.support.worlds.pools import RandomPools, rng_of, token

USD, NATIVE = token(0), token(1)
DECIMALS = (6, 18, 8, 18)
DOLLARS = (1.0, 800.0, 60_000.0, 0.02)
UNPRICED = token(4)
"""Has pools, but none that prices it."""
TOKENS = tuple(token(i) for i in range(5))
PAIRS = tuple(pair_of(*pair) for pair in combinations(TOKENS, 2))
DAY_S = 86_400


def random_pools(rng: np.random.Generator) -> RandomPools:
    values = {
        token(i): DOLLARS[i] / 10.0 ** DECIMALS[i] if i < len(DECIMALS) else 1e-12 for i in range(5)
    }
    return RandomPools(values, rng)


def keyframe(seed: int, *, pools: int = 10, v3_share: float = 0.5) -> Keyframe:
    """A market with a deep reference pool for each token but USD and UNPRICED."""
    made = random_pools(rng_of("market", seed))
    found = made.pools(pools, v3_share=v3_share, noise=0.01)
    references = {}
    for i in range(1, len(DECIMALS)):
        pool = made.pool(100 + i, (USD, token(i)), noise=0.001, value=1e7)
        references[token(i)] = (ReferencePool(pool.key, USD, 1),)
        found.append(pool)
    tokens = tuple(
        Token(1, each, f"T{i}", DECIMALS[i] if i < len(DECIMALS) else 18)
        for i, each in enumerate(TOKENS)
    )
    known = profile(
        "random",
        tokens,
        native=NATIVE,
        numeraire=USD,
        starts=(token(2), USD, UNPRICED, NATIVE),
        references=references,
        default_priority_fee=GWEI,
    )
    return Keyframe(
        1, block(100, "0xfirst", base_fee_per_gas=10 * GWEI), known, tokens, tuple(found)
    )


def random_block(market: Market, rng: np.random.Generator, moved: int) -> BlockUpdate:
    """`moved` pools traded in, some to and fro; now and then late, or on another day."""
    addresses = sorted(market.pools)
    changed: dict[PoolKey, Pool] = {}
    for place in rng.choice(len(addresses), min(moved, len(addresses)), replace=False).tolist():
        pool = market.pools[addresses[place]]
        side = pool.tokens[int(rng.integers(2))]
        segment = next(pool.segments(side), None)
        if segment is None or segment.depth <= 0.0:
            continue
        amount = int(10.0 ** rng.uniform(-5.0, -1.3) / segment.depth)
        try:
            changed[pool.key] = pool.swap(side, amount).pool
        except PoolError:
            continue
    update = next_block(market, changed.values())
    late = rng.random() < 0.1
    timestamp = market.block.timestamp + (DAY_S if rng.random() < 0.1 else 2)
    late_block = replace(
        update.block,
        timestamp=timestamp,
        base_fee_per_gas=int(10.0 ** rng.uniform(8, 11)),
        seen_at=timestamp + (60.0 if late else 0.5),
    )
    return replace(update, block=late_block)


def _either(*values: object) -> st.SearchStrategy[object]:
    return st.sampled_from(values)


USD_AMOUNTS = (-(10**9), -(10**6), -1, 0, 1, 1000, 10**5, 10**6, 10**7, 10**9)

settings_drawn = st.builds(
    StrategySettings,
    name=st.just("drawn"),
    pairs=st.sets(st.sampled_from(PAIRS), min_size=1).map(lambda found: tuple(sorted(found)))
    | st.just(PAIRS),
    min_profit_micro_usd=_either(*USD_AMOUNTS) | st.integers(-(10**7), 10**7),
    max_trade_size_micro_usd=_either(1, 10**4, 10**8, 10**9, 10**10, 10**12, 10**15),
    max_slippage_ppm=_either(0, 1, 5_000, 333_333, 10**6),
    max_gas_price=_either(11 * GWEI, 200 * GWEI, 10**15),
    competition_rate_ppm=_either(0, 300_000, 10**6),
    max_daily_trades=_either(None, None, 0, 1, 2),
    daily_loss_limit_micro_usd=_either(None, None, 1, 10**6),
    max_consecutive_losses=_either(None, None, 1, 2),
    cooldown_blocks=_either(0, 1, 3),
    max_hops=_either(2, 3, 4),
    min_spread_ppm=_either(0, 0, 500, 5_000),
    dexes=_either((), (), ("",), ("nowhere",)),
    capital_micro_usd=_either(None, 10**8, 10**9, 3 * 10**9, 10**15),
    priority_fee=_either(None, 0, GWEI, 50 * GWEI),
    bid_ppm=_either(None, None, 0, 100_000, 900_000, 10**6),
    gas_balance_micro_usd=_either(None, None, 10**6, 10**8, 10**9),
    min_profit_onchain_micro_usd=_either(0, 0, 1, 10**6),
    funding=st.sampled_from(Funding),
    gas_cost_micro_usd=_either(None, None, 0, 500_000),
    slippage_haircut_ppm=_either(0, 0, 150_000, 10**6),
    latency_blocks=_either(1, 1, 2),
    latency_ms=_either(None, 300),
    deadline_blocks=_either(0, 2),
    position=st.sampled_from(Position),
    min_expected_micro_usd=_either(None, None, None, *USD_AMOUNTS),
)
"""A strategy that can be anything that a configuration allows."""
