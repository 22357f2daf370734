"""A market with realistic hubs, for the benchmarks: most tokens trade against a few."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from dexarb.amm.tick_math import get_tick_at_sqrt_ratio
from dexarb.amm.uniswap_v2 import UniswapV2Pool
from dexarb.amm.uniswap_v3 import UniswapV3Pool
from dexarb.core.market import Market
from dexarb.core.pool import PIPS, Pool
from dexarb.core.token import Address
from tests.support.worlds.blocks import market_of
from tests.support.worlds.pools import token, v2, v3

HUBS = 4
FEES = (500, 3000, 10000)


@dataclass
class HubMarket:
    """Prices lie within 0.4 of the fee around a common value, so that nothing is open at first.

    6 % of the pools join two hubs, 88 % a hub and another token, the rest two other tokens; tokens
    are chosen by a power law. 40 % are V3, with 3 to 12 positions.
    """

    pools: list[Pool]
    values: dict[Address, float]
    rng: np.random.Generator

    @classmethod
    def of(cls, pools: int, tokens: int, seed: int = 1) -> HubMarket:
        rng = np.random.default_rng(seed)
        names = [token(number) for number in range(tokens)]
        decimals = rng.choice([6, 8, 18, 18, 18], tokens)
        values = {
            name: float(10.0 ** (rng.uniform(-3, 3) - places))
            for name, places in zip(names, decimals, strict=True)
        }
        market = cls([], values, rng)
        weights = 1.0 / np.arange(1, tokens - HUBS + 1) ** 0.7
        weights /= weights.sum()
        for number in range(pools):
            kind = rng.random()
            if kind < 0.06:
                pair = rng.choice(HUBS, 2, replace=False)
            elif kind < 0.94:
                hub = rng.choice(HUBS, p=[0.5, 0.25, 0.15, 0.1])
                pair = np.array([hub, HUBS + rng.choice(tokens - HUBS, p=weights)])
            else:
                pair = HUBS + rng.choice(tokens - HUBS, 2, replace=False, p=weights)
            low, high = sorted(pair.tolist())
            market.pools.append(market._pool(number, names[low], names[high]))
        return market

    @property
    def start_tokens(self) -> tuple[Address, ...]:
        return tuple(token(number) for number in range(HUBS))

    def market(self) -> Market:
        return market_of(self.pools)

    def blocks(self, touched: int, opened: int, seed: int = 7) -> Iterator[list[Pool]]:
        """Pools touched block by block, in their new states, without an end.

        `opened` of them are moved by 1 to 2 fees, so that cycles open; the next block brings these
        back, as arbitrage does. The others move by a normal deviation of 0.15 fees.
        """
        rng = np.random.default_rng(seed)
        away: list[int] = []
        while True:
            chosen = [int(n) for n in rng.permutation(len(self.pools)) if n not in away]
            calm = [*away, *chosen[opened : touched - len(away)]]
            away = chosen[:opened]
            fees = [0.15 * float(rng.normal()) for _ in calm]
            fees += [float(rng.choice((-1, 1)) * rng.uniform(1, 2)) for _ in away]
            yield [self.moved(self.pools[n], by) for n, by in zip(calm + away, fees, strict=True)]

    @staticmethod
    def moved(pool: Pool, fees: float) -> Pool:
        """The pool with its price moved by so many fees."""
        factor = math.exp(fees * pool.fee_pips / PIPS)
        if isinstance(pool, UniswapV2Pool):
            return UniswapV2Pool(
                address=pool.address,
                token0=pool.token0,
                token1=pool.token1,
                reserve0=round(pool.reserve0 / math.sqrt(factor)),
                reserve1=round(pool.reserve1 * math.sqrt(factor)),
                fee_pips=pool.fee_pips,
            )
        assert isinstance(pool, UniswapV3Pool)
        root = int(pool.sqrt_price_x96 * math.sqrt(factor))
        tick = get_tick_at_sqrt_ratio(root)
        liquidity = sum(net for at, (_, net) in pool.ticks.items() if at <= tick)
        return UniswapV3Pool(
            address=pool.address,
            token0=pool.token0,
            token1=pool.token1,
            fee_pips=pool.fee_pips,
            tick_spacing=pool.tick_spacing,
            sqrt_price_x96=root,
            tick=tick,
            liquidity=liquidity,
            ticks=pool.ticks,
        )

    def _pool(self, number: int, token0: Address, token1: Address) -> Pool:
        rng = self.rng
        fee = int(rng.choice(FEES)) if rng.random() < 0.4 else 0
        off = rng.uniform(-0.4, 0.4) * (fee or 3000) / PIPS
        price = self.values[token0] / self.values[token1] * math.exp(off)
        worth = 10.0 ** rng.uniform(4, 7)
        root = worth / math.sqrt(self.values[token0] * self.values[token1])
        if not fee:
            reserves = round(root / math.sqrt(price)) + 1, round(root * math.sqrt(price)) + 1
            return v2(number, (token0, token1), *reserves)
        return v3(
            number,
            (token0, token1),
            price,
            [
                (-int(below), int(above), int(root * scale) + 1)
                for below, above, scale in zip(
                    rng.integers(1, 40, 12), rng.integers(1, 40, 12), rng.uniform(1, 20, 12),
                    strict=True,
                )
            ][: int(rng.integers(3, 13))],
            fee,
        )  # fmt: skip
