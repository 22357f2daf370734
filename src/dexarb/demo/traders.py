"""Those who swap: retail traders, a few who know the fair price, and now and then a whale."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from random import Random
from typing import ClassVar

from dexarb.core.pool import SwapResult
from dexarb.core.token import Address, Token
from dexarb.demo import calls
from dexarb.demo.mining import Mined, Sale, TransactionRequest
from dexarb.demo.scene import Scene, amount_to_move, choose_fee
from dexarb.demo.world import DFYN, NO_DEADLINE, DeployedPool, World
from dexarb.errors import PoolError

SWAP_GAS = 900_000
"""Gas limit of a swap that may cross many ticks."""

RETAIL, INFORMED, WHALE = "retail", "informed", "whale"

_LONG_AGO = 1
"""A deadline that has passed: the transaction was stuck in somebody's wallet."""


class Retail:
    """Many small swaps, most of them where the price is good: so they hold pools together."""

    TRADES_A_BLOCK = 4.0
    MEDIAN_USD = 450.0
    SPREAD_OF_SIZES = 1.1
    """Standard deviation of the logarithm of the size."""
    LARGEST_MOVE_BPS = 12.0
    AGGREGATED = 0.4
    """Share of the swaps that an aggregator sends to the pair's best pool."""
    ATTRACTED = 0.85
    """Share of the swaps that a good price drew: they sell what some pool pays too much for."""
    EXACT_OUT = 0.15
    EXPIRED = 0.01
    LEGACY = 0.3
    PRIVATE = 0.015
    """Share of the swaps that a wallet hands to the builder alone."""
    TOLERANCES_BPS = (2, 5, 10, 30, 50, 100)

    def __init__(self, world: World, random: Random) -> None:
        self._world, self._random = world, random
        self._by_pair = {
            pair: [pool for pool in world.all_pools if (pool.plan.base, pool.plan.quote) == pair]
            for pair in world.pairs
        }

    def act(self, scene: Scene, pending: Sequence[TransactionRequest]) -> list[TransactionRequest]:
        del pending
        count = _poisson(self._random, self.TRADES_A_BLOCK)
        requests = (self._trade(scene) for _ in range(count))
        return [request for request in requests if request is not None]

    def observe(self, mined: Mined) -> None:
        """They never look back."""

    def _trade(self, scene: Scene) -> TransactionRequest | None:
        random = self._random
        pools = self._by_pair[random.choice(self._world.pairs)]
        pool = random.choice(pools)
        token_in, token_out = self._direction(scene, pool)
        usd = self.MEDIAN_USD * math.exp(random.gauss(0.0, self.SPREAD_OF_SIZES))
        amount_in = scene.amount_of(token_in, usd)
        if random.random() < self.AGGREGATED:
            pool = max(pools, key=lambda one: _output(scene, one, token_in, amount_in))
        most = amount_to_move(scene.pools[pool.key], token_in.address, self.LARGEST_MOVE_BPS)
        amount_in = min(amount_in, most)
        quote = _quote(scene, pool, token_in, amount_in)
        if quote is None or not quote.amount_out:
            return None
        sender = random.choice(self._world.accounts.retail)
        tolerance = random.choice(self.TOLERANCES_BPS)
        if random.random() < self.EXACT_OUT:
            most_in = quote.amount_in * (10_000 + tolerance) // 10_000
            to, data = calls.buy(
                self._world,
                pool,
                token_out.address,
                amount_out=quote.amount_out,
                most_in=most_in,
                recipient=sender,
            )
        else:
            least_out = quote.amount_out * (10_000 - tolerance) // 10_000
            deadline = _LONG_AGO if random.random() < self.EXPIRED else NO_DEADLINE
            to, data = calls.sell(
                self._world,
                pool,
                token_in.address,
                amount_in=amount_in,
                least_out=least_out,
                recipient=sender,
                deadline=deadline,
            )
        return TransactionRequest(
            purpose=RETAIL,
            sender=sender,
            to=to,
            data=data,
            gas=SWAP_GAS,
            priority_fee=choose_fee(random, least_gwei=25.0, mean_above_gwei=8.0),
            legacy=random.random() < self.LEGACY,
            private=random.random() < self.PRIVATE,
        )

    def _direction(self, scene: Scene, pool: DeployedPool) -> tuple[Token, Token]:
        """What to sell and what to buy."""
        base, quote = scene.sides(pool)
        if self._random.random() < self.ATTRACTED:
            return (base, quote) if scene.deviations_bps[pool.key] > 0 else (quote, base)
        return self._random.choice(((base, quote), (quote, base)))


