"""The scanner against the simple search, and what its triage may drop."""

from __future__ import annotations

import pytest

from dexarb.search.scan import Scanner
from tests.oracles.simple import SimpleScanner
from tests.search.losses import CLOSE
from tests.search.optimiser import ExactCycle
from tests.search.scanning import gas_units, scanner
from tests.support.worlds.blocks import market_of
from tests.support.worlds.pools import RandomPools, rng_of, token


@pytest.mark.parametrize("seed", range(10))
def test_never_worse_than_the_simple_search(seed: int) -> None:
    world = RandomPools.of(rng_of("simple", seed), 3)
    market = market_of(world.pools(8))
    starts = (token(0), token(1), token(2))
    fast = scanner(market, starts, 2).scan
    simple = SimpleScanner(market, start_tokens=starts, gas_units=gas_units).scan
    profits = {each.cycle.id: each.profit for each in fast.opportunities}
    for each in simple.opportunities:
        grain = ExactCycle(each.cycle, market.pools).grain(each.amount_in)
        allowed = max(grain, each.profit * CLOSE)
        assert profits.get(each.cycle.id, 0) >= each.profit - allowed, (seed, each.cycle)


def test_triage_drops_opportunities_but_never_open_cycles() -> None:
    world = RandomPools.of(rng_of("triage"), 4)
    market = market_of(world.pools(12))
    starts = (token(0), token(1))
    everything = scanner(market, starts, 3).scan
    least = sorted(each.profit for each in everything.opportunities)[-2]
    some = Scanner(
        market, start_tokens=starts, gas_units=gas_units, max_hops=3, min_gross=lambda _: least
    ).scan
    assert some.open_cycles == everything.open_cycles
    wanted = [each for each in everything.opportunities if each.profit >= least]
    assert list(some.opportunities) == wanted
