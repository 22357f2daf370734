"""Integers on pools so small that every input can be tried: what the polish really leaves."""

from __future__ import annotations

import numpy as np
import pytest

from dexarb.core.market import Market
from tests.search.losses import Tally, offers
from tests.search.optimiser import ExactCycle
from tests.search.rings import beyond_a_gap, one_by_one, ring, scattered, up_to_the_price, with_gaps
from tests.search.scanning import scanner
from tests.support.worlds.pools import rng_of, token

SHAPES = (
    None,
    None,
    scattered,
    one_by_one(30, 1.0),
    with_gaps(30, 1.0),
    beyond_a_gap(2, 60),
    up_to_the_price(60),
)


def tiny_ring(rng: np.random.Generator) -> Market:
    """Two to four pools of some tens to thousands of units: every token is coarse."""
    hops = int(rng.integers(2, 5))
    shapes = [SHAPES[i] for i in rng.integers(len(SHAPES), size=hops)]
    spread = float(rng.choice([0.1, 0.5, 1.0]))
    return ring(
        rng,
        values=(10.0 ** rng.uniform(-spread, spread, hops)).tolist(),
        shapes=shapes,
        roots=hops * [10.0 ** rng.uniform(1.0, 3.0)],
        log_gain=float(rng.choice([0.1, 0.3, 0.8, 1.5])),
        fees=(500, 3000, 10000),
        on_boundary=bool(rng.integers(2)),
    )


def compared(tally: Tally, seed: int) -> None:
    """Compare every open cycle of a tiny market with the best of all inputs."""
    market = tiny_ring(rng_of("tiny", seed))
    scan = scanner(market, [token(0)]).scan
    offered = offers(scan)
    for key, each in scan.open_cycles.items():
        exact = ExactCycle(each.cycle, market.pools)
        if exact.most_out() > 1500:
            continue
        best = exact.best_of_all()
        offer = offered.get(key)
        # No way round earns more than the best of all, and nothing is offered that loses.
        assert offer is None or 0 < offer.profit <= best.profit, f"tiny {seed}: {offer}, {best}"
        if best.profit > 0:
            tally.add(f"tiny {seed}", exact, best, offer)


def judge(tally: Tally, cycles: int) -> None:
    """One grain for the cycle and one for each tick crossed, and half as much again.

    Each tick rounds against the trader, so on pools of a few units a range the best integers lie
    where no real number points. One grain holds nearly always all the same.
    """
    assert tally.compared.total() > cycles, tally
    assert len(tally.compared) == 3, tally
    worst = max(tally.losses, key=lambda loss: loss.grains / (1 + loss.ticks))
    assert worst.grains <= 1.5 * (1 + worst.ticks), worst
    above = [loss for loss in tally.losses if loss.bound > 1]
    assert len(above) <= 0.03 * tally.compared.total(), f"{len(above)} above a grain: {tally}"


def test_tiny_pools_lose_grains_at_most() -> None:
    tally = Tally()
    for seed in range(400):
        compared(tally, seed)
    judge(tally, 70)


@pytest.mark.fuzz
def test_tiny_pools_lose_grains_at_most_in_a_long_run() -> None:
    tally = Tally()
    for seed in range(400, 6000):
        compared(tally, seed)
    above = sum(loss.bound > 1 for loss in tally.losses)
    print(f"tiny pools, every input tried: {tally}; {above} above a grain")  # noqa: T201
    judge(tally, 1000)
