"""A market with realistic hubs, for the benchmarks: most tokens trade against a few."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from dexarb.amm.tick_math import get_tick_at_sqrt_ratio
from dexarb.amm.uniswap_v2 import SYNC, UniswapV2Pool
from dexarb.amm.uniswap_v3 import UniswapV3Pool
from dexarb.amm.v3_events import SWAP
from dexarb.core.block import Block, BlockHash, BlockUpdate, Log
from dexarb.core.market import Keyframe, Market
from dexarb.core.pool import PIPS, Pool
from dexarb.core.profile import ChainProfile
from dexarb.core.token import Address

HUBS = 4
SPACINGS = {500: 10, 3000: 60, 10000: 200}


def address(kind: int, number: int) -> Address:
    return Address(f"0x{kind:02x}{number:038x}")


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
        names = [address(0xAA, number) for number in range(tokens)]
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
        return tuple(address(0xAA, number) for number in range(HUBS))

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
        fee = int(rng.choice(list(SPACINGS))) if rng.random() < 0.4 else 0
        off = rng.uniform(-0.4, 0.4) * (fee or 3000) / PIPS
        price = self.values[token0] / self.values[token1] * math.exp(off)
        worth = 10.0 ** rng.uniform(4, 7)
        root = worth / math.sqrt(self.values[token0] * self.values[token1])
        if not fee:
            return UniswapV2Pool(
                address=address(2, number),
                token0=token0,
                token1=token1,
                reserve0=round(root / math.sqrt(price)) + 1,
                reserve1=round(root * math.sqrt(price)) + 1,
            )
        return v3_pool(
            address(3, number),
            (token0, token1),
            fee,
            price,
            [
                (-int(below), int(above), int(root * scale) + 1)
                for below, above, scale in zip(
                    rng.integers(1, 40, 12), rng.integers(1, 40, 12), rng.uniform(1, 20, 12),
                    strict=True,
                )
            ][: int(rng.integers(3, 13))],
        )  # fmt: skip


def market_of(pools: Iterable[Pool]) -> Market:
    block = Block(0, BlockHash("0x0"), BlockHash(""), 1_700_000_000, 10**9, 0, 30_000_000)
    gas_token = address(0xAA, 0)
    profile = ChainProfile(1, "bench", "fee", gas_token, gas_token, {}, (), {}, 0)
    return Market(Keyframe(0, block, profile, (), tuple(pools)))


def v3_pool(
    at: Address,
    tokens: tuple[Address, Address],
    fee: int,
    price: float,
    positions: Iterable[tuple[int, int, int]],
) -> UniswapV3Pool:
    """positions: lower and upper in tick spacings from the price, and liquidity."""
    spacing = SPACINGS[fee]
    root = int(math.sqrt(price) * 2.0**96)
    tick = get_tick_at_sqrt_ratio(root)
    ticks: dict[int, tuple[int, int]] = {}
    for lower, upper, liquidity in positions:
        for edge, change in ((lower, liquidity), (upper, -liquidity)):
            where = (tick // spacing + edge) * spacing
            gross, net = ticks.get(where, (0, 0))
            ticks[where] = gross + liquidity, net + change
    return UniswapV3Pool(
        address=at,
        token0=tokens[0],
        token1=tokens[1],
        fee_pips=fee,
        tick_spacing=spacing,
        sqrt_price_x96=root,
        tick=tick,
        liquidity=sum(net for edge, (_, net) in ticks.items() if edge <= tick),
        ticks=ticks,
    )


def block_of(market: Market, pools: Iterable[Pool]) -> BlockUpdate:
    """The next block, after which these pools are in these states."""
    number = market.block.number + 1
    logs = []
    for index, pool in enumerate(pools):
        if isinstance(pool, UniswapV2Pool):
            topics: tuple[bytes, ...] = (SYNC,)
            words = [pool.reserve0, pool.reserve1]
        else:
            assert isinstance(pool, UniswapV3Pool)
            topics = (SWAP, bytes(32), bytes(32))
            words = [1, 2**256 - 1, pool.sqrt_price_x96, pool.liquidity, pool.tick % 2**256]
        data = b"".join(word.to_bytes(32, "big") for word in words)
        logs.append(Log(pool.address, topics, data, index, index))
    parent = market.block.hash
    own = BlockHash(f"{parent}.{number}")
    block = Block(number, own, parent, 1_700_000_000 + number, 10**9, 0, 30_000_000)
    return BlockUpdate(number, block, tuple(logs), ())
