"""Real pools: made by hand, or at random around the worth of their tokens."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from dexarb.amm.tick_math import get_sqrt_ratio_at_tick, get_tick_at_sqrt_ratio
from dexarb.amm.uniswap_v2 import UniswapV2Pool
from dexarb.amm.uniswap_v3 import UniswapV3Pool
from dexarb.core.pool import Pool
from dexarb.core.token import Address

SPACINGS = {100: 1, 500: 10, 3000: 60, 10000: 200}
"""Tick spacing of each V3 fee tier, in pips."""


def rng_of(*about: object) -> np.random.Generator:
    """Seeded by what it is about."""
    return np.random.default_rng(
        int.from_bytes(hashlib.sha256(repr(about).encode()).digest()[:8], "big")
    )


def address(kind: int, number: int) -> Address:
    return Address(f"0x{kind:02x}{number:038x}")


def token(number: int) -> Address:
    return address(0xAA, number)


def v2_pool(
    at: str, tokens: Sequence[Address], *reserves: int, fee: int = 3000, dex: str = ""
) -> UniswapV2Pool:
    return UniswapV2Pool(
        address=Address(at),
        token0=tokens[0],
        token1=tokens[1],
        reserve0=reserves[0],
        reserve1=reserves[1],
        fee_pips=fee,
        dex=dex,
    )


def v3_pool(
    at: str,
    tokens: Sequence[Address],
    sqrt_price_x96: int,
    tick: int,
    positions: Iterable[tuple[int, int, int]],
    *,
    fee: int = 3000,
    spacing: int | None = None,
    dex: str = "",
) -> UniswapV3Pool:
    """positions: (lower tick, upper tick, liquidity); overlapping ones add up."""
    ticks: dict[int, tuple[int, int]] = {}
    liquidity = 0
    for lower, upper, amount in positions:
        for boundary, change in ((lower, amount), (upper, -amount)):
            gross, net = ticks.get(boundary, (0, 0))
            ticks[boundary] = gross + amount, net + change
        liquidity += amount if lower <= tick < upper else 0
    return UniswapV3Pool(
        address=Address(at),
        token0=tokens[0],
        token1=tokens[1],
        fee_pips=fee,
        tick_spacing=spacing or SPACINGS[fee],
        sqrt_price_x96=sqrt_price_x96,
        tick=tick,
        liquidity=liquidity,
        ticks=ticks,
        dex=dex,
    )


def v2(number: int, tokens: tuple[Address, Address], *reserves: int, fee: int = 3000) -> Pool:
    return v2_pool(address(2, number), tokens, *reserves, fee=fee)


def v3(
    number: int,
    tokens: tuple[Address, Address],
    price: float,
    positions: Iterable[tuple[int, int, int]],
    fee: int = 3000,
    *,
    spacing: int | None = None,
    on_boundary: bool = False,
    from_above: bool = False,
) -> UniswapV3Pool:
    """price: token1 per token0 in smallest units. positions: (lower, upper, liquidity), in units of
    the tick spacing from the tick of the price; overlapping ones add up.

    on_boundary: move the price down to that tick exactly; from_above: as a swap that came from
    above leaves it, in the tick below.
    """
    spacing = spacing or SPACINGS[fee]
    sqrt_price_x96 = int(math.sqrt(price) * 2.0**96)
    middle = get_tick_at_sqrt_ratio(sqrt_price_x96) // spacing
    if on_boundary:
        sqrt_price_x96 = get_sqrt_ratio_at_tick(middle * spacing)
    tick = get_tick_at_sqrt_ratio(sqrt_price_x96) - from_above
    at_ticks = [
        ((middle + lower) * spacing, (middle + upper) * spacing, amount)
        for lower, upper, amount in positions
    ]
    at = address(3, number)
    return v3_pool(at, tokens, sqrt_price_x96, tick, at_ticks, fee=fee, spacing=spacing)


def uninitialised(number: int, tokens: tuple[Address, Address]) -> UniswapV3Pool:
    """A pool that was created and has no price yet."""
    return v3_pool(address(3, number), tokens, 0, 0, ())


@dataclass(frozen=True)
class RandomPools:
    """values: by token, what its smallest unit is worth; pools trade near these."""

    values: dict[Address, float]
    rng: np.random.Generator

    @classmethod
    def of(cls, rng: np.random.Generator, tokens: int, *, log10_prices: float = 3.0) -> RandomPools:
        decimals = rng.choice([6, 8, 18], tokens)
        prices = 10.0 ** rng.uniform(-log10_prices, log10_prices, tokens)
        values = {token(i): float(prices[i] / 10.0 ** decimals[i]) for i in range(tokens)}
        return cls(values, rng)

    def pool(
        self,
        number: int,
        tokens: tuple[Address, Address],
        *,
        kind: int = 2,
        noise: float = 0.02,
        value: float | None = None,
    ) -> Pool:
        """A pool that holds about `value` of each token, priced off by about `noise`."""
        rng = self.rng
        value = value or float(10.0 ** rng.uniform(3, 7))
        price = self.values[tokens[0]] / self.values[tokens[1]] * math.exp(rng.normal(0, noise))
        if kind == 2:
            root = value / math.sqrt(self.values[tokens[0]] * self.values[tokens[1]])
            reserves = (max(1, int(root / math.sqrt(price))), max(1, int(root * math.sqrt(price))))
            return v2(number, tokens, *reserves, fee=int(rng.choice([500, 2000, 3000])))
        fee = int(rng.choice(list(SPACINGS)))
        root = value / math.sqrt(self.values[tokens[0]] * self.values[tokens[1]])
        return v3(number, tokens, price, self.positions(root), fee)

    def positions(self, root: float) -> list[tuple[int, int, int]]:
        """Wide and narrow ones around and beside the price, with gaps between."""
        rng = self.rng
        found = []
        for _ in range(int(rng.integers(1, 7))):
            lower = int(rng.integers(-30, 20))
            width = int(rng.integers(1, 40))
            found.append((lower, lower + width, max(1, int(root * 10.0 ** rng.uniform(0, 2)))))
        return found

    def pools(self, count: int, *, v3_share: float = 0.5, noise: float = 0.02) -> list[Pool]:
        names = sorted(self.values)
        pools = []
        for number in range(count):
            i, j = sorted(self.rng.choice(len(names), 2, replace=False).tolist())
            kind = 3 if self.rng.random() < v3_share else 2
            pools.append(self.pool(number, (names[i], names[j]), kind=kind, noise=noise))
        return pools
