"""The table of open cycles against brute force: as sets, with their ways round and rates."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from dexarb.core.market import Market
from dexarb.core.pool import Pool
from dexarb.core.token import Address
from dexarb.search.scan import Scan, Scanner
from tests.oracles.cycles import all_cycles, open_cycles
from tests.search.markets import dead_pools
from tests.search.scanning import gas_units, scanner
from tests.support.worlds.blocks import market_of
from tests.support.worlds.pools import RandomPools, rng_of, token, v2

SAME_RATE = 1e-12
"""Relative distance from 1 below which the order of float products may decide."""


def assert_finds_all(
    name: object, scan: Scan, pools: Sequence[Pool], starts: Sequence[Address], max_hops: int
) -> int:
    """The scan's open cycles are those of brute force; returns how many there are."""
    by_id = open_cycles(pools, starts, max_hops)
    expected = {key: found for key, found in by_id.items() if found[1] > 1 + SAME_RATE}
    found = {key: each for key, each in scan.open_cycles.items() if each.rate > 1 + SAME_RATE}
    missed = [expected[key][0] for key in expected.keys() - found.keys()]
    invented = [found[key].cycle for key in found.keys() - expected.keys()]
    assert not missed, f"{name}: {len(missed)} of {len(expected)} not found, as {missed[0]}"
    assert not invented, f"{name}: {len(invented)} that are not open, as {invented[0]}"
    for key, each in found.items():
        assert each.cycle.id == key
        assert each.cycle.hops == expected[key][0].hops, name
        assert each.rate == pytest.approx(expected[key][1], rel=1e-12), (name, each.cycle)
    assert list(scan.open_cycles) == sorted(scan.open_cycles), name
    return len(expected)


def assert_well_formed(scan: Scan, starts: Sequence[Address], max_hops: int) -> None:
    for each in scan.open_cycles.values():
        hops, tokens = each.cycle.hops, each.cycle.tokens
        assert 2 <= len(hops) <= max_hops
        assert len(set(each.cycle.pools)) == len(hops), "a pool twice"
        assert len(set(tokens)) == len(hops), "a token twice"
        assert [hop.token_out for hop in hops] == [*tokens[1:], tokens[0]], "not closed"
        assert tokens[0] == next(start for start in starts if start in tokens)


def random_market(rng: np.random.Generator, max_hops: int) -> tuple[list[Pool], list[Address]]:
    """Three to six tokens, many pools beside each other, some dead; one to three start tokens."""
    world = RandomPools.of(rng, int(rng.integers(3, 7)))
    noise = float(rng.choice([0.003, 0.01, 0.1]))
    pools = world.pools(int(rng.integers(4, 13 if max_hops == 4 else 18)), noise=noise)
    names = sorted(world.values)
    pools += [pool for pool in dead_pools(names) if rng.random() < 0.5]
    starts = rng.permutation(len(names))[: int(rng.integers(1, 4))]
    return pools, [names[start] for start in starts]


def compare_with_brute_force(max_hops: int, seeds: range) -> int:
    """Returns the number of open cycles of all these markets."""
    total = 0
    for seed in seeds:
        pools, starts = random_market(rng_of("cycles", max_hops, seed), max_hops)
        scan = scanner(market_of(pools), starts, max_hops).scan
        total += assert_finds_all(f"seed {seed}", scan, pools, starts, max_hops)
        assert_well_formed(scan, starts, max_hops)
    return total


@pytest.mark.parametrize("max_hops", [2, 3, 4])
def test_cycles_found_are_the_cycles_there_are(max_hops: int) -> None:
    assert compare_with_brute_force(max_hops, range(40)) > 200, "the markets do not try much"


@pytest.mark.parametrize("max_hops", [-1, 0, 1, 5])
def test_cycles_of_hops_that_are_not_searched_are_refused_and_not_silently_missed(
    max_hops: int,
) -> None:
    market = market_of([])
    said = f"cycles of {max_hops} hops are not searched; choose 2, 3 or 4"
    with pytest.raises(ValueError, match=said):
        scanner(market, [token(0)], max_hops)
    made = scanner(market, [token(0)], 2)
    if max_hops > 2:
        with pytest.raises(ValueError, match=said):
            made.widen(max_hops)
    else:
        assert not made.widen(max_hops)
    assert [made.widen(hops) for hops in (2, 3, 4, 4)] == [False, True, True, False]


