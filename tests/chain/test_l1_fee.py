"""A chain that charges a fee for data on another one is known by its receipts, whatever its profile
says of it, and refused once."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from dexarb.apps.endpoint_check import check_endpoint
from dexarb.chain.bootstrap.multicall import MULTICALL3
from dexarb.chain.rpc import Rpc
from dexarb.core.block import BlockHash
from dexarb.core.profile import ETHEREUM_HEADER
from dexarb.errors import UnfitChain
from tests.support.chain_driver import run
from tests.support.collecting import events
from tests.support.collector import Collecting, collecting
from tests.support.true_chain import TrueChain
from tests.support.true_node import Lie, TrueNode, transport
from tests.support.worlds.small_chain import CHAIN_ID

OP_STACK = {"l1Fee": "0x2540be400", "l1GasUsed": "0x640", "l1FeeScalar": "0.684"}
ARBITRUM = {"gasUsedForL1": "0x1a2b", "l1BlockNumber": "0x12d687"}
FREE = {"l1Fee": "0x0", "l1GasUsed": "0x640", "gasUsedForL1": "0x0"}
"""A rollup that charges nothing for it, or a transaction that paid nothing."""


def with_fields(fields: dict[str, str]) -> Lie:
    def told(method: str, _: Sequence[Any], result: Any) -> Any:
        return [each | fields for each in result] if method == "eth_getBlockReceipts" else result

    return told


async def collected(folder: Path, chain: TrueChain, *nodes: TrueNode) -> None:
    """Two blocks, or until it ends by itself: then its error is raised."""
    here = collecting(folder, *nodes)
    async with here.running():
        await here.until_at(chain.head)
        for _ in range(2):
            newest = chain.mine(3).hash
            await here.until(partial(_is_over, here, newest))


def _is_over(here: Collecting, block: BlockHash) -> bool:
    is_at = here.market is not None and here.market.block.hash == block
    return is_at or here.task.done()


@pytest.mark.parametrize("fields", [OP_STACK, ARBITRUM, {"l1GasUsed": "0x640"}])
def test_the_collector_ends_with_what_is_wrong(tmp_path: Path, fields: dict[str, str]) -> None:
    chain = TrueChain(1)
    with pytest.raises(UnfitChain) as caught:
        run(collected(tmp_path, chain, TrueNode(chain, lie=with_fields(fields))))
    assert caught.value.exit_code == 2
    assert caught.value.block > 1_000
    assert "chains that charge one are refused" in str(caught.value)


def test_a_fee_of_nothing_is_none(tmp_path: Path) -> None:
    chain = TrueChain(1)
    run(collected(tmp_path, chain, TrueNode(chain, lie=with_fields(FREE))))


def test_one_false_endpoint_does_not_end_it(tmp_path: Path) -> None:
    chain = TrueChain(1)
    false, true = TrueNode(chain, lie=with_fields(OP_STACK)), TrueNode(chain)
    with capture_logs() as said:
        run(collected(tmp_path, chain, false, true))
    (disputed,) = events(said, "l1_fee.disputed")
    assert disputed["without"] == ["node1"]
    assert false.asked["eth_getBlockReceipts"] > 2


@pytest.mark.parametrize("fields", [OP_STACK, FREE])
def test_the_doctor_tells_it(fields: dict[str, str]) -> None:
    async def check() -> str | None:
        chain = TrueChain(1)
        chain.mine(2)
        async with Rpc([transport(TrueNode(chain, lie=with_fields(fields)))]) as rpc:
            found = await check_endpoint(rpc, CHAIN_ID, ETHEREUM_HEADER, MULTICALL3)
        return found.problem

    assert ("an L1 data fee" in (run(check()) or "")) is (fields is OP_STACK)
