"""Random markets that several tests look at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dexarb.core.market import Market
from dexarb.core.pool import Pool
from dexarb.core.token import Address
from tests.search.rings import beyond_a_gap, one_by_one, ring, scattered, up_to_the_price, with_gaps
from tests.support.worlds.blocks import market_of
from tests.support.worlds.pools import RandomPools, token, uninitialised, v2, v3

STARTS = (token(0), token(1))
SHAPES = (
    None,
    None,
    scattered,
    one_by_one(40, 3.0),
    with_gaps(40, 2.0),
    beyond_a_gap(2, 60),
    up_to_the_price(60),
)


def random_world(rng: np.random.Generator) -> Market:
    """Nine pools between four tokens: some cycles gain a lot, most a little."""
    world = RandomPools.of(rng, 4, log10_prices=float(rng.uniform(1, 6)))
    return market_of(world.pools(9, noise=0.03))


def random_ring(rng: np.random.Generator) -> Market:
    """Two to four pools with long walks in one or several of them, and gains of up to e."""
    hops = int(rng.integers(2, 5))
    values = 10.0 ** rng.uniform(-4, 4, hops) / 10.0 ** rng.choice([6, 8, 18], hops)
    root = 10.0 ** rng.uniform(3, 7) / float(np.exp(np.mean(np.log(values))))
    return ring(
        rng,
        values.tolist(),
        [SHAPES[i] for i in rng.integers(len(SHAPES), size=hops)],
        hops * [root],
        float(10.0 ** rng.uniform(-3, 0)),
        on_boundary=bool(rng.integers(2)),
    )


MARKETS = {"world": random_world, "ring": random_ring}


def dead_pools(tokens: Sequence[Address]) -> list[Pool]:
    """Not funded, not initialised, without liquidity, and one that holds a single token."""
    pair = (tokens[0], tokens[1])
    one_sided = v3(903, pair, 1e-3, [(10, 20, 10**15)], 500)
    return [
        v2(900, pair, 0, 0),
        uninitialised(901, (tokens[0], tokens[2])),
        v3(902, pair, 5.0, []),
        one_sided,
    ]
