"""Small markets in which pools of three tokens stand beside pools of two."""

from __future__ import annotations

import numpy as np

from dexarb.core.market import Market
from dexarb.core.pool import Pool
from dexarb.core.token import Address
from tests.support.worlds.blocks import market_of
from tests.support.worlds.pools import address, token, v2, v3
from tests.toy.kind import ToyPool

VAULT = address(0x70, 1)


def toy(number: int, tokens: tuple[Address, ...], reserves: tuple[int, ...]) -> ToyPool:
    """Its last swap was twenty seconds before the market's block."""
    return ToyPool(
        vault=VAULT,
        id=number,
        tokens=tokens,
        reserves=reserves,
        fee=500,
        surge=9_000,
        last_swap=1_700_000_000 - 20,
        dex="Toy",
    )


def market_with_toys(rng: np.random.Generator, root: float, noise: float) -> Market:
    """Two toy pools over four tokens of different worth, three V2 pairs and a V3 pool."""
    values = 10.0 ** rng.uniform(-0.5, 0.5, 4)
    pools: list[Pool] = []
    for number, places in enumerate(((0, 1, 2), (3, 1, 0)), start=1):
        off = np.exp(rng.normal(0, noise, 3))
        reserves = tuple(max(1, int(root * off[i] / values[at])) for i, at in enumerate(places))
        pools.append(toy(number, tuple(map(token, places)), reserves))
    for number, (one, other) in enumerate(((0, 1), (1, 2), (2, 3)), start=1):
        off = np.exp(rng.normal(0, noise, 2))
        sides = (root * off[0] / values[one], root * off[1] / values[other])
        pools.append(v2(number, (token(one), token(other)), *(max(1, int(s)) for s in sides)))
    price = float(values[0] / values[3] * np.exp(rng.normal(0, noise)))
    pools.append(v3(1, (token(0), token(3)), price, [(-30, 30, int(20 * root))], 500))
    return market_of(pools)
