"""Liquidity providers: they mint and burn on both kinds of pools, and follow the price."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from dexarb.amm import UniswapV2Pool, UniswapV3Pool
from dexarb.chain.bootstrap import abi
from dexarb.chain.decode import EventLog
from dexarb.core.token import Address
from dexarb.demo.artifacts import contract, topic
from dexarb.demo.calls import Target
from dexarb.demo.mining import Mined, TransactionRequest
from dexarb.demo.scene import Scene, choose_fee
from dexarb.demo.world import NO_DEADLINE, V2, V3, V3_TIERS, DeployedPool, World

LIQUIDITY = "liquidity"
GAS = 900_000
MAX_UINT128 = 2**128 - 1
TICK_END = 887_272

_TRANSFER = topic("Transfer(address,address,uint256)")
_INCREASE = topic("IncreaseLiquidity(uint256,uint128,uint256,uint256)")


@dataclass(frozen=True, slots=True)
class LiquidityPosition:
    """A V3 position of ours, as minted by us."""

    token_id: int
    pool: DeployedPool
    tick_lower: int
    tick_upper: int
    liquidity: int


@dataclass(frozen=True, slots=True)
class _Minting:
    """A mint on its way: its receipt will tell id and liquidity."""

    pool: DeployedPool
    tick_lower: int
    tick_upper: int


class Provider:
    """Opens narrow and wide positions around the price and closes those that it has left.

    Adds and removes V2 liquidity in equal measure, so that no pool grows or dries up for good.
    """

    MINT_V3 = 0.05
    BURN_V3 = 0.05
    MINT_V2 = 0.025
    BURN_V2 = 0.025
    SHARE = (0.004, 0.03)
    """Money in a mint, as a share of what the pool was planned with."""
    WIDTHS = (2, 80)
    """Of new V3 positions on either side of the price, in tick spacings."""
    TOLERANCES = (0.999, 0.99, 0.9)
    """Least amounts of a mint, as a share of what is offered; the first one fails at times."""

    def __init__(self, world: World, random: Random, account: int) -> None:
        self._world, self._random = world, random
        self._account = world.accounts.providers[account]
        self._v3 = [pool for pool in world.all_pools if pool.kind == V3]
        self._v2 = {pool.address: pool for pool in world.all_pools if pool.kind == V2}
        self._minting: dict[bytes, _Minting] = {}
        self._positions: dict[int, LiquidityPosition] = {}
        self._shares: dict[Address, int] = {}

    def act(self, scene: Scene, pending: Sequence[TransactionRequest]) -> list[TransactionRequest]:
        del pending
        chances = (
            (self.MINT_V3, self._mint_v3),
            (self.BURN_V3, self._burn_v3),
            (self.MINT_V2, self._mint_v2),
            (self.BURN_V2, self._burn_v2),
        )
        wishes = [
            wish(scene) for probability, wish in chances if self._random.random() < probability
        ]
        return [self._request(target) for target in wishes if target is not None]

    def observe(self, mined: Mined) -> None:
        """Learn from the receipts what we own now."""
        for request, receipt in zip(mined.requests, mined.receipts, strict=True):
            if request.sender == self._account and request.purpose == LIQUIDITY:
                minting = self._minting.pop(request.data, None)
                for event in receipt.logs:
                    self._note(event, minting)

    def _note(self, event: EventLog, minting: _Minting | None) -> None:
        emitter, name = event.address.lower(), bytes.fromhex(event.topics[0][2:])
        data = bytes.fromhex(event.data[2:])
        if minting and name == _INCREASE and emitter == self._world.position_manager:
            token_id = int(event.topics[1], 16)
            self._positions[token_id] = LiquidityPosition(
                token_id,
                minting.pool,
                minting.tick_lower,
                minting.tick_upper,
                liquidity=abi.uint_at(data, 0),
            )
        elif name == _TRANSFER and emitter in self._v2 and int(event.topics[1], 16) == 0:
            # Shares out of nothing: we have minted.
            held = self._shares.get(Address(emitter), 0)
            self._shares[Address(emitter)] = held + abi.uint_at(data, 0)

    def _mint_v3(self, scene: Scene) -> Target | None:
        random = self._random
        deployed = random.choice(self._v3)
        pool = scene.pools[deployed.key]
        assert isinstance(pool, UniswapV3Pool)
        spacing = V3_TIERS[deployed.fee_pips]
        least, most = (math.log(width) for width in self.WIDTHS)
        below, above = (round(math.exp(random.uniform(least, most))) for _ in range(2))
        here = pool.tick // spacing
        last = TICK_END // spacing
        lower = max(here - below, -last) * spacing
        upper = min(here + 1 + above, last) * spacing
        amounts = self._offer(scene, deployed)
        needed = _amounts_for(pool, lower, upper, amounts)
        least_share = random.choice(self.TOLERANCES)
        data = contract("NonfungiblePositionManager")["mint"].call(
            (
                pool.token0,
                pool.token1,
                pool.fee_pips,
                lower,
                upper,
                *amounts,
                *(int(amount * least_share) for amount in needed),
                self._account,
                NO_DEADLINE,
            )
        )
        self._minting[data] = _Minting(deployed, lower, upper)
        return self._world.position_manager, data

    def _burn_v3(self, scene: Scene) -> Target | None:
        """Close a position, first of all one that the price has left; half of it now and then."""
        if not self._positions:
            return None
        random = self._random
        left = [
            position
            for position in self._positions.values()
            if not position.tick_lower <= self._tick(scene, position.pool) < position.tick_upper
        ]
        position = random.choice(left or list(self._positions.values()))
        del self._positions[position.token_id]
        liquidity = position.liquidity
        if random.random() < 0.25:
            liquidity //= 2
            self._positions[position.token_id] = LiquidityPosition(
                position.token_id,
                position.pool,
                position.tick_lower,
                position.tick_upper,
                position.liquidity - liquidity,
            )
        manager = contract("NonfungiblePositionManager")
        steps = [
            manager["decreaseLiquidity"].call((position.token_id, liquidity, 0, 0, NO_DEADLINE)),
            manager["collect"].call((position.token_id, self._account, MAX_UINT128, MAX_UINT128)),
        ]
        return self._world.position_manager, manager["multicall"].call(steps)

    def _mint_v2(self, scene: Scene) -> Target | None:
        deployed = self._random.choice(list(self._v2.values()))
        pool = scene.pools[deployed.key]
        assert isinstance(pool, UniswapV2Pool)
        amount0, _ = self._offer(scene, deployed)
        amount1 = amount0 * pool.reserve1 // pool.reserve0
        share = self._random.choice(self.TOLERANCES)
        data = contract("UniswapV2Router02")["addLiquidity"].call(
            pool.token0,
            pool.token1,
            amount0,
            amount1,
            *(int(amount * share) for amount in (amount0, amount1)),
            self._account,
            NO_DEADLINE,
        )
        return self._world.routers[deployed.dex], data

    def _burn_v2(self, scene: Scene) -> Target | None:
        """Take out what a mint put in, or part of it."""
        del scene
        held = sorted(address for address, shares in self._shares.items() if shares > 0)
        if not held:
            return None
        deployed = self._v2[self._random.choice(held)]
        shares = self._shares[deployed.address] // self._random.choice((1, 2))
        self._shares[deployed.address] -= shares
        data = contract("UniswapV2Router02")["removeLiquidity"].call(
            deployed.token0.address,
            deployed.token1.address,
            shares,
            *(0, 0),
            self._account,
            NO_DEADLINE,
        )
        return self._world.routers[deployed.dex], data

    def _offer(self, scene: Scene, deployed: DeployedPool) -> tuple[int, int]:
        usd = deployed.plan.usd * self._random.uniform(*self.SHARE) / 2
        return scene.amount_of(deployed.token0, usd), scene.amount_of(deployed.token1, usd)

    def _tick(self, scene: Scene, deployed: DeployedPool) -> int:
        pool = scene.pools[deployed.key]
        assert isinstance(pool, UniswapV3Pool)
        return pool.tick

    def _request(self, target: Target) -> TransactionRequest:
        return TransactionRequest(
            purpose=LIQUIDITY,
            sender=self._account,
            to=target[0],
            data=target[1],
            gas=GAS,
            priority_fee=choose_fee(self._random, least_gwei=25.0, mean_above_gwei=5.0),
        )


def _amounts_for(
    pool: UniswapV3Pool, lower: int, upper: int, offered: tuple[int, int]
) -> tuple[float, float]:
    """What the manager will take of the offer at the pool's price, in floats: for limits only.

    Source: LiquidityAmounts.sol of v3-periphery.
    """
    root = pool.sqrt_price_x96 / 2**96
    low, high = (math.pow(1.0001, tick / 2) for tick in (lower, upper))
    root = min(max(root, low), high)
    per_liquidity = (1 / root - 1 / high, root - low)
    liquidity = min(
        amount / need for amount, need in zip(offered, per_liquidity, strict=True) if need > 0
    )
    return liquidity * per_liquidity[0], liquidity * per_liquidity[1]
