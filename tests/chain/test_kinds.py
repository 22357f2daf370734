"""Contracts that answer like a pool and are another one: told by factory and by code."""

from __future__ import annotations

import re

from eth_hash.auto import keccak

from dexarb.amm import UniswapV2Pool, UniswapV3Pool
from dexarb.amm.v3_events import SWAP
from dexarb.chain.bootstrap.kinds import other_events
from dexarb.chain.bootstrap.multicall import PinnedReader
from dexarb.chain.bootstrap.sync import bootstrap
from dexarb.chain.rpc import Rpc
from dexarb.core.token import Address
from dexarb.demo.artifacts import contract
from dexarb.demo.world import UNISWAP_V3
from tests.chain.embedded import STRANGER, Embedded, requests_of
from tests.support.anvil import Node
from tests.support.chain_driver import Driver, run
from tests.support.faulty_node import Fault, faulty_node

PANCAKE_SWAP = keccak(b"Swap(address,address,int256,int256,uint160,uint128,int24,uint128,uint128)")
IMPLEMENTATION = Address("0x" + "1d" * 20)
EIP_1167 = "0x363d3d373d3d3d363d73{}5af43d82803e903d91602b57fd5bf3"
EIP_7511 = "0x365f5f375f5f365f73{}5af43d5f5f3e5f3d91602a57fd5bf3"


async def code_of(rpc: Rpc, address: str) -> bytes:
    return bytes.fromhex((await rpc.call("eth_getCode", address, "latest"))[2:])


async def set_code(rpc: Rpc, address: str, code: bytes | str) -> None:
    text = code if isinstance(code, str) else "0x" + code.hex()
    await rpc.call("anvil_setCode", address, text)


def _without_code(answer: bytes) -> bytes:
    """Every answer of a batch becomes that of a node without the method."""
    error = b'"error":{"code":-32601,"message":"the method does not exist"}'
    return re.sub(rb'"result":"0x[0-9a-f]*"', error, answer)


def test_a_v3_fork_with_another_swap_event_is_refused_with_its_whole_factory(
    scratch: Embedded,
) -> None:
    async def check() -> None:
        async with Rpc.connect(scratch.http_url) as rpc:
            asked = requests_of(scratch.world)
            for pool in scratch.world.pools:
                if pool.kind == "uniswap_v3":
                    code = await code_of(rpc, pool.address)
                    assert code.count(SWAP) == 1
                    await set_code(rpc, pool.address, code.replace(SWAP, PANCAKE_SWAP))
            await rpc.call("evm_mine")
            found = await bootstrap(rpc, asked, chain_id=137)
            assert {pool.kind for pool in found.pools} == {"uniswap_v2"}
            refused = [p.key for p in scratch.world.pools if p.kind == "uniswap_v3"]
            assert {missing.pool for missing in found.missing} == set(refused)
            for missing in found.missing:
                assert missing.reason == "emits other events than uniswap_v3: 0xc42079f9.."

    run(check())


def test_pools_behind_minimal_proxies_are_told_by_their_implementation(
    scratch: Embedded,
) -> None:
    async def check() -> None:
        async with Rpc.connect(scratch.http_url) as rpc:
            asked = requests_of(scratch.world)
            pool = next(pool for pool in scratch.world.pools if pool.kind == "uniswap_v3")
            asked = [each for each in asked if each.kind == pool.kind]
            asked = [each for each in asked if pool.fee_pips in each.fees_pips][:1]
            code = await code_of(rpc, pool.address)
            await set_code(rpc, IMPLEMENTATION, code)
            await set_code(rpc, pool.address, EIP_1167.format(IMPLEMENTATION[2:]))
            await rpc.call("evm_mine")
            found = await bootstrap(rpc, asked, chain_id=137)
            assert pool.address in {each.address for each in found.pools}
            await set_code(rpc, IMPLEMENTATION, code.replace(SWAP, PANCAKE_SWAP))
            await rpc.call("evm_mine")
            found = await bootstrap(rpc, asked, chain_id=137)
            assert pool.key in {each.pool for each in found.missing}

    run(check())


def test_a_pool_that_names_another_factory_is_left_out_alone(scratch: Embedded) -> None:
    factory_slot = f"0x{5:064x}"

    async def check() -> None:
        async with Rpc.connect(scratch.http_url) as rpc:
            pool = next(pool for pool in scratch.world.pools if pool.kind == "uniswap_v2")
            other = "0x" + STRANGER[2:].rjust(64, "0")
            await rpc.call("anvil_setStorageAt", pool.address, factory_slot, other)
            await rpc.call("evm_mine")
            found = await bootstrap(rpc, requests_of(scratch.world), chain_id=137)
            (missing,) = found.missing
            factory = scratch.world.factories[pool.dex]
            assert missing.pool == pool.key
            assert f"its factory() is {STRANGER}, not {factory}" in missing.reason
            assert len(found.pools) == len(scratch.world.pools) - 1

    run(check())


def test_a_pair_is_no_v3_pool_and_a_v3_pool_no_pair(embedded: Embedded) -> None:
    """Whatever their factories say: events and answers are of one kind alone."""

    async def check() -> None:
        async with Rpc.connect(embedded.http_url) as rpc:
            reader = await PinnedReader.open(rpc, await Driver(rpc).block())
            v2 = next(pool for pool in embedded.world.pools if pool.kind == "uniswap_v2")
            v3 = next(pool for pool in embedded.world.pools if pool.dex == UNISWAP_V3)
            swapped = {v2.address: UniswapV3Pool.topics, v3.address: UniswapV2Pool.topics}
            assert set(await other_events(reader, swapped)) == {v2.address, v3.address}

    run(check())


def test_only_code_that_is_there_and_whole_condemns(fresh_node: Node) -> None:
    pool_code = contract("UniswapV3Pool").bytecode
    fork = pool_code.replace(SWAP, PANCAKE_SWAP)
    cases: dict[str, tuple[bytes | str, bool]] = {
        "whole": (pool_code, False),
        "fork": (fork, True),
        "another contract": (contract("UniswapV2Factory").bytecode, True),
        "no code": ("0x", False),
        "a proxy of a fork": (EIP_1167.format(IMPLEMENTATION[2:]), True),
        "a newer proxy of a fork": (EIP_7511.format(IMPLEMENTATION[2:]), True),
        "a proxy of nothing": (EIP_1167.format("ee" * 20), False),
        "a proxy that asks elsewhere": ("0x5f545f5f5f5f84" + "5af4" + "00" * 200, False),
    }
    addresses = [Address("0x" + f"{n:02x}" * 20) for n in range(1, len(cases) + 1)]

    async def check() -> None:
        async with faulty_node(fresh_node) as faulty, Rpc.connect(faulty.http_url) as rpc:
            await set_code(rpc, IMPLEMENTATION, fork)
            for address, (code, _) in zip(addresses, cases.values(), strict=True):
                await set_code(rpc, address, code)
            await rpc.call("evm_mine")
            reader = await PinnedReader.open(rpc, await Driver(rpc).block())
            topics = dict.fromkeys(addresses, UniswapV3Pool.topics)
            before = rpc.requests
            found = await other_events(reader, topics)
            assert rpc.requests - before == 2
            assert [address in found for address in addresses] == [no for _, no in cases.values()]
            faulty.fail(Fault(rewrite=_without_code), times=1000, method="eth_getCode")
            assert await other_events(reader, topics) == {}

    run(check())
