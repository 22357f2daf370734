"""Random markets of real pools, the events that change them, and brute force over them."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from dexarb.amm.tick_math import get_sqrt_ratio_at_tick, get_tick_at_sqrt_ratio
from dexarb.amm.uniswap_v2 import SYNC, UniswapV2Pool
from dexarb.amm.uniswap_v3 import UniswapV3Pool
from dexarb.amm.v3_events import BURN, INITIALIZE, MINT, SWAP
from dexarb.core.block import Block, BlockHash, BlockUpdate, Log
from dexarb.core.market import Keyframe, Market
from dexarb.core.pool import Pool
from dexarb.core.profile import ChainProfile
from dexarb.core.route import Cycle, CycleId, Hop
from dexarb.core.token import Address
from dexarb.search.result import HopWork
from dexarb.search.scan import Scan, Scanner

SPACINGS = {100: 1, 500: 10, 3000: 60, 10000: 200}
"""Tick spacing of each V3 fee tier, in pips."""


def address(kind: int, number: int) -> Address:
    return Address(f"0x{kind:02x}{number:038x}")


def token(number: int) -> Address:
    return address(0xAA, number)


def gas_units(hops: Sequence[HopWork]) -> int:
    return 50_000 + sum(80_000 + 20_000 * hop.crossed_ticks for hop in hops)


def v2(number: int, tokens: tuple[Address, Address], *reserves: int, fee: int = 3000) -> Pool:
    return UniswapV2Pool(
        address=address(2, number),
        token0=tokens[0],
        token1=tokens[1],
        reserve0=reserves[0],
        reserve1=reserves[1],
        fee_pips=fee,
    )


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
    ticks: dict[int, tuple[int, int]] = {}
    liquidity = 0
    for lower, upper, amount in positions:
        low, high = (middle + lower) * spacing, (middle + upper) * spacing
        for at, change in ((low, amount), (high, -amount)):
            gross, net = ticks.get(at, (0, 0))
            ticks[at] = gross + amount, net + change
        liquidity += amount if low <= tick < high else 0
    return UniswapV3Pool(
        address=address(3, number),
        token0=tokens[0],
        token1=tokens[1],
        fee_pips=fee,
        tick_spacing=spacing,
        sqrt_price_x96=sqrt_price_x96,
        tick=tick,
        liquidity=liquidity,
        ticks=ticks,
    )


def uninitialised(number: int, tokens: tuple[Address, Address]) -> UniswapV3Pool:
    """A pool that was created and has no price yet."""
    return UniswapV3Pool(
        address=address(3, number),
        token0=tokens[0],
        token1=tokens[1],
        fee_pips=3000,
        tick_spacing=60,
        sqrt_price_x96=0,
        tick=0,
        liquidity=0,
        ticks={},
    )


@dataclass(frozen=True)
class World:
    """values: by token, what its smallest unit is worth; pools trade near these."""

    values: dict[Address, float]
    rng: np.random.Generator

    @classmethod
    def of(cls, rng: np.random.Generator, tokens: int, *, log10_prices: float = 3.0) -> World:
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


def market_of(pools: Iterable[Pool]) -> Market:
    profile = ChainProfile(1, "test", "fee", token(0), token(0), {}, (), {}, 0)
    return Market(Keyframe(0, _block(0, "0", BlockHash("")), profile, (), tuple(pools)))


def _block(number: int, name: str, parent: BlockHash) -> Block:
    return Block(number, BlockHash(name), parent, 1_700_000_000 + number, 10**9, 0, 30_000_000)


def block_after(market: Market, name: str) -> Block:
    """The next block. Names are its hash, so they must not be used twice."""
    return _block(market.block.number + 1, name, market.block.hash)


def update_of(block: Block, logs: Iterable[Log]) -> BlockUpdate:
    return BlockUpdate(block.number, block, tuple(logs), ())


def next_block(market: Market, pools: Iterable[Pool], name: str | None = None) -> BlockUpdate:
    """The block after which these pools are in these states, reached with the same ticks."""
    block = block_after(market, name or f"{market.block.hash}.{market.block.number + 1}")
    return update_of(block, (swap_log(pool, index) for index, pool in enumerate(pools)))


def swap_log(pool: Pool, index: int) -> Log:
    """The event that leaves a pool in this state, reached from one with the same ticks."""
    if isinstance(pool, UniswapV2Pool):
        return Log(pool.address, (SYNC,), _words(pool.reserve0, pool.reserve1), index, index)
    assert isinstance(pool, UniswapV3Pool)
    data = _words(1, -1, pool.sqrt_price_x96, pool.liquidity, pool.tick)
    return Log(pool.address, (SWAP, bytes(32), bytes(32)), data, index, index)


def position_log(pool: Pool, lower: int, upper: int, liquidity: int, index: int) -> Log:
    """A mint, or with negative liquidity a burn. Owner and token amounts change no pool."""
    ticks = (_words(lower), _words(upper))
    if liquidity < 0:
        data = _words(-liquidity, 0, 0)
        return Log(pool.address, (BURN, bytes(32), *ticks), data, index, index)
    data = _words(0, liquidity, 0, 0)
    return Log(pool.address, (MINT, bytes(32), *ticks), data, index, index)


def initialize_log(pool: Pool, sqrt_price_x96: int) -> Log:
    data = _words(sqrt_price_x96, get_tick_at_sqrt_ratio(sqrt_price_x96))
    return Log(pool.address, (INITIALIZE,), data, 0, 0)


def _words(*values: int) -> bytes:
    return b"".join((value % 2**256).to_bytes(32, "big") for value in values)


def scanner(market: Market, starts: Sequence[Address], max_hops: int = 4) -> Scanner:
    return Scanner(market, start_tokens=starts, gas_units=gas_units, max_hops=max_hops)


def first_rate(pool: Pool, token_in: Address) -> float:
    """The marginal rate, read from the pool directly."""
    return next((s.rate for s in pool.segments(token_in) if s.rate > 0 and s.input_limit > 0), 0.0)


def all_cycles(pools: Iterable[Pool], max_hops: int) -> Iterator[Cycle]:
    """Every cycle that passes no token and no pool twice, once, in any rotation."""
    pools = list(pools)

    def extend(hops: tuple[Hop, ...]) -> Iterator[Cycle]:
        end, start = hops[-1].token_out, hops[0].token_in
        for pool in pools:
            if end not in pool.tokens or pool.key in {hop.pool for hop in hops}:
                continue
            (out,) = set(pool.tokens) - {end}
            if out == start:
                yield Cycle((*hops, Hop(pool.key, end, out)))
            elif len(hops) + 1 < max_hops and out not in {hop.token_in for hop in hops}:
                yield from extend((*hops, Hop(pool.key, end, out)))

    for pool in pools:
        for token_in, token_out in (pool.tokens, pool.tokens[::-1]):
            for cycle in extend((Hop(pool.key, token_in, token_out),)):
                if min(hop.token_in for hop in cycle.hops) == token_in:
                    yield cycle


def brute_force(
    pools: Iterable[Pool], start_tokens: Sequence[Address], max_hops: int
) -> dict[CycleId, tuple[Cycle, float]]:
    """The open cycles by id, from their first start token, with their marginal rates."""
    by_address = {pool.key: pool for pool in pools}
    found = {}
    for cycle in all_cycles(by_address.values(), max_hops):
        start = next((each for each in start_tokens if each in cycle.tokens), None)
        if start is None:
            continue
        turned = cycle.starting_at(start)
        rate = 1.0
        for hop in turned.hops:
            rate *= first_rate(by_address[hop.pool], hop.token_in)
        if rate > 1.0:
            assert turned.id not in found
            found[turned.id] = turned, rate
    return found


def rng_of(*about: object) -> np.random.Generator:
    """Seeded by what it is about."""
    return np.random.default_rng(
        int.from_bytes(hashlib.sha256(repr(about).encode()).digest()[:8], "big")
    )


def content(scan: Scan) -> tuple[object, ...]:
    """What two scans of the same market have in common, whatever the way there."""
    return scan.block, scan.opportunities, scan.open_cycles
