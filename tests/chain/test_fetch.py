"""What the contents of blocks cost."""

from __future__ import annotations

import pytest

from dexarb.chain import proof
from dexarb.chain.contents import Watched
from dexarb.chain.feed.fetch import ContentsFetcher
from dexarb.chain.feed.headers import HeaderReader
from dexarb.chain.rpc import Rpc
from tests.support.chain_driver import run
from tests.support.true_chain import TrueChain
from tests.support.true_node import TrueNode, transport


def test_a_block_is_proven_once(monkeypatch: pytest.MonkeyPatch) -> None:
    roots: list[int] = []
    list_root = proof.list_root

    def counted(values: list[bytes]) -> bytes:
        roots.append(len(values))
        return list_root(values)

    async def check() -> None:
        chain = TrueChain(1)
        blocks = [chain.mine(count) for count in (3, 1, 2)]
        async with Rpc([transport(TrueNode(chain))]) as rpc:
            headers = HeaderReader(rpc)
            asked = await headers.ask([block.hash for block in blocks])
            fetcher = ContentsFetcher(rpc, headers, Watched.of(chain.head.pools.values()))
            monkeypatch.setattr(proof, "list_root", counted)
            found = await fetcher.fetch([each for each in asked if each], 0, 0.0)
        assert all(each.is_proven for each in found)
        assert roots == [3, 1, 2]

    run(check())
