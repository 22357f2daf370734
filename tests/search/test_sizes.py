"""No independent optimiser finds more than the search, beyond a grain or 1e-9 of the profit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from dexarb.core.market import Market
from search.losses import Tally, offers
from search.optimiser import ExactCycle
from search.rings import beyond_a_gap, one_by_one, ring, scattered, up_to_the_price, with_gaps
from search.world import World, market_of, rng_of, scanner, token

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
    world = World.of(rng, 4, log10_prices=float(rng.uniform(1, 6)))
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


MARKETS: dict[str, tuple[Callable[[np.random.Generator], Market], int, int]] = {
    "world": (random_world, 60, 1500),
    "ring": (random_ring, 300, 6000),
}
"""How to make them, how many in every run and how many in the long one."""


def compare(kind: str, seed: int, tally: Tally, cycles: int = 5) -> None:
    make, _, _ = MARKETS[kind]
    market = make(rng_of(kind, seed))
    scan = scanner(market, STARTS).scan
    offered = offers(scan)
    for key, each in list(scan.open_cycles.items())[:cycles]:
        exact = ExactCycle(each.cycle, market.pools)
        tally.add(f"{kind} {seed}", exact, exact.best_found(), offered.get(key))


@pytest.mark.parametrize("kind", MARKETS)
def test_no_optimiser_finds_more(kind: str) -> None:
    tally = Tally()
    for seed in range(MARKETS[kind][1]):
        compare(kind, seed, tally)
    assert tally.compared.total() > 150
    assert len(tally.compared) == 3, f"not all numbers of hops: {tally}"
    tally.judge()
