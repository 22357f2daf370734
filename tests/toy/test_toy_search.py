"""The search over pools of three tokens, with a curve of their own and fees that move with time."""

from __future__ import annotations

from dataclasses import replace
from math import prod

import pytest

from dexarb.core.block import BlockUpdate
from dexarb.core.market import Market
from dexarb.core.route import Cycle
from dexarb.study.searching import MAX_HOPS
from tests.oracles.cycles import cycles_from
from tests.search.losses import Tally, offers
from tests.search.optimiser import ExactCycle
from tests.search.scanning import content, scanner
from tests.support.worlds.blocks import block_after, market_of, update_of
from tests.support.worlds.pools import rng_of, token, v2
from tests.toy.kind import gives
from tests.toy.markets import VAULT, market_with_toys, toy

STARTS = (token(0),)
GRAINS = 1.5
MOST = 2_000
"""Inputs that are tried."""


def compared(tally: Tally, seed: int) -> int:
    """Every cycle against the best of all inputs; returns how many pass a toy pool and earn."""
    rng = rng_of("toys", seed)
    market = market_with_toys(rng, 10.0 ** float(rng.uniform(1.5, 2.5)), 0.4)
    scan = scanner(market, STARTS).scan
    offered, ahead, met = offers(scan), market.ahead, 0
    cycles = cycles_from(token(0), ahead.values(), MAX_HOPS)
    for key, cycle in {each.id: each for each in cycles}.items():
        exact = ExactCycle(cycle, ahead)
        if exact.most_out() > MOST:
            continue
        best = exact.best_of_all()
        offer = offered.get(key)
        assert offer is None or 0 < offer.profit <= best.profit, f"{seed}: {offer}, {best}"
        if best.profit > 0:
            assert key in scan.open_cycles, (seed, cycle, best)
            tally.add(f"toys {seed}", exact, best, offer)
            met += any(VAULT in pool for pool in cycle.pools)
    assert all(
        len({hop.pool for hop in each.cycle.hops}) == len(each.cycle.hops)
        for each in scan.open_cycles.values()
    )
    return met


def judge(tally: Tally) -> None:
    worse = [each for each in tally.losses if each.grains > GRAINS + each.ticks]
    assert not worse, "\n".join(map(str, worse[:5]))


def test_what_earns_is_found_and_sized() -> None:
    tally = Tally()
    assert sum(compared(tally, seed) for seed in range(20)) > 150
    judge(tally)


@pytest.mark.fuzz
def test_what_earns_is_found_and_sized_in_many_markets() -> None:
    tally = Tally()
    met = sum(compared(tally, seed) for seed in range(100, 1_100))
    assert met > 5_000, tally
    judge(tally)


def quiet_block(market: Market, seconds: int) -> BlockUpdate:
    block = block_after(market.block, f"quiet {market.block.number + 1}")
    return update_of(replace(block, timestamp=market.block.timestamp + seconds), ())


def test_a_fee_that_falls_opens_a_cycle_in_which_no_pool_has_an_event() -> None:
    """And closes it again where those blocks are taken back."""
    dear = v2(1, (token(0), token(1)), 1_000_000, 1_000_000, fee=500)
    market = market_of([dear, toy(1, (token(0), token(1), token(2)), (10**6, 1_006_000, 10**6))])
    followed = scanner(market, STARTS)
    assert not followed.scan.open_cycles
    start, met = market.block.hash, []
    for _ in range(8):
        update = quiet_block(market, 10)
        touched = market.apply(update)
        assert not touched
        scan = followed.update(market, touched)
        assert content(scan) == content(scanner(market, STARTS).scan)
        met.append(bool(scan.opportunities))
    assert met == sorted(met)
    assert met[-1]
    assert not met[0]
    assert not followed.update(market, market.rewind(start)).open_cycles


def test_a_cycle_through_two_edges_of_one_pool_is_none() -> None:
    """Out of line with itself it would be open: one swap moves all prices of its pool."""
    rich = toy(1, (token(0), token(1), token(2)), (10**6, 10**6, 10**6))
    pair = v2(1, (token(0), token(1)), 1_000_000, 1_200_000, fee=500)
    found = scanner(market_of([rich, pair]), STARTS).scan.open_cycles
    assert len(found) == 1
    assert rates(next(iter(found.values())).cycle, market_of([rich, pair])) > 1.0


def rates(cycle: Cycle, market: Market) -> float:
    size = 10**3
    return prod(
        gives(market.ahead[hop.pool], hop.token_in, size, hop.token_out) / size
        for hop in cycle.hops
    )
