"""V3 pools of every tick spacing: long walks, thin and thick ranges, gaps, prices far out."""

from __future__ import annotations

import itertools

import pytest

from dexarb.core.market import Market
from dexarb.search.scan import Scan
from tests.oracles.cycles import open_cycles
from tests.search.losses import Tally, offers
from tests.search.optimiser import ExactCycle
from tests.search.rings import (
    Shape,
    beyond_a_gap,
    narrow,
    one_by_one,
    ring,
    up_to_the_price,
    with_gaps,
)
from tests.search.scanning import scanner
from tests.support.worlds.blocks import market_of
from tests.support.worlds.pools import SPACINGS, rng_of, token, v2, v3

FEES = {spacing: fee for fee, spacing in SPACINGS.items()}
LOG_TICK = 1e-4
"""Logarithm of the price, about, from one tick to the next."""


def judge_only_cycle(name: str, market: Market, tally: Tally) -> int:
    """Compare the one open cycle of a ring with the best found; returns the ticks that crosses."""
    starts = [token(0)]
    scan = scanner(market, starts).scan
    expected = open_cycles(market.pools.values(), starts, 4)
    assert scan.open_cycles.keys() == expected.keys(), name
    (key,) = scan.open_cycles
    assert scan.open_cycles[key].rate == pytest.approx(expected[key][1], rel=1e-12), name
    exact = ExactCycle(scan.open_cycles[key].cycle, market.pools)
    best = exact.best_found()
    assert best.profit > 0, f"{name}: the market offers nothing, so nothing is tried"
    tally.add(name, exact, best, offers(scan).get(key))
    return exact.crossed_ticks(best.amount_in)


def against_a_deep_pool(
    name: str,
    shape: Shape,
    *,
    spacing: int,
    log_gain: float,
    flipped: bool = False,
    log10_price: float = 0.0,
    units: float = 1e15,
    deep: float = 1e9,
    on_boundary: bool = False,
) -> Market:
    """A V3 pool whose price the best trade moves by all of log_gain, and a deep V2 pool.

    flipped: token 0 is bought from the V3 pool instead of sold to it. log10_price: of token 0 in
    token 1, in smallest units. units: the geometric mean of the tokens in a thin range, about; the
    V2 pool holds `deep` times as many.
    """
    liquidity = units / (spacing * LOG_TICK / 2)
    shapes, roots = [shape, None], [liquidity, units * deep]
    if flipped:
        shapes, roots = shapes[::-1], roots[::-1]
    return ring(
        rng_of(name),
        [10.0**log10_price, 1.0],
        shapes,
        roots,
        log_gain,
        fees=[FEES[spacing]],
        on_boundary=on_boundary,
    )


@pytest.mark.parametrize("crossed", [1, 10, 41, 200])
@pytest.mark.parametrize("spacing", sorted(FEES))
def test_walks_over_many_ticks(spacing: int, crossed: int) -> None:
    """In even liquidity, and where the next range has up to a thousand times more or less."""
    tally = Tally()
    for decades, flipped in itertools.product((0.0, 3.0), (False, True)):
        name = f"{crossed} ticks of {spacing}, {decades} decades, flipped {flipped}"
        market = against_a_deep_pool(
            name,
            one_by_one(crossed + 5, decades),
            spacing=spacing,
            log_gain=(crossed + 0.5) * spacing * LOG_TICK,
            flipped=flipped,
        )
        assert abs(judge_only_cycle(name, market, tally) - crossed) <= max(1, crossed // 5), name
    tally.judge()


@pytest.mark.parametrize("decimals", list(itertools.product((6, 8, 18), repeat=2)), ids=str)
@pytest.mark.parametrize("log10_price", [-12, -6, 0, 6, 12])
def test_prices_far_out(log10_price: int, decimals: tuple[int, int]) -> None:
    """Between 1e-12 and 1e12 per whole token, so up to 1e24 in smallest units."""
    tally = Tally()
    smallest = log10_price + decimals[1] - decimals[0]
    for place, spacing in enumerate(sorted(FEES)):
        flipped = bool((place + log10_price // 6 + decimals[0] // 6) % 2)
        name = f"price 1e{log10_price} of {decimals} decimals, ticks of {spacing}, {flipped}"
        market = against_a_deep_pool(
            name,
            one_by_one(12, 1.0),
            spacing=spacing,
            log_gain=8.3 * spacing * LOG_TICK,
            flipped=flipped,
            log10_price=smallest,
            # Some 1e5 units of the coarser token in a range; V2 reserves hold up to 5e33.
            units=10.0 ** (5 + abs(smallest) / 2),
            deep=1e4,
        )
        judge_only_cycle(name, market, tally)
    tally.judge()


SHAPES = {
    "gaps": (with_gaps(30, 2.0), 25.0),
    "thin gaps": (with_gaps(30, 4.0), 12.0),
    "beyond a gap": (beyond_a_gap(5, 40), 12.0),
    "far beyond a gap": (beyond_a_gap(60, 20), 70.0),
    "up to the price": (up_to_the_price(30), 10.0),
    "runs dry": (narrow(3), 8.0),
    "runs dry beyond a gap": (beyond_a_gap(4, 2), 15.0),
}
"""Shapes, and the gain in ranges."""


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("spacing", sorted(FEES))
def test_ranges_without_liquidity(spacing: int, shape: str) -> None:
    tally = Tally()
    positions, ranges = SHAPES[shape]
    for seed, flipped, on_boundary in itertools.product(range(2), (False, True), (False, True)):
        name = f"{shape}, ticks of {spacing}, seed {seed}, {flipped}, boundary {on_boundary}"
        market = against_a_deep_pool(
            name,
            positions,
            spacing=spacing,
            log_gain=ranges * spacing * LOG_TICK,
            flipped=flipped,
            on_boundary=on_boundary,
        )
        judge_only_cycle(name, market, tally)
    tally.judge()


@pytest.mark.parametrize("spacing", sorted(FEES))
def test_a_price_on_a_tick_is_the_same_from_both_sides(spacing: int) -> None:
    """Reached from above the pool's tick is the one below the price; nothing else differs."""
    liquidity = 10**15
    for number, positions in enumerate(
        ([(-20, 0, liquidity), (0, 20, 3 * liquidity)], [(-20, 0, liquidity)], [(0, 20, liquidity)])
    ):
        for price in (0.9, 1.1):
            tokens = (token(0), token(1))
            below, above = (
                market_of(
                    [
                        v3(
                            0,
                            tokens,
                            1.0,
                            positions,
                            FEES[spacing],
                            on_boundary=True,
                            from_above=from_above,
                        ),
                        v2(1, tokens, 10**20, int(10**20 * price), fee=500),
                    ]
                )
                for from_above in (False, True)
            )
            one, other = scanner(below, [token(0)]).scan, scanner(above, [token(0)]).scan
            assert one.open_cycles == other.open_cycles, (number, price)
            assert sizes(one) == sizes(other), (number, price)


def sizes(scan: Scan) -> list[tuple[int, int]]:
    return [(offer.amount_in, offer.profit) for offer in scan.opportunities]
