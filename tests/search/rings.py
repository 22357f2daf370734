"""Markets of one cycle: pools around a ring of tokens, priced so that going round gains."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from dexarb.core.market import Market
from dexarb.core.pool import PIPS, Pool
from tests.support.worlds.blocks import market_of
from tests.support.worlds.pools import SPACINGS, token, v2, v3

Positions = list[tuple[int, int, int]]
Shape = Callable[[np.random.Generator, float], Positions]
"""V3 positions, in units of the tick spacing from the price, of about this liquidity."""


def ring(
    rng: np.random.Generator,
    values: Sequence[float],
    shapes: Sequence[Shape | None],
    roots: Sequence[float],
    log_gain: float,
    *,
    fees: Sequence[int] = tuple(SPACINGS),
    on_boundary: bool = False,
) -> Market:
    """Pool i leads from token i to the next one, and the last one back to token 0.

    values: what the tokens' smallest units are worth. shapes: None for a V2 pool. roots: by pool,
    the geometric mean of its V2 reserves, or about its V3 liquidity. log_gain: the logarithm of the
    marginal rate around the ring, as far as pools are in range. on_boundary: V3 prices are on a
    tick, as reached from below or from above.
    """
    pools: list[Pool] = []
    for i, (shape, root) in enumerate(zip(shapes, roots, strict=True)):
        tail, tip = i, (i + 1) % len(values)
        fee = int(rng.choice(fees))
        rate = values[tail] / values[tip] * math.exp(log_gain / len(shapes)) * PIPS / (PIPS - fee)
        tokens = (token(min(tail, tip)), token(max(tail, tip)))
        price = rate if tail < tip else 1 / rate
        if shape is None:
            sides = (root / math.sqrt(price), root * math.sqrt(price))
            pools.append(v2(i, tokens, *(max(1, int(side)) for side in sides), fee=fee))
        else:
            from_above = on_boundary and bool(rng.integers(2))
            pools.append(
                v3(
                    i,
                    tokens,
                    price,
                    shape(rng, root),
                    fee,
                    on_boundary=on_boundary,
                    from_above=from_above,
                )
            )
    return market_of(pools)


def amount(rng: np.random.Generator, root: float, decades: float) -> int:
    """Liquidity between root and so many powers of ten more."""
    return max(1, int(root * 10.0 ** rng.uniform(0, decades)))


def scattered(rng: np.random.Generator, root: float) -> Positions:
    """Wide and narrow ones around and beside the price, with gaps between."""
    lowers = rng.integers(-30, 20, int(rng.integers(1, 7)))
    return [(int(low), int(low + rng.integers(1, 40)), amount(rng, root, 2)) for low in lowers]


def one_by_one(reach: int, decades: float) -> Shape:
    """A position in every range up to `reach` on both sides, thin ones beside thick ones."""

    def positions(rng: np.random.Generator, root: float) -> Positions:
        return [(at, at + 1, amount(rng, root, decades)) for at in range(-reach, reach)]

    return positions


def with_gaps(reach: int, decades: float) -> Shape:
    """Runs of one to three ranges with liquidity, and of one to four without, also at the price."""

    def positions(rng: np.random.Generator, root: float) -> Positions:
        found, at = [], -reach
        while at < reach:
            run = int(rng.integers(1, 4))
            found.append((at, at + run, amount(rng, root, decades)))
            at += run + int(rng.integers(1, 5))
        return found

    return positions


def beyond_a_gap(gap: int, reach: int) -> Shape:
    """Out of range: nothing within `gap` of the price, then one position on each side."""

    def positions(rng: np.random.Generator, root: float) -> Positions:
        return [
            (-gap - reach, -gap, amount(rng, root, 1)),
            (gap, gap + reach, amount(rng, root, 1)),
        ]

    return positions


def up_to_the_price(reach: int) -> Shape:
    """Two positions that meet exactly at the price, of different liquidity."""

    def positions(rng: np.random.Generator, root: float) -> Positions:
        return [(-reach, 0, amount(rng, root, 2)), (0, reach, amount(rng, root, 2))]

    return positions


def narrow(reach: int) -> Shape:
    """One position around the price, and nothing beyond: the pool can run dry."""

    def positions(rng: np.random.Generator, root: float) -> Positions:
        return [(-reach, reach, amount(rng, root, 1))]

    return positions