@pytest.mark.fuzz
@pytest.mark.parametrize("max_hops", [2, 3, 4])
def test_cycles_found_are_the_cycles_there_are_in_a_long_run(max_hops: int) -> None:
    total = compare_with_brute_force(max_hops, range(40, 600))
    print(f"up to {max_hops} hops: {total} open cycles in 560 markets, all found")  # noqa: T201
    assert total > 2500


@pytest.mark.parametrize("seed", range(12))
def test_excluded_pools_and_tokens_are_never_passed(seed: int) -> None:
    rng = rng_of("excluded", seed)
    pools, starts = random_market(rng, 4)
    names = sorted({name for pool in pools for name in pool.tokens})
    no_pools = [pools[i].address for i in rng.choice(len(pools), 2, replace=False)]
    no_token = names[int(rng.integers(len(names)))]
    left = [p for p in pools if p.address not in no_pools and no_token not in p.tokens]
    market = market_of(pools)
    walked = Scanner(
        market,
        start_tokens=starts,
        gas_units=gas_units,
        max_hops=4,
        exclude_pools=no_pools,
        exclude_tokens=[no_token],
    )
    assert_finds_all(f"seed {seed}", walked.scan, left, starts, 4)
    for offer in walked.scan.opportunities:
        assert offer.cycle.id in walked.scan.open_cycles
    # Not even when they are touched.
    touched = walked.update(market, list(market.pools))
    assert touched.open_cycles == walked.scan.open_cycles
    assert_finds_all(f"seed {seed}", touched, left, starts, 4)


def test_hundreds_of_cycles_are_open() -> None:
    """Five pools beside each other for each of six pairs, far apart in price."""
    world = RandomPools.of(rng_of("hundreds"), 4)
    names = sorted(world.values)
    pairs = [(names[i], names[j]) for i in range(4) for j in range(i + 1, 4)]
    pools = [
        world.pool(5 * i + j, pair, kind=2 + j % 2, noise=0.2)
        for i, pair in enumerate(pairs)
        for j in range(5)
    ]
    starts = names[:2]
    scan = scanner(market_of(pools), starts, 4).scan
    assert assert_finds_all("hundreds", scan, pools, starts, 4) > 2000
    assert_well_formed(scan, starts, 4)
    assert len(scan.opportunities) > 1000


@pytest.mark.parametrize("seed", range(6))
def test_a_cycle_is_one_cycle_whatever_its_start(seed: int) -> None:
    world = RandomPools.of(rng_of("start", seed), 4)
    market = market_of(world.pools(10, noise=0.05))
    names = sorted(world.values)
    one, other = scanner(market, names).scan, scanner(market, names[::-1]).scan
    near = {
        key
        for scan in (one, other)
        for key, each in scan.open_cycles.items()
        if each.rate < 1 + SAME_RATE
    }
    assert one.open_cycles.keys() - near == other.open_cycles.keys() - near
    for key in one.open_cycles.keys() - near:
        cycle = one.open_cycles[key].cycle
        turned = other.open_cycles[key].cycle
        assert cycle.start_token == min(cycle.tokens)
        assert turned.start_token == max(cycle.tokens)
        assert turned.starting_at(cycle.start_token) == cycle


def test_brute_force_counts_as_on_paper() -> None:
    """A triangle with two pools on each side: 3 · 2 cycles of two hops, 2 · 2³ of three."""
    pairs = [(token(0), token(1)), (token(0), token(2)), (token(1), token(2))]
    pools = [v2(2 * i + j, pair, 10**6, 10**6) for i, pair in enumerate(pairs) for j in range(2)]
    assert len({cycle.id for cycle in all_cycles(pools, 4)}) == 22


def test_an_empty_market_has_no_cycles() -> None:
    market: Market = market_of([])
    assert scanner(market, [token(0)]).scan.open_cycles == {}
    assert scanner(market_of(dead_pools([token(i) for i in range(3)])), []).scan.opportunities == ()
