"""The same pools again at a block: what it gives, and what it costs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dexarb.amm import UniswapV2Pool, UniswapV3Pool
from dexarb.chain.bootstrap.multicall import MULTICALL3
from dexarb.chain.bootstrap.sync import bootstrap, reread, reread_requests
from dexarb.chain.rpc import Rpc
from dexarb.core.pool import Pool
from dexarb.core.token import Address
from dexarb.errors import BlockGone, InvalidPoolState
from tests.chain.embedded import STRANGER, Embedded, requests_of
from tests.support.anvil import Node
from tests.support.chain_driver import Driver, run


async def load(rpc: Rpc, embedded: Embedded) -> tuple[Pool, ...]:
    found = await bootstrap(rpc, requests_of(embedded.world), chain_id=137)
    return found.pools


@pytest.mark.parametrize("multicall", [MULTICALL3, None])
def test_pools_that_are_read_again_equal_those_of_the_bootstrap(
    embedded: Embedded, multicall: Address | None
) -> None:
    async def check() -> None:
        async with Rpc.connect(embedded.http_url) as rpc:
            found = await bootstrap(rpc, requests_of(embedded.world), chain_id=137)
            await rpc.call("evm_mine")
            again = await reread(rpc, found.block, found.pools, multicall)
            assert again == {pool.key: pool for pool in found.pools}

    run(check())


def test_what_we_believe_of_a_pool_does_not_change_what_is_read(embedded: Embedded) -> None:
    """Ticks that are not there, ticks that are missing, other reserves."""

    async def check() -> None:
        async with Rpc.connect(embedded.http_url) as rpc:
            found = await bootstrap(rpc, requests_of(embedded.world), chain_id=137)
            believed: list[Pool] = []
            for pool in found.pools:
                if isinstance(pool, UniswapV2Pool):
                    believed.append(replace(pool, reserve0=pool.reserve0 + 1))
                    continue
                assert isinstance(pool, UniswapV3Pool)
                lowest, highest, spacing = min(pool.ticks), max(pool.ticks), pool.tick_spacing
                moved = {lowest: lowest + spacing, highest: highest - spacing}
                ticks = {moved.get(tick, tick): info for tick, info in pool.ticks.items()}
                assert len(ticks) == len(pool.ticks)
                believed.append(replace(pool, ticks=ticks))
            again = await reread(rpc, found.block, believed)
            assert again == {pool.key: pool for pool in found.pools}
            assert all(again[pool.key] != pool for pool in believed)

    run(check())


def test_a_pool_that_is_none_any_more_is_an_error_of_its_own(scratch: Embedded) -> None:
    async def check() -> None:
        async with Rpc.connect(scratch.http_url) as rpc:
            pools = await load(rpc, scratch)
            await rpc.call("anvil_setCode", pools[0].address, "0x60006000fd")
            await rpc.call("evm_mine")
            again = await reread(rpc, await Driver(rpc).block(), pools)
            broken = again.pop(pools[0].key)
            assert isinstance(broken, InvalidPoolState)
            assert pools[0].address in str(broken)
            assert again == {pool.key: pool for pool in pools[1:]}

    run(check())


def test_a_block_that_has_gone_is_told(fresh_node: Node) -> None:
    async def check() -> None:
        async with Rpc.connect(fresh_node.http_url, backoff_s=0.001, backoff_max_s=0.001) as rpc:
            driver = Driver(rpc)
            await driver.setup()
            await driver.mine(3)
            block = await driver.block()
            await driver.reorg(2)
            pool = UniswapV2Pool(
                address=STRANGER,
                token0=Address("0x" + "01" * 20),
                token1=Address("0x" + "02" * 20),
                reserve0=1,
                reserve1=1,
            )
            with pytest.raises(BlockGone):
                await reread(rpc, block, [pool])

    run(check())


def test_a_reading_shares_its_requests(embedded: Embedded) -> None:
    """Requests for so many pools, the one that asks the reader's block included."""

    async def check() -> None:
        async with Rpc.connect(embedded.http_url) as rpc:
            found = await bootstrap(rpc, requests_of(embedded.world), chain_id=137)
            v2 = [pool for pool in found.pools if isinstance(pool, UniswapV2Pool)]
            v3 = [pool for pool in found.pools if isinstance(pool, UniswapV3Pool)]
            v3.sort(key=lambda pool: (-pool.tick_spacing, len(pool.ticks)))

            async def cost(pools: list[Pool]) -> int:
                before = rpc.requests
                await reread(rpc, found.block, pools)
                assert rpc.requests - before == reread_requests(pools)
                return rpc.requests - before

            both: list[Pool] = [pool for pair in zip(v2, v3, strict=False) for pool in pair]
            kinds: dict[str, list[Pool]] = {"v2": [*v2], "v3": [*v3], "both": both}
            costs = {
                kind: [
                    await cost([pools[place % len(pools)] for place in range(count)])
                    for count in (1, 5, 20)
                ]
                for kind, pools in kinds.items()
            }
            # A V3 pool is 720 reads at a tick spacing of 10 and 150 at 60, 500 to a request.
            assert costs == {"v2": [2, 2, 2], "v3": [2, 5, 18], "both": [2, 2, 9]}

    run(check())