class Informed:
    """Knows the fair price and trades pools towards it, as far as their fees make it pay."""

    ATTENTION = 0.12
    """Probability to look at a pool in a block. There are several of them, so pools that are
    off stay so for some blocks; where two look at once, the slower one mostly reverts."""
    MARGIN_BPS = 3.0
    SHARE = (0.75, 1.0)
    """How much of the way to the edge of the fees is traded."""

    def __init__(self, world: World, random: Random, account: int) -> None:
        self._world, self._random = world, random
        self._sender = world.accounts.informed[account]

    def act(self, scene: Scene, pending: Sequence[TransactionRequest]) -> list[TransactionRequest]:
        del pending
        requests = []
        for pool in self._world.all_pools:
            if self._random.random() >= self.ATTENTION:
                continue
            deviation = scene.deviations_bps[pool.key]
            excess = abs(deviation) - pool.fee_pips / 100 - self.MARGIN_BPS
            if excess > 0:
                base, quote = scene.sides(pool)
                token_in = base if deviation > 0 else quote
                request = _move(
                    scene,
                    pool,
                    token_in,
                    excess * self._random.uniform(*self.SHARE),
                    tolerance_bps=self._random.choice((5, 10, 20)),
                    purpose=INFORMED,
                    sender=self._sender,
                    priority_fee=choose_fee(self._random, least_gwei=32.0, mean_above_gwei=20.0),
                )
                if request is not None:
                    requests.append(request)
        return requests

    def observe(self, mined: Mined) -> None:
        """The pools tell everything."""


class Whale:
    """Seldom trades, and then so much in one pool that its price is well off the others'."""

    BLOCKS_BETWEEN = (2, 7)
    MOVE_BPS = (60.0, 180.0)
    WEIGHTS: ClassVar = {
        ("WETH", "USDC"): 5.0,
        ("WMATIC", "USDC"): 5.0,
        ("WBTC", "USDC"): 3.0,
        ("LINK", "USDC"): 2.0,
    }
    """How often a pair is chosen, to others' 1."""
    PREFERRED: ClassVar = {DFYN: 3.0}
    """How often a DEX is, among a pair's pools, to others' 1."""
    PRIVATE = 0.15
    """Share of the trades that go to the builder alone, so that nobody can stand around them."""

    def __init__(self, world: World, random: Random) -> None:
        self._world, self._random = world, random
        self._wait = random.randint(*self.BLOCKS_BETWEEN)
        pairs = [(pool.plan.base, pool.plan.quote) for pool in world.all_pools]
        self._weights = [
            self.WEIGHTS.get(pair, 1.0) / pairs.count(pair) * self.PREFERRED.get(pool.dex, 1.0)
            for pool, pair in zip(world.all_pools, pairs, strict=True)
        ]

    def act(self, scene: Scene, pending: Sequence[TransactionRequest]) -> list[TransactionRequest]:
        del pending
        random = self._random
        self._wait -= 1
        if self._wait > 0:
            return []
        self._wait = random.randint(*self.BLOCKS_BETWEEN)
        (pool,) = random.choices(self._world.all_pools, self._weights)
        request = _move(
            scene,
            pool,
            random.choice(scene.sides(pool)),
            random.uniform(*self.MOVE_BPS),
            tolerance_bps=random.choice((30, 50, 100)),
            purpose=WHALE,
            sender=random.choice(self._world.accounts.whales),
            priority_fee=choose_fee(random, least_gwei=28.0, mean_above_gwei=12.0),
        )
        if request is None:
            return []
        return [replace(request, private=random.random() < self.PRIVATE)]

    def observe(self, mined: Mined) -> None:
        """Whales do not care what their trades cost."""


def _move(
    scene: Scene,
    pool: DeployedPool,
    token_in: Token,
    bps: float,
    *,
    tolerance_bps: int,
    purpose: str,
    sender: Address,
    priority_fee: int,
) -> TransactionRequest | None:
    """A swap that lowers token_in's price in the pool by this much."""
    amount_in = amount_to_move(scene.pools[pool.key], token_in.address, bps)
    quote = _quote(scene, pool, token_in, amount_in)
    if quote is None or not quote.amount_out:
        return None
    least_out = quote.amount_out * (10_000 - tolerance_bps) // 10_000
    to, data = calls.sell(
        scene.world,
        pool,
        token_in.address,
        amount_in=amount_in,
        least_out=least_out,
        recipient=sender,
    )
    return TransactionRequest(
        purpose=purpose,
        sender=sender,
        to=to,
        data=data,
        gas=SWAP_GAS,
        priority_fee=priority_fee,
        sale=Sale(pool.key, token_in.address, amount_in),
    )


def _quote(scene: Scene, pool: DeployedPool, token_in: Token, amount_in: int) -> SwapResult | None:
    try:
        return scene.pools[pool.key].swap(token_in.address, amount_in)
    except PoolError:
        return None


def _output(scene: Scene, pool: DeployedPool, token_in: Token, amount_in: int) -> int:
    quote = _quote(scene, pool, token_in, amount_in)
    return quote.amount_out if quote is not None else 0


def _poisson(random: Random, mean: float) -> int:
    """Knuth's way: how many exponential waits fit into one block."""
    count, waited = 0, random.expovariate(mean)
    while waited < 1.0:
        count += 1
        waited += random.expovariate(mean)
    return count
