"""The collector on nodes that fail at the worst moment: it goes on when they do."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from dexarb.apps import collect
from support.chain_driver import run
from support.collecting import Collecting, collecting
from support.true_chain import TrueChain
from support.true_node import NodeError, TrueNode


class Faults:
    """What a node does from now on, until told otherwise. reverting: contracts."""

    def __init__(self) -> None:
        self.pruned = self.down = False
        self.reverting: set[str] = set()

    def __call__(self, method: str, params: Sequence[Any], result: Any) -> Any:
        if self.down:
            raise NodeError(-32603, "down")
        if self.pruned and method in ("eth_getBlockReceipts", "eth_getLogs"):
            raise NodeError(4444, "pruned history unavailable")
        if method == "eth_call" and params[0]["to"] in self.reverting:
            raise NodeError(3, "execution reverted")
        return result


async def begun(run: Collecting, chain: TrueChain, blocks: int = 3) -> None:
    await run.until_at(chain.head)
    for _ in range(blocks):
        await run.until_at(chain.mine())


def test_after_a_break_an_endpoint_that_lags_is_waited_for(tmp_path: Path) -> None:
    async def play() -> None:
        chain, faults = TrueChain(1), Faults()
        node = TrueNode(chain, lie=faults)
        here = collecting(tmp_path, node)
        async with here.running():
            await begun(here, chain)
            faults.pruned = True
            chain.mine()
            await here.until(lambda: here.state["breaks"] == 1)
            asked = node.asked["eth_getCode"]
            node.lag = 3
            await here.until(lambda: node.asked["eth_getCode"] > asked + 5)  # bootstraps below it
            assert here.market is None
            faults.pruned, node.lag = False, 0
            await here.until_at(chain.mine())

    run(play())


@pytest.mark.parametrize("other", ["silent for good", "on another chain"])
def test_a_fork_below_all_that_is_recorded_does_not_wait_for_ever_for_another_endpoint(
    tmp_path: Path, other: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collect, "FORK_PATIENCE_S", 0.1)

    async def play() -> None:
        chain, silent = TrueChain(1), Faults()
        chain.mine()
        silent.down = True
        strange = TrueNode(TrueChain(7), chain_id=1)
        second = strange if other == "on another chain" else TrueNode(chain, lie=silent)
        here = collecting(tmp_path, TrueNode(chain), second)
        async with here.running():
            await begun(here, chain, blocks=0)
            chain.reorg(1, 2)
            await here.until_at(chain.head)
            assert here.state["breaks"] == 1

    run(play())


def test_a_pool_that_cannot_be_read_anew_is_asked_for_ever_less_often(tmp_path: Path) -> None:
    async def play() -> None:
        chain, faults = TrueChain(1), Faults()
        node = TrueNode(chain, lie=faults)
        here = collecting(tmp_path, node)
        async with here.running():
            await begun(here, chain)
            pool = max(chain.head.pools)
            faults.reverting = {pool}
            here.doubt(pool)
            await begun(here, chain, blocks=8)
            asked = Counter(node.asked)
            await begun(here, chain, blocks=40)
            later = node.asked - asked
            assert here.state["left_out"] == [pool]
            assert later["eth_call"] < 3 * later["eth_getBlockReceipts"]
            faults.reverting = set()
            await begun(here, chain, blocks=20)
            assert here.state["left_out"] == []

    run(play())
