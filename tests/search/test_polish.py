"""Integers on pools so small that every input can be tried: what the polish really leaves."""

from __future__ import annotations

import numpy as np
import pytest

from dexarb.search.scan import Scanner
from search.losses import FUZZ, Tally, offers
from search.optimiser import ExactCycle
from search.rings import Ring, beyond_a_gap, one_by_one, ring, scattered, up_to_the_price, with_gaps
from search.world import gas_units, market_of, rng_of, token

SHAPES = (
    None,
    None,
    scattered,
    one_by_one(30, 1.0),
    with_gaps(30, 1.0),
    beyond_a_gap(2, 60),
    up_to_the_price(60),
)


def tiny_ring(rng: np.random.Generator) -> Ring:
    """Two to four pools of some tens to thousands of units: every token is coarse."""
    hops = int(rng.integers(2, 5))
    shapes = [SHAPES[i] for i in rng.integers(len(SHAPES), size=hops)]
    spread = float(rng.choice([0.1, 0.5, 1.0]))
    return ring(
        rng,
        values=10.0 ** rng.uniform(-spread, spread, hops),
        shapes=shapes,
        root=10.0 ** rng.uniform(1.0, 3.0),
        log_gain=float(rng.choice([0.1, 0.3, 0.8, 1.5])),
        fees=(500, 3000, 10000),
        on_boundary=up_to_the_price in shapes,
    )
