"""Bootstrap of the embedded world's real Uniswap pools, and of things that are none."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from dexarb.amm import POOL_TYPES, UniswapV2Pool, UniswapV3Pool
from dexarb.chain.bootstrap.multicall import MULTICALL3
from dexarb.chain.bootstrap.sync import Bootstrap, PoolRequest, bootstrap
from dexarb.chain.contents import Watched
from dexarb.chain.rpc import Rpc
from dexarb.core.block import Block, BlockRef
from dexarb.core.market import Keyframe, Market
from dexarb.core.pool import PoolKey
from dexarb.core.token import Address
from dexarb.demo.anvil import start_anvil
from dexarb.demo.artifacts import Function, contract
from dexarb.demo.driver import Driver as WorldDriver
from dexarb.demo.world import QUICKSWAP, UNISWAP_V3, World
from dexarb.errors import ConfigError
from tests.chain.embedded import STRANGER, Embedded, requests_of
from tests.support.chain_driver import Driver, run
from tests.support.follower import following


async def ask(
    rpc: Rpc, to: Address, function: Function, block: Block, *arguments: Any
) -> tuple[Any, ...]:
    data = "0x" + function.call(*arguments).hex()
    answer = await rpc.call("eth_call", {"to": to, "data": data}, hex(block.number))
    return function.result(bytes.fromhex(answer[2:]))


async def check_against_contracts(rpc: Rpc, world: World, found: Bootstrap) -> None:
    """Every pool, by direct calls of its contract and of TickLens."""
    v2, v3 = contract("UniswapV2Pair"), contract("UniswapV3Pool")
    lens = contract("TickLens")["getPopulatedTicksInWord"]
    for pool in found.pools:
        where = (pool.address,)
        if isinstance(pool, UniswapV2Pool):
            reserves = await ask(rpc, *where, v2["getReserves"], found.block)
            assert (pool.reserve0, pool.reserve1) == reserves[:2]
            assert pool.reserve0 > 0
            continue
        assert isinstance(pool, UniswapV3Pool)
        sqrt_price_x96, tick, *_ = await ask(rpc, *where, v3["slot0"], found.block)
        assert (pool.sqrt_price_x96, pool.tick) == (sqrt_price_x96, tick)
        assert await ask(rpc, *where, v3["liquidity"], found.block) == (pool.liquidity,)
        assert await ask(rpc, *where, v3["tickSpacing"], found.block) == (pool.tick_spacing,)
        words = sorted({tick // pool.tick_spacing >> 8 for tick in pool.ticks})
        populated: dict[int, tuple[int, int]] = {}
        for word in words:
            (entries,) = await ask(rpc, world.tick_lens, lens, found.block, pool.address, word)
            populated |= {tick: (gross, net) for tick, net, gross in entries}
        assert dict(pool.ticks) == populated
        assert len(populated) > 10


@pytest.mark.parametrize("multicall", [MULTICALL3, None])
def test_every_pool_is_what_its_contract_says(
    embedded: Embedded, multicall: Address | None
) -> None:
    async def check() -> None:
        async with Rpc.connect(embedded.http_url) as rpc:
            world = embedded.world
            before = rpc.requests
            found = await bootstrap(rpc, requests_of(world), chain_id=137, multicall=multicall)
            spent = rpc.requests - before
            assert not found.missing
            described = {(pool.kind, pool.dex, pool.address, pool.fee_pips) for pool in world.pools}
            assert {(p.kind, p.dex, p.address, p.fee_pips) for p in found.pools} == described
            held = {token for pool in world.pools for token in (pool.token0, pool.token1)}
            assert set(found.tokens) == held
            await check_against_contracts(rpc, world, found)
            # chain id, head, code; then find, fields, bitmaps, ticks, tokens.
            assert spent <= (20 if multicall else 60)

    run(check())


def test_the_feed_carries_a_bootstrap_to_a_later_one_forks_included() -> None:
    """Pools moved by events alone equal pools read from the chain."""

    async def check() -> None:
        with start_anvil(timestamp=1_700_000_000) as anvil:
            async with Rpc.connect(anvil.ws_url) as rpc:
                driver = await WorldDriver.start(rpc)
                asked = requests_of(driver.world)
                found = await bootstrap(rpc, asked, chain_id=137)
                start = Keyframe(0, found.block, driver.world.profile(), found.tokens, found.pools)
                market = Market(start)
                async with following(
                    anvil.ws_url,
                    known=[BlockRef(found.block.number, found.block.hash)],
                    watched=Watched.of(found.pools),
                ) as follower:
                    for _ in range(12):
                        mined = await driver.step()
                    await follower.reach(mined.block)
                    assert [received.update(0).logs for received in follower.received][-1] == (
                        mined.update.logs
                    )
                    await rpc.call("anvil_reorg", 5, [])
                    await rpc.call("evm_mine")
                    await follower.reach(await Driver(rpc).block())
                    for received in follower.received:
                        market.rewind(received.block.parent_hash)
                        market.apply(received.update(0))
                    assert len(follower.received) == 12 + 5 + 1
                    assert any(received.contents.logs for received in follower.received[:12])
                again = await bootstrap(rpc, asked, chain_id=137)
                assert again.block == replace(market.block, seen_at=None)
                assert {pool.key: pool for pool in again.pools} == market.pools

    run(check(), within_s=120)


def test_what_is_not_there_is_reported_and_the_rest_goes_on(embedded: Embedded) -> None:
    async def check() -> None:
        async with Rpc.connect(embedded.http_url) as rpc:
            world = embedded.world
            weth, usdc, wbtc, wmatic = (
                world.tokens[name].address for name in ("WETH", "USDC", "WBTC", "WMATIC")
            )
            quickswap, uniswap = world.factories[QUICKSWAP], world.factories[UNISWAP_V3]
            asked = [
                PoolRequest(QUICKSWAP, "uniswap_v2", quickswap, weth, usdc, (3000,)),
                PoolRequest(QUICKSWAP, "uniswap_v2", quickswap, usdc, weth, (3000,)),
                PoolRequest(QUICKSWAP, "uniswap_v2", quickswap, wbtc, wmatic, (3000,)),
                PoolRequest(UNISWAP_V3, "uniswap_v3", uniswap, wbtc, weth, (500, 3000)),
                PoolRequest("Nowhere", "uniswap_v2", STRANGER, weth, usdc, (3000,)),
                PoolRequest("Token", "uniswap_v3", weth, weth, usdc, (500,)),
            ]
            found = await bootstrap(rpc, asked, chain_id=137)
            assert [(pool.dex, pool.fee_pips) for pool in found.pools] == [
                (QUICKSWAP, 3000),
                (UNISWAP_V3, 500),
            ]
            assert {token.symbol for token in found.tokens} == {"WETH", "USDC", "WBTC"}
            no_pair, no_tier, nowhere, no_factory = found.missing
            assert (no_pair.request, no_pair.fee_pips, no_pair.pool) == (asked[2], 3000, None)
            assert (no_tier.request, no_tier.fee_pips) == (asked[3], 3000)
            assert (nowhere.request, nowhere.fee_pips) == (asked[4], None)
            assert (no_factory.request, no_factory.fee_pips) == (asked[5], None)
            assert STRANGER in nowhere.reason

    run(check())


def test_a_pool_that_is_not_one_is_reported_and_the_rest_goes_on(embedded: Embedded) -> None:
    async def check() -> None:
        async with Rpc.connect(embedded.http_url) as rpc:
            world = embedded.world
            weth, usdc = world.tokens["WETH"].address, world.tokens["USDC"].address
            # A factory that says of everything that it is at the address of a token.
            await rpc.call("anvil_setCode", STRANGER, f"0x73{usdc[2:]}60005260206000f3")
            asked = [
                PoolRequest("Liar", kind, STRANGER, weth, usdc, (3000,)) for kind in POOL_TYPES
            ]
            found = await bootstrap(rpc, [*asked, *requests_of(world)], chain_id=137)
            assert len(found.pools) == len(world.pools)
            assert [missing.pool for missing in found.missing] == [PoolKey(usdc)]
            assert found.missing[0].fee_pips == 3000
            await rpc.call("anvil_setCode", STRANGER, "0x")

    run(check())


def test_tick_maps_that_do_not_add_up_are_reported(
    embedded: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node that answers ticks wrongly is found out by summing liquidity_net."""
    ticks = contract("UniswapV3Pool")["ticks"].selector.hex()

    async def check() -> Bootstrap:
        async with Rpc.connect(embedded.http_url) as rpc:
            honest = rpc.batch_as

            async def lying(type_: Any, calls: Sequence[Any]) -> list[Any]:
                answers = await honest(type_, calls)
                return [
                    "0x" + "00" * 31 + "05" + "00" * 31 + "05" + "00" * 192
                    if ticks in str(call)
                    else answer
                    for call, answer in zip(calls, answers, strict=True)
                ]

            monkeypatch.setattr(rpc, "batch_as", lying)
            asked = requests_of(embedded.world)
            return await bootstrap(rpc, asked, chain_id=137, multicall=None)

    found = run(check())
    world = embedded.world
    assert {pool.kind for pool in found.pools} == {"uniswap_v2"}
    assert len(found.missing) == sum(pool.kind == "uniswap_v3" for pool in world.pools)
    assert all("liquidity" in missing.reason for missing in found.missing)


def test_a_kind_of_pool_that_does_not_exist_is_a_config_error(embedded: Embedded) -> None:
    async def check() -> None:
        async with Rpc.connect(embedded.http_url) as rpc:
            asked = [replace(requests_of(embedded.world)[0], kind="uniswap_v9")]
            with pytest.raises(ConfigError, match="unknown kind of pool"):
                await bootstrap(rpc, asked, chain_id=137)

    run(check())


def test_a_mistake_in_a_pool_type_does_not_look_like_a_missing_pool(
    embedded: Embedded, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Mistaken(UniswapV2Pool):
        @classmethod
        def load(cls, *_: Any, **__: Any) -> Generator[Any, Any, Any]:
            yield []
            raise ZeroDivisionError

    monkeypatch.setitem(POOL_TYPES, "mistaken", Mistaken)

    async def check() -> None:
        async with Rpc.connect(embedded.http_url) as rpc:
            asked = [replace(requests_of(embedded.world)[0], kind="mistaken")]
            with pytest.raises(ZeroDivisionError):
                await bootstrap(rpc, asked, chain_id=137)

    run(check())
