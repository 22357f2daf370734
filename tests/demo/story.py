"""One run of the embedded chain, recorded: what the tests of this folder look at."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

from dexarb.chain.bootstrap.sync import Bootstrap, PoolRequest, bootstrap
from dexarb.chain.rpc import Rpc
from dexarb.core.market import Keyframe
from dexarb.core.token import Address
from dexarb.demo.anvil import start_anvil
from dexarb.demo.artifacts import Function, contract
from dexarb.demo.driver import DEFAULT_SEED, Driver
from dexarb.demo.mining import Mined
from dexarb.demo.world import World
from dexarb.errors import RpcError
from dexarb.study.spreads import Spread, best_spreads

T = TypeVar("T")
GENESIS = 1_700_000_000
BLOCKS = 200
WITHIN_S = 300.0

_TICK_WORD = 256


@dataclass(frozen=True)
class Story:
    """A world, its blocks, and what the chain said of the pools after the last one."""

    world: World
    driver: Driver
    first: Keyframe
    """Before the first block."""
    first_everywhere: Keyframe
    """The same with the pools that are not collected."""
    blocks: Sequence[Mined]
    spreads: Sequence[Sequence[Spread]]
    """After each block, of every pair with several pools."""
    reserves: dict[Address, tuple[int, int]]
    v3_prices: dict[Address, tuple[int, int, int]]
    """sqrt price, tick and liquidity."""
    v3_ticks: dict[Address, dict[int, tuple[int, int]]]
    """liquidity_gross and liquidity_net of all that TickLens finds."""
    reread: Bootstrap
    quotes: dict[tuple[Address, Address], tuple[int, int]]
    """By pool and token sold: an amount in and what QuoterV2 says comes out."""


def run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(asyncio.wait_for(work, WITHIN_S))


@asynccontextmanager
async def fresh_chain() -> AsyncIterator[Rpc]:
    with start_anvil(timestamp=GENESIS) as node:
        async with Rpc.connect(node.ws_url) as rpc:
            yield rpc


async def record(blocks: int = BLOCKS, seed: int = DEFAULT_SEED) -> Story:
    async with fresh_chain() as rpc:
        driver = await Driver.start(rpc, seed=seed)
        world, first = driver.world, driver.market.keyframe()
        first_everywhere = driver.everywhere.keyframe()
        mined, spreads = [], []
        for _ in range(blocks):
            mined.append(await driver.step())
            spreads.append(tuple(best_spreads(driver.market.pools.values()).values()))
        requests = [
            PoolRequest(
                pool.dex,
                pool.kind,
                world.factories[pool.dex],
                pool.token0.address,
                pool.token1.address,
                (pool.fee_pips,),
            )
            for pool in world.all_pools
        ]
        return Story(
            world=world,
            driver=driver,
            first=first,
            first_everywhere=first_everywhere,
            blocks=mined,
            spreads=spreads,
            reserves=await _reserves(rpc, world),
            v3_prices=await _v3_prices(rpc, world),
            v3_ticks=await _v3_ticks(rpc, world),
            reread=await bootstrap(rpc, requests, chain_id=world.chain_id),
            quotes=await _quotes(rpc, world),
        )


async def read(rpc: Rpc, calls: Sequence[tuple[Address, Function, tuple[Any, ...]]]) -> list[Any]:
    """eth_call each of (contract, function, arguments); results decoded."""
    answers = await rpc.batch(
        [
            ("eth_call", [{"to": to, "data": "0x" + ask.call(*arguments).hex()}, "latest"])
            for to, ask, arguments in calls
        ]
    )
    decoded = []
    for (_, ask, _), answer in zip(calls, answers, strict=True):
        if isinstance(answer, RpcError):
            raise answer
        decoded.append(ask.result(bytes.fromhex(answer[2:])))
    return decoded


def v2_pools(world: World) -> list[Address]:
    return [pool.address for pool in world.all_pools if pool.kind == "uniswap_v2"]


def v3_pools(world: World) -> list[Address]:
    return [pool.address for pool in world.all_pools if pool.kind == "uniswap_v3"]


async def _reserves(rpc: Rpc, world: World) -> dict[Address, tuple[int, int]]:
    pools, ask = v2_pools(world), contract("UniswapV2Pair")["getReserves"]
    answers = await read(rpc, [(pool, ask, ()) for pool in pools])
    return {pool: answer[:2] for pool, answer in zip(pools, answers, strict=True)}


async def _v3_prices(rpc: Rpc, world: World) -> dict[Address, tuple[int, int, int]]:
    pools, v3 = v3_pools(world), contract("UniswapV3Pool")
    slots = await read(rpc, [(pool, v3["slot0"], ()) for pool in pools])
    liquidities = await read(rpc, [(pool, v3["liquidity"], ()) for pool in pools])
    return {
        pool: (slot[0], slot[1], liquidity)
        for pool, slot, (liquidity,) in zip(pools, slots, liquidities, strict=True)
    }


async def _v3_ticks(rpc: Rpc, world: World) -> dict[Address, dict[int, tuple[int, int]]]:
    """Every word of every bitmap, by another way than the one that loads our pools."""
    ask = contract("TickLens")["getPopulatedTicksInWord"]
    found: dict[Address, dict[int, tuple[int, int]]] = {}
    for pool in world.all_pools:
        if pool.kind != "uniswap_v3":
            continue
        spacing = {500: 10, 3000: 60}[pool.fee_pips]
        last = 887_272 // spacing // _TICK_WORD + 1
        calls = [(world.tick_lens, ask, (pool.address, word)) for word in range(-last, last + 1)]
        found[pool.address] = {
            tick: (gross, net) for (ticks,) in await read(rpc, calls) for tick, net, gross in ticks
        }
    return found


async def _quotes(rpc: Rpc, world: World) -> dict[tuple[Address, Address], tuple[int, int]]:
    """About 30,000 USD of each token into each V3 pool."""
    ask = contract("QuoterV2")["quoteExactInputSingle"]
    prices = {plan.symbol: plan.price_usd for plan in world.plan.tokens}
    keys, calls = [], []
    for pool in world.all_pools:
        if pool.kind != "uniswap_v3":
            continue
        for sold, bought in ((pool.token0, pool.token1), (pool.token1, pool.token0)):
            amount = int(30_000 / prices[sold.symbol] * 10**sold.decimals)
            keys.append((pool.address, sold.address, amount))
            arguments = ((sold.address, bought.address, amount, pool.fee_pips, 0),)
            calls.append((world.quoter, ask, arguments))
    answers = await read(rpc, calls)
    return {
        (pool, token): (amount, answer[0])
        for (pool, token, amount), answer in zip(keys, answers, strict=True)
    }
