"""Drives the embedded chain block by block; the same seed makes the same blocks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from random import Random

from dexarb.chain.bootstrap.sync import PoolRequest, bootstrap
from dexarb.chain.rpc import Rpc
from dexarb.core.market import Keyframe, Market
from dexarb.core.units import GWEI
from dexarb.demo.arbitrageur import ARBITRAGE, Arbitrageur, Insider
from dexarb.demo.claims import CLAIM, Claims
from dexarb.demo.deploy import deploy
from dexarb.demo.liquidity import Provider
from dexarb.demo.mining import Mined, Miner, TransactionRequest
from dexarb.demo.scene import Actor, FairPrices, Scene
from dexarb.demo.traders import Informed, Retail, Whale
from dexarb.demo.world import Plan, World

DEFAULT_SEED = 40
"""Within its first ten blocks every classic strategy finds something."""

BASE_FEE_GWEI = 30.0
BASE_FEE_PULL = 0.05
"""Share of the way back to the usual base fee that a block goes on average."""
BASE_FEE_NOISE = 0.03
BASE_FEE_STEP = 0.12
"""EIP-1559 lets a block change it by an eighth."""

WITHDRAWN = {ARBITRAGE, CLAIM}
"""What is not sent again when a block had no room for it: it would come too late."""


class Driver:
    """A world with everyone in it. Made by `start`, moved by `step`.

    market: exact pools at the latest block, followed by events alone; those that are collected.
    everywhere: all of them, as those see them who trade there.
    """

    def __init__(
        self, world: World, miner: Miner, market: Market, everywhere: Market, seed: int
    ) -> None:
        self.world = world
        self.market = market
        self.everywhere = everywhere
        self._miner = miner
        self._waiting: list[TransactionRequest] = []
        self._fees = Random(f"{seed} base fee")
        self._prices = FairPrices(world, Random(f"{seed} prices"))
        self._actors = _everyone(world, seed)

    @classmethod
    async def start(cls, rpc: Rpc, *, seed: int = DEFAULT_SEED, plan: Plan | None = None) -> Driver:
        """Build the world on a fresh node. Raises MissingTool, RpcError, TransportError."""
        world, miner = await deploy(rpc, plan)
        read = await bootstrap(
            rpc,
            [
                PoolRequest(
                    dex=pool.dex,
                    kind=pool.kind,
                    factory=world.factories[pool.dex],
                    token_a=pool.token0.address,
                    token_b=pool.token1.address,
                    fees_pips=(pool.fee_pips,),
                )
                for pool in world.all_pools
            ],
            chain_id=world.chain_id,
        )
        keyframe = Keyframe(
            seq=read.block.number,
            block=read.block,
            profile=world.profile(),
            tokens=read.tokens,
            pools=read.pools,
        )
        return cls(world, miner, Market(_collected(keyframe, world)), Market(keyframe), seed)

    @property
    def usd(self) -> dict[str, float]:
        """The fair prices that informed traders know, by symbol."""
        return dict(self._prices.usd)

    async def step(
        self, timestamp: int | None = None, guests: Sequence[TransactionRequest] = ()
    ) -> Mined:
        """Make the next block: everybody sends, one block is mined, the market follows.

        timestamp: UNIX seconds, later than the last block's; by default one second later. It
        changes no transaction, log or receipt, only block hashes. guests: what others than the
        actors have sent for it; it takes the place of what of theirs still waits. Raises RpcError
        and TransportError, after which the driver is of no more use.
        """
        self._prices.step()
        scene = Scene(self.world, self.everywhere.pools, self._prices.usd)
        replaced = {guest.sender for guest in guests}
        requests = [one for one in self._waiting if not (one.raw and one.sender in replaced)]
        for actor in self._actors:
            requests += actor.act(scene, requests)
        requests += guests
        mined = await self._miner.mine(
            requests, timestamp=timestamp, base_fee=self._next_base_fee()
        )
        self.follow(mined)
        self._waiting = [each for each in mined.left_out if each.purpose not in WITHDRAWN]
        for actor in self._actors:
            actor.observe(mined)
        return mined

    async def mine(self, requests: Sequence[TransactionRequest]) -> Mined:
        """A block of these alone. Raises as `step`."""
        mined = await self._miner.mine(requests)
        self.follow(mined)
        return mined

    def follow(self, mined: Mined) -> None:
        """Take a block into both markets."""
        self.market.apply(mined.update)
        self.everywhere.apply(mined.whole)

    def _next_base_fee(self) -> int:
        """As on a busy chain: it wanders about its usual height.

        The blocks here are nearly empty, so left alone it would fall to nothing.
        """
        parent = self._miner.head.base_fee_per_gas / GWEI
        change = BASE_FEE_PULL * (BASE_FEE_GWEI / parent - 1.0)
        change += self._fees.gauss(0.0, BASE_FEE_NOISE)
        change = max(-BASE_FEE_STEP, min(BASE_FEE_STEP, change))
        return int(parent * (1.0 + change) * GWEI)


def _collected(keyframe: Keyframe, world: World) -> Keyframe:
    """What somebody finds who collects the world's pools."""
    keys = {pool.key for pool in world.pools}
    pools = tuple(pool for pool in keyframe.pools if pool.key in keys)
    known = {token for pool in pools for token in pool.tokens}
    tokens = tuple(token for token in keyframe.tokens if token.address in known)
    return replace(keyframe, pools=pools, tokens=tokens)


def _everyone(world: World, seed: int) -> Sequence[Actor]:
    """Each with a generator of its own, so that tuning one leaves the others' dice alone.

    Arbitrageurs come last, since they look at what the others have decided.
    """
    return (
        Retail(world, Random(f"{seed} retail")),
        Whale(world, Random(f"{seed} whale")),
        *(
            Informed(world, Random(f"{seed} informed {account}"), account)
            for account in range(len(world.accounts.informed))
        ),
        *(
            Provider(world, Random(f"{seed} provider {account}"), account)
            for account in range(len(world.accounts.providers))
        ),
        Claims(world, Random(f"{seed} claims")),
        *(
            kind(world, Random(f"{seed} arbitrageur {account}"), account)
            for account, kind in enumerate((Arbitrageur, Arbitrageur, Insider))
        ),
    )
