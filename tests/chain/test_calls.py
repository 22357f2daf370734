"""Nonces and selectors, which receipts do not have: by a real node, and by one that tells none."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from dexarb.chain.calls import Call, WholeBlock, calls_of
from dexarb.chain.contents import Watched
from dexarb.chain.feed.fetch import ContentsFetcher
from dexarb.chain.feed.headers import HeaderReader
from dexarb.chain.rpc import Rpc
from dexarb.core.block import BlockHash, Transaction
from tests.support.anvil import running_anvil
from tests.support.chain_driver import run
from tests.support.true_chain import TrueChain
from tests.support.true_node import TrueNode, transport

DATA = ("0x", "0xab", "0xa9059cbb", "0xA9059CBB" + "00" * 64)
SELECTORS = ("0x", "0xab", "0xa9059cbb", "0xa9059cbb")


def test_a_real_node_tells_them_for_one_more_call_a_block() -> None:
    async def sent(rpc: Rpc) -> str:
        """In one block, by one sender, to an account without code."""
        sender = (await rpc.call("eth_accounts"))[0]
        await rpc.call("evm_setAutomine", False)
        for data in DATA:
            fields = {"from": sender, "to": "0x" + "77" * 20, "data": data, "gas": "0x30d40"}
            await rpc.call("eth_sendTransaction", fields)
        await rpc.call("evm_mine")
        return str((await rpc.call("eth_getBlockByNumber", "latest", False))["hash"])

    async def fetched(url: str, *, keep_calls: bool) -> tuple[tuple[Transaction, ...], int]:
        async with Rpc.connect(url, attempts=1) as rpc:
            if keep_calls:
                hashes.append(await sent(rpc))
            headers = HeaderReader(rpc)
            asked = await headers.ask([BlockHash(hashes[0])])
            fetcher = ContentsFetcher(rpc, headers, Watched({}), keep_calls=keep_calls)
            before = rpc.calls
            (found,) = await fetcher.fetch([each for each in asked if each], 0, 0.0)
            assert found.is_proven
            return found.transactions, rpc.calls - before

    hashes: list[str] = []
    with running_anvil() as node:
        kept, calls = asyncio.run(fetched(node.http_url, keep_calls=True))
        plain, fewer = asyncio.run(fetched(node.http_url, keep_calls=False))
    assert tuple(each.selector for each in kept) == SELECTORS
    assert [each.nonce for each in kept] == [0, 1, 2, 3]
    assert {(each.nonce, each.selector) for each in plain} == {(None, None)}
    assert calls == fewer + 1


def test_no_block_waits_for_a_node_that_does_not_tell() -> None:
    """Its blocks have hashes alone where transactions were asked for."""

    async def check() -> None:
        chain = TrueChain(1)
        block = chain.mine(3)
        async with Rpc([transport(TrueNode(chain))], attempts=1) as rpc:
            headers = HeaderReader(rpc)
            asked = await headers.ask([block.hash])
            watched = Watched.of(chain.head.pools.values())
            fetcher = ContentsFetcher(rpc, headers, watched, keep_calls=True)
            (found,) = await fetcher.fetch([each for each in asked if each], 0, 0.0)
        assert found.is_proven
        assert len(found.transactions) == 3
        assert {(each.nonce, each.selector) for each in found.transactions} == {(None, None)}

    run(check())


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({"input": "0xA9059CBBff"}, "0xa9059cbb"),
        ({"data": "0x12345678"}, "0x12345678"),
        ({"input": "0x1"}, None),
        ({"input": "0xzz"}, None),
        ({"input": ""}, None),
        ({}, None),
    ],
)
def test_what_is_no_calldata_stays_unknown(told: dict[str, str], expected: str | None) -> None:
    name = "0x" + "AB" * 32
    block = msgspec.convert({"transactions": [{"hash": name, "nonce": "0x7", **told}]}, WholeBlock)
    known = {} if expected is None else {name.lower(): Call(7, expected)}
    assert calls_of(block) == known
