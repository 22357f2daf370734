"""The scanner against brute force, an independent optimiser, and a scanner started from scratch."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar

from dexarb.core.market import Market
from dexarb.core.pool import Pool
from dexarb.core.route import Cycle, run
from dexarb.core.token import Address
from dexarb.core.trade import Opportunity
from dexarb.errors import PoolError
from dexarb.search.scan import Scanner
from oracles.simple import SimpleScanner
from search.world import World, brute_force, gas_units, market_of, next_block, rng_of, token

SAME_RATE = 1e-12
"""Relative distance from 1 below which the order of float products may decide."""


def scanner(market: Market, starts: tuple[Address, ...], max_hops: int) -> Scanner:
    return Scanner(market, start_tokens=starts, gas_units=gas_units, max_hops=max_hops)


def profit(market: Market, cycle: Cycle, amount_in: int) -> int:
    """Exact; a trade that the pools refuse earns nothing."""
    if amount_in <= 0:
        return 0
    try:
        return run(cycle, amount_in, market.pools.__getitem__)[-1].amount_out - amount_in
    except PoolError:
        return -amount_in


@pytest.mark.parametrize("seed", range(24))
@pytest.mark.parametrize("max_hops", [2, 3, 4])
def test_cycles_found_are_the_cycles_there_are(seed: int, max_hops: int) -> None:
    world = World.of(rng_of("cycles", seed), 5)
    market = market_of(world.pools(10 if max_hops == 4 else 14, noise=0.01))
    starts = (token(0), token(1))
    expected = {
        key: found
        for key, found in brute_force(market.pools.values(), starts, max_hops).items()
        if found[1] > 1 + SAME_RATE
    }
    scan = scanner(market, starts, max_hops).scan
    open_cycles = {k: o for k, o in scan.open_cycles.items() if o.rate > 1 + SAME_RATE}
    assert open_cycles.keys() == expected.keys()
    for key, each in open_cycles.items():
        assert each.cycle.hops == expected[key][0].hops
        assert each.rate == pytest.approx(expected[key][1], rel=1e-12)
    assert list(scan.open_cycles) == sorted(scan.open_cycles)


@pytest.mark.parametrize("seed", range(40))
def test_no_optimiser_finds_more_than_a_grain(seed: int) -> None:
    """scipy's bounded Brent on the exact integer swap, many starts, over mixes of V2 and V3."""
    world = World.of(rng_of("sizes", seed), 4, log10_prices=4.0)
    market = market_of(world.pools(9, noise=0.03))
    scan = scanner(market, (token(0), token(1)), 3).scan
    for opportunity in scan.opportunities[:12]:
        cycle, best = opportunity.cycle, opportunity.profit
        assert profit(market, cycle, opportunity.amount_in) == best
        found = max(
            profit(market, cycle, int(amount)) for amount in independent(market, opportunity)
        )
        assert found - best <= max(2 * grain(world, cycle), best * 1e-9)


def grain(world: World, cycle: Cycle) -> int:
    """One unit of the cycle's coarsest token, in the smallest units of its start token."""
    return 1 + max(int(world.values[hop] / world.values[cycle.start_token]) for hop in cycle.tokens)


def independent(market: Market, opportunity: Opportunity) -> list[float]:
    cycle, size = opportunity.cycle, float(opportunity.amount_in)
    bounds = np.array([0.0, 0.25, 0.5, 0.8, 0.95, 1.05, 1.25, 2.0, 4.0]) * size
    found = [size * (1 + step) for step in (-1e-3, -1e-6, 1e-6, 1e-3)]
    for low, high in itertools.pairwise(bounds):
        result = minimize_scalar(
            lambda x: -float(profit(market, cycle, int(x))),
            bounds=(low, high),
            method="bounded",
            options={"xatol": max(1.0, size * 1e-9)},
        )
        found.append(float(result.x))
    return found


@pytest.mark.parametrize("seed", range(10))
def test_never_worse_than_the_simple_search(seed: int) -> None:
    world = World.of(rng_of("simple", seed), 3)
    market = market_of(world.pools(8))
    starts = (token(0), token(1), token(2))
    fast = scanner(market, starts, 2).scan
    simple = SimpleScanner(market, start_tokens=starts, gas_units=gas_units).scan
    profits = {each.cycle.id: each.profit for each in fast.opportunities}
    for each in simple.opportunities:
        assert profits.get(each.cycle.id, 0) >= each.profit - max(
            grain(world, each.cycle), each.profit * 1e-9
        )


@pytest.mark.parametrize("seed", range(6))
def test_the_curve_gives_the_profit_of_any_smaller_size(seed: int) -> None:
    world = World.of(rng_of("curve", seed), 4)
    market = market_of(world.pools(10, noise=0.03))
    for opportunity in scanner(market, (token(0),), 3).scan.opportunities:
        for share in (1.0, 0.7, 0.3, 0.05):
            amount_in = int(opportunity.amount_in * share)
            try:
                out = run(opportunity.cycle, amount_in, market.pools.__getitem__)[-1].amount_out
            except PoolError:
                continue
            if out > 10**6:
                coarse = 1e-6 + 2 * len(opportunity.cycle.hops) / out
                granular = max(world.values[hop] for hop in opportunity.cycle.tokens)
                coarse += granular / (world.values[token(0)] * out) * 2
                assert opportunity.curve.amount_out(amount_in) == pytest.approx(out, rel=coarse)


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(0, 3), min_size=1, max_size=12))
@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
def test_any_updates_and_rewinds_equal_a_scan_from_scratch(seed: int, steps: list[int]) -> None:
    world = World.of(rng_of("walk", seed), 4)
    pools = world.pools(9)
    market = market_of(pools)
    starts = (token(0), token(1))
    walked = scanner(market, starts, 4)
    trail = [market.block.hash]
    for count, step in enumerate(steps):
        if step == 0 and len(trail) > 1:
            del trail[-1:]
            touched = market.rewind(trail[-1])
        else:
            moved = [moved_pool(world, market, pools, n) for n in range(step or 1)]
            update = next_block(market, moved, name=f"{seed}.{count}")
            touched = market.apply(update)
            trail.append(market.block.hash)
        scan = walked.update(market, touched)
        fresh = scanner(market, starts, 4).scan
        assert scan.open_cycles == fresh.open_cycles
        assert scan.opportunities == fresh.opportunities


def moved_pool(world: World, market: Market, pools: list[Pool], number: int) -> Pool:
    """Some pool after somebody has traded in it."""
    pool = market.pools[pools[int(world.rng.integers(len(pools)))].address]
    side = int(world.rng.integers(2))
    value = 10.0 ** world.rng.uniform(1, 4)
    amount = int(value / world.values[pool.tokens[side]]) + number
    try:
        return pool.swap(pool.tokens[side], max(1, amount)).pool
    except PoolError:
        return pool


def test_pools_come_and_go() -> None:
    world = World.of(rng_of("come and go"), 4)
    pools = world.pools(10)
    market = market_of(pools)
    walked = scanner(market, (token(0), token(1)), 3)
    for pool in pools[:4]:
        del market.pools[pool.address]
        scan = walked.update(market, [pool.address])
        assert scan == scanner(market, (token(0), token(1)), 3).scan
    for pool in pools[:4]:
        market.pools[pool.address] = pool
        scan = walked.update(market, [pool.address])
        fresh = scanner(market, (token(0), token(1)), 3).scan
        assert scan.open_cycles == fresh.open_cycles
        assert scan.opportunities == fresh.opportunities


def test_triage_drops_opportunities_but_never_open_cycles() -> None:
    world = World.of(rng_of("triage"), 4)
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
