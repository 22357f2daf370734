"""The tests' own chain is one that dexarb can start on and follow."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from dexarb.chain.bootstrap.sync import PoolRequest, bootstrap
from dexarb.chain.rpc import Rpc
from dexarb.errors import RpcError
from tests.support.chain_driver import run
from tests.support.true_chain import TrueChain
from tests.support.true_contracts import FACTORIES
from tests.support.true_node import TrueNode, served, transport
from tests.support.worlds.small_chain import CHAIN_ID, USDC, WETH, WMATIC

REQUESTS = [
    PoolRequest("QuickSwap", "uniswap_v2", FACTORIES["QuickSwap"], WETH, USDC, (3000,)),
    PoolRequest("SushiSwap", "uniswap_v2", FACTORIES["SushiSwap"], WETH, USDC, (3000,)),
    PoolRequest("SushiSwap", "uniswap_v2", FACTORIES["SushiSwap"], WMATIC, USDC, (3000,)),
    PoolRequest("UniswapV3", "uniswap_v3", FACTORIES["UniswapV3"], WETH, USDC, (3000,)),
]


@pytest.mark.parametrize("way", ["in process", "http", "ws"])
def test_its_pools_are_found_and_loaded_as_they_are(way: str) -> None:
    async def check() -> None:
        chain = TrueChain(1)
        chain.mine(6)
        node = TrueNode(chain)
        async with served(node):
            urls = {"http": node.http_url, "ws": node.ws_url}
            async with Rpc.connect(urls[way]) if way in urls else Rpc([transport(node)]) as rpc:
                found = await bootstrap(rpc, REQUESTS, chain_id=CHAIN_ID, multicall=None)
        assert found.block == chain.head.block
        assert {pool.key: pool for pool in found.pools} == chain.head.pools
        assert not found.missing

    run(check())


@pytest.mark.parametrize("way", ["in process", "ws"])
def test_new_heads_are_pushed_over_branches_too(way: str) -> None:
    async def check() -> None:
        chain = TrueChain(2)
        node = TrueNode(chain)
        async with served(node):
            made = Rpc.connect(node.ws_url) if way == "ws" else Rpc([transport(node, pushing=True)])
            async with made as rpc:
                pushed = await rpc.subscribe("newHeads")
                chain.mine()
                chain.mine()
                chain.reorg(1, 2)
                heard = [await anext(pushed) for _ in range(4)]
        assert [chain.head.ancestor(1).hash in str(text) for text in heard] == [0, 0, 1, 1]
        numbers = [block.number for block in chain.blocks.values()]
        assert numbers == [1000, 1001, 1002, 1002, 1003]

    run(check())


def test_a_node_may_lie_lag_and_lack_methods() -> None:
    def lie(method: str, _: Sequence[Any], result: Any) -> Any:
        if method == "eth_getBlockByHash" and result is not None:
            result["gasUsed"] = "0x7"
        return result

    async def check() -> None:
        chain = TrueChain(3)
        for _ in range(5):
            chain.mine()
        node = TrueNode(chain, lie=lie, lag=2, without=["eth_getBlockReceipts"])
        async with Rpc([transport(node)], attempts=1) as rpc:
            assert await rpc.call("eth_blockNumber") == hex(1_003)
            block = chain.head.ancestor(3)
            assert (await rpc.call("eth_getBlockByHash", block.hash, False))["gasUsed"] == "0x7"
            assert block.header["gasUsed"] != "0x7"
            assert await rpc.call("eth_getBlockByHash", "0x" + "77" * 32, False) is None
            with pytest.raises(RpcError, match="does not exist"):
                await rpc.call("eth_getBlockReceipts", block.hash)
        assert node.asked["eth_getBlockByHash"] == 2

    run(check())
