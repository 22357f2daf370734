"""Blocks of the past as nodes give them: in ranges as large as these will have, and only what can
be the chain's."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest

from dexarb.chain.contents import Watched
from dexarb.chain.feed.headers import HeaderReader
from dexarb.chain.feed.past import PastReader
from dexarb.chain.rpc import Rpc
from dexarb.core.undoing import undo, unplaced
from dexarb.errors import InvalidPoolState, OutsideError, Refused, RpcError
from tests.support.chain_driver import run
from tests.support.collecting import true_update
from tests.support.true_chain import TrueBlock, TrueChain
from tests.support.true_node import Lie, NodeError, TrueNode, transport

BLOCKS = 60
RANGES = [
    (-32005, "query returned more than 10000 results"),
    (-32602, "query exceeds max block range 4"),
    (-32000, "block range is too wide"),
    (-32008, "response is too big"),
    (-32701, "please limit the query to at most 4 blocks"),
]


def limited(most: int, code: int, message: str) -> Lie:
    def lie(method: str, params: Sequence[Any], result: Any) -> Any:
        if method == "eth_getLogs" and "fromBlock" in params[0]:
            first, last = (int(params[0][key], 16) for key in ("fromBlock", "toBlock"))
            if last - first >= most:
                raise NodeError(code, message)
        return result

    return lie


async def back(node: TrueNode, count: int) -> tuple[TrueBlock, dict[Any, Any], int]:
    """Undo the newest blocks of the node's chain: where that ends, the pools there, and how many
    there are only from later on. No event of a block may be missing."""
    head = node.chain.head
    async with Rpc([transport(node)], attempts=2, backoff_s=0.0) as rpc:
        past = PastReader(rpc, HeaderReader(rpc))
        headers = await past.headers(head.hash, count + 1)
        found = await past.logs(headers[1:], Watched.of(head.pools.values()))
        happened = [
            (header.block.number, each.logs)
            for header, each in zip(headers[1:], found, strict=True)
        ]
        true = [true_update(block).logs for block in list(head.branch())[:count][::-1]]
        assert [len(each.logs) for each in found] == list(map(len, true))
        pools = dict(head.pools)
        placed = await past.last_placed(unplaced(pools, happened), headers[0].block.number, 1_000)
        undone = undo(pools, happened, placed)
    begins = sum(map(len, undone.begins.values()))
    return head.ancestor(count), dict(undone.before), begins


@pytest.mark.parametrize(("code", "message"), RANGES)
def test_ranges_shrink_to_what_a_node_gives(code: int, message: str) -> None:
    chain = TrueChain(3)
    for _ in range(BLOCKS):
        chain.mine()
    node = TrueNode(chain, lie=limited(4, code, message))
    there, pools, begins = run(back(node, BLOCKS // 2))
    assert len(pools) + begins == len(chain.head.pools)
    assert pools.items() <= there.pools.items()
    assert len(pools) >= len(there.pools) // 2
    # Ranges of two to four blocks, and about two that were refused for each that was not.
    assert node.asked["eth_getLogs"] <= 3 * BLOCKS


def test_without_limits_it_takes_few_requests() -> None:
    chain = TrueChain(4)
    for _ in range(BLOCKS):
        chain.mine()
    node = TrueNode(chain)
    there, pools, _ = run(back(node, BLOCKS // 2))
    assert pools.items() <= there.pools.items()
    assert node.asked["eth_getLogs"] <= 2 + BLOCKS // 2  # some by themselves: blooms admit them
    assert node.asked["eth_getBlockByNumber"] <= BLOCKS // 2 + 1


def test_what_a_node_always_refuses_is_told() -> None:
    chain = TrueChain(5)
    for _ in range(10):
        chain.mine(3)
    with pytest.raises(RpcError, match="block range is too wide"):
        run(back(TrueNode(chain, lie=limited(0, -32000, "block range is too wide")), 5))


@pytest.mark.parametrize("seed", range(12))
def test_a_pools_logs_of_a_block_that_a_range_leaves_out_are_asked_for(seed: int) -> None:
    """The header's bloom tells that it is missing, and the block by itself has it."""
    chain = TrueChain(seed)
    for _ in range(BLOCKS):
        chain.mine(3)
    watched = {pool.address for pool in chain.head.pools.values()}

    def lie(method: str, params: Sequence[Any], result: Any) -> Any:
        if method == "eth_getLogs" and "fromBlock" in params[0] and len(params[0]["topics"]) == 1:
            oldest = chain.head.number - BLOCKS // 2
            own = [log for log in result if int(log["blockNumber"], 16) > oldest]
            if own and {log["address"] for log in own} <= watched:
                missing = own[seed % len(own)]
                place = missing["blockNumber"], missing["address"]
                return [log for log in result if (log["blockNumber"], log["address"]) != place]
        return result

    there, pools, _ = run(back(TrueNode(chain, lie=lie), BLOCKS // 2))
    assert pools.items() <= there.pools.items()
    assert pools


@pytest.mark.parametrize("field", ["blockHash", "data", "address"])
def test_a_log_that_is_not_of_the_chain_is_refused(field: str) -> None:
    chain = TrueChain(6)
    for _ in range(20):
        chain.mine(3)

    def lie(method: str, _: Sequence[Any], result: Any) -> Any:
        if method == "eth_getLogs" and result:
            log = result[-1]
            log[field] = log[field][:-2] + ("00" if log[field][-2:] != "00" else "01")
        return result

    with pytest.raises((Refused, InvalidPoolState)):
        run(back(TrueNode(chain, lie=lie), 10))


def test_a_block_that_is_not_the_parent_is_refused() -> None:
    chain = TrueChain(7)
    for _ in range(20):
        chain.mine(1)
    other = TrueChain(8)
    for _ in range(20):
        other.mine(1)

    def lie(method: str, params: Sequence[Any], result: Any) -> Any:
        if method == "eth_getBlockByNumber" and params[0] == hex(chain.head.number - 5):
            return other.head.ancestor(5).header
        return result

    with pytest.raises(OutsideError, match="not the next one's parent"):
        run(back(TrueNode(chain, lie=lie), 10))
