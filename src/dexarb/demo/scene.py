"""What the traders see before a block: pools as the last block left them, and fair prices."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from random import Random
from typing import Protocol

from dexarb.core.pool import PIPS, Pool, PoolKey
from dexarb.core.token import Address, Token
from dexarb.core.units import GWEI
from dexarb.demo.mining import Mined, TransactionRequest
from dexarb.demo.world import NUMERAIRE, WRAPPED_NATIVE, DeployedPool, World

VOLATILITY_BPS = {"WETH": 1.3, "WBTC": 1.1, "WMATIC": 1.8}
"""Standard deviation of a block's move; 1.3 bps a second are 73 % a year."""
OTHER_VOLATILITY_BPS = 2.5
JUMP_PROBABILITY = 0.012
JUMP_BPS = (25.0, 70.0)


class FairPrices:
    """What each token is worth in USD, as if on exchanges elsewhere: a random walk with jumps."""

    def __init__(self, world: World, random: Random) -> None:
        self._random = random
        self._symbols = [plan.symbol for plan in world.plan.tokens if plan.symbol != NUMERAIRE]
        self.usd = {plan.symbol: plan.price_usd for plan in world.plan.tokens}

    def step(self) -> None:
        """Move on by one block."""
        for symbol in self._symbols:
            bps = self._random.gauss(0.0, VOLATILITY_BPS.get(symbol, OTHER_VOLATILITY_BPS))
            if self._random.random() < JUMP_PROBABILITY:
                bps += self._random.choice((-1.0, 1.0)) * self._random.uniform(*JUMP_BPS)
            self.usd[symbol] *= math.exp(bps / 10_000)


@dataclass(frozen=True)
class Scene:
    """The end of a block as everyone sees it. Prices in USD per whole token."""

    world: World
    pools: Mapping[PoolKey, Pool]
    usd: Mapping[str, float]

    @cached_property
    def deviations_bps(self) -> Mapping[PoolKey, float]:
        """How far each pool's price of its base token lies above the fair one (log scale)."""
        return {deployed.key: self._deviation_bps(deployed) for deployed in self.world.all_pools}

    def _deviation_bps(self, deployed: DeployedPool) -> float:
        base, quote = self.sides(deployed)
        segment = next(self.pools[deployed.key].segments(base.address), None)
        if segment is None:
            return 0.0
        price = segment.rate / (1 - deployed.fee_pips / PIPS)
        price *= 10.0 ** (base.decimals - quote.decimals)
        return 10_000 * math.log(price * self.usd[quote.symbol] / self.usd[base.symbol])

    def sides(self, deployed: DeployedPool) -> tuple[Token, Token]:
        """Base and quote token."""
        return self.world.tokens[deployed.plan.base], self.world.tokens[deployed.plan.quote]

    def value_usd(self, token: Token, amount: int) -> float:
        return amount / 10.0**token.decimals * self.usd[token.symbol]

    def amount_of(self, token: Token, usd: float) -> int:
        return round(usd / self.usd[token.symbol] * 10.0**token.decimals)

    def native_wei(self, usd: float) -> int:
        """An amount of money in the coin that pays for gas."""
        return self.amount_of(self.world.tokens[WRAPPED_NATIVE], usd)


class Actor(Protocol):
    """Somebody who sends transactions.

    act: what to send into the next block. pending: what others have already decided to send.
    observe: what became of the block.
    """

    def act(
        self, scene: Scene, pending: Sequence[TransactionRequest]
    ) -> list[TransactionRequest]: ...

    def observe(self, mined: Mined) -> None: ...


def amount_to_move(pool: Pool, token_in: Address, bps: float) -> int:
    """How much of token_in lowers its price in the pool by this many basis points (log scale).

    Selling x on a segment multiplies the price by 1 / (1 + depth·x)², so the square root of the
    wanted factor is used up segment by segment. Stops where the liquidity ends.
    """
    wanted = math.exp(bps / 20_000)
    total = 0.0
    for segment in pool.segments(token_in):
        reach = 1.0 + segment.depth * segment.input_limit
        if wanted <= reach:
            return int(total + (wanted - 1.0) / segment.depth)
        total += segment.input_limit
        wanted /= reach
    return int(total)


def choose_fee(random: Random, *, least_gwei: float, mean_above_gwei: float) -> int:
    """A priority fee in wei per gas: a floor and an exponential tail, as wallets produce it."""
    return int((least_gwei + random.expovariate(1.0 / mean_above_gwei)) * GWEI)
