"""The collector on nodes that fail at the worst moment: it goes on when they do."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
from structlog.testing import capture_logs

from dexarb.amm.uniswap_v2 import UniswapV2Pool
from dexarb.apps import collector
from dexarb.apps.self_check import FORGIVEN_AFTER_BLOCKS, SelfCheck
from dexarb.chain.bootstrap.abi import selector
from dexarb.chain.bootstrap.multicall import MULTICALL3
from dexarb.chain.contents import Watched
from dexarb.chain.feed.feed import BlockFeed
from dexarb.chain.rpc import Rpc
from dexarb.core.block import BlockRef, BlockUpdate
from dexarb.core.market import Entry, Keyframe, Market, PoolsChanged
from dexarb.core.pool import Pool, PoolKey
from dexarb.store.follow import newest_market
from dexarb.store.history_check import check
from dexarb.store.history_reader import HistoryReader
from tests.support.chain_driver import run
from tests.support.collecting import assert_true
from tests.support.collector import Collecting, collecting
from tests.support.true_chain import TrueChain
from tests.support.true_contracts import FACTORIES
from tests.support.true_node import NodeError, TrueNode, transport
from tests.support.worlds.small_chain import CHEAP, PROFILE, TOKENS, WETH


class Faults:
    """What a node does from now on, until told otherwise. reverting: contracts; stateless: blocks
    by hash or number."""

    def __init__(self) -> None:
        self.pruned = self.down = False
        self.reverting: set[str] = set()
        self.stateless: set[str] = set()

    def __call__(self, method: str, params: Sequence[Any], result: Any) -> Any:
        if self.down:
            raise NodeError(-32603, "down")
        if self.pruned and method in ("eth_getBlockReceipts", "eth_getLogs"):
            raise NodeError(4444, "pruned history unavailable")
        if method == "eth_call" and self.reverting and params[0]["to"] == MULTICALL3:
            return "0x"  # without it each call can be answered for itself
        if method == "eth_call" and params[0]["to"] in self.reverting:
            raise NodeError(3, "execution reverted")
        if method == "eth_call" and any(each in str(params[1]) for each in self.stateless):
            raise NodeError(-32000, "missing trie node")
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
    monkeypatch.setattr(collector, "SILENCE_S", 0.1)

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


@pytest.mark.parametrize("keeps_states", [True, False])
def test_a_fork_behind_a_new_keyframe_costs_no_block_where_nodes_keep_states(
    tmp_path: Path, keeps_states: bool
) -> None:
    async def play() -> None:
        chain, faults = TrueChain(1), Faults()
        here = collecting(tmp_path, TrueNode(chain, lie=faults))
        async with here.running():
            await begun(here, chain, blocks=6)
        chain_of = here.config.chain  # another profile, so the next start is a keyframe
        chain_of.chain = chain_of.chain.model_copy(update={"builder_cutoff_ms": 7})
        async with here.running():
            await begun(here, chain, blocks=2)
            fork_point = chain.head.ancestor(3)
            if not keeps_states:
                faults.stateless = {fork_point.hash, hex(fork_point.number)}
            chain.reorg(3, 5)
            await here.until_at(chain.head)
            await begun(here, chain, blocks=3)
            assert here.state["breaks"] == 1
        found = check(here.folder)
        assert not found.problems
        assert bool(found.gaps) == (not keeps_states)
        assert newest_market(HistoryReader(here.folder)).pools == chain.head.pools

    run(play())


def pools_of(here: Collecting) -> Mapping[PoolKey, Pool]:
    return {} if here.market is None else here.market.pools


def entries_of(here: Collecting) -> list[Entry]:
    return list(HistoryReader(here.folder).entries(every_keyframe=True))


def test_a_fork_behind_a_pool_that_came_back_is_a_reorganisation_like_any_other(
    tmp_path: Path,
) -> None:
    async def play() -> None:
        chain = TrueChain(1)
        here = collecting(tmp_path, TrueNode(chain))
        async with here.running():
            await begun(here, chain, blocks=6)
            here.doubt(max(chain.head.pools))
            await begun(here, chain, blocks=2)
            await here.until(lambda: pools_of(here) == chain.head.pools)
            chain.reorg(3, 5)
            # On the new branch nobody had read it yet.
            await here.until_at(chain.head)
            await here.until(lambda: pools_of(here) == chain.head.pools)
            assert (here.state["breaks"], here.state["left_out"]) == (0, [])
        found = check(here.folder)
        assert (found.ok, found.gaps) == (True, [])
        entries = entries_of(here)
        assert sum(isinstance(entry, Keyframe) for entry in entries) == 1
        changes = [entry for entry in entries if isinstance(entry, PoolsChanged)]
        assert [(len(each.left), len(each.joined)) for each in changes] == [(1, 0), (0, 1), (0, 1)]
        assert newest_market(HistoryReader(here.folder)).pools == chain.head.pools

    run(play())


def test_pools_that_a_new_configuration_brings_or_drops_join_and_leave_at_the_start(
    tmp_path: Path,
) -> None:
    async def play() -> None:
        chain = TrueChain(1)
        here = collecting(tmp_path, TrueNode(chain))
        all_of_them = here.config
        fewer = [choice for choice in all_of_them.choices if choice.dex != "UniswapV3"]
        for choices, pools in ((fewer, 3), (all_of_them.choices, 4), (fewer, 3), (fewer, 3)):
            here.config = replace(all_of_them, choices=tuple(choices))
            async with here.running():
                await begun(here, chain, blocks=4)
                assert here.market is not None
                assert len(here.market.pools) == pools
                assert here.market.pools.items() <= chain.head.pools.items()
        others = [each for each in entries_of(here) if not isinstance(each, BlockUpdate)]
        first, joins, leaves = others
        assert isinstance(first, Keyframe)
        assert isinstance(joins, PoolsChanged)
        assert isinstance(leaves, PoolsChanged)
        assert [pool.kind for pool in joins.joined] == ["uniswap_v3"]
        assert leaves.left == tuple(pool.key for pool in joins.joined)
        assert (joins.left, leaves.joined) == ((), ())
        assert check(here.folder).ok

    run(play())


def test_a_state_that_the_chain_has_otherwise_at_the_start_is_put_right(tmp_path: Path) -> None:
    async def play() -> None:
        chain = TrueChain(1)
        here = collecting(tmp_path, TrueNode(chain))
        async with here.running():
            await begun(here, chain)
        pool = chain.head.pools[CHEAP]
        assert isinstance(pool, UniswapV2Pool)
        right = chain.head.pools[CHEAP] = replace(pool, reserve0=pool.reserve0 * 2)
        async with here.running():
            await here.until(lambda: here.market is not None and here.market.pools[CHEAP] == right)
        last = entries_of(here)[-1]
        assert isinstance(last, PoolsChanged)
        assert (last.left, last.joined) == ((CHEAP,), (right,))
        assert check(here.folder).state_mismatches == 1

    run(play())


@pytest.mark.parametrize(
    "seed", [*range(3), *(pytest.param(seed, marks=pytest.mark.fuzz) for seed in range(3, 40))]
)
def test_pools_that_come_and_go_over_reorganisations_and_restarts_leave_a_true_history(
    tmp_path: Path, seed: int
) -> None:
    async def play() -> None:
        chain, rng = TrueChain(seed), Random(seed)
        here = collecting(tmp_path, TrueNode(chain))
        for _ in range(3):
            async with here.running():
                await here.until_at(chain.head)
                for _ in range(15):
                    if rng.random() < 0.3:
                        here.doubt(rng.choice(sorted(chain.head.pools)))
                    if rng.random() < 0.25:
                        chain.reorg(rng.randrange(1, min(5, chain.head.number - 998)))
                    else:
                        chain.mine()
                    await here.until_at(chain.head)
                    assert here.state["breaks"] == 0
            chain.mine()  # a head beside our newest block is nothing to start at
        async with here.running():
            await here.until_at(chain.head)
            await here.until(lambda: pools_of(here) == chain.head.pools)
        entries = entries_of(here)
        assert sum(isinstance(entry, Keyframe) for entry in entries) == 1
        assert sum(isinstance(entry, PoolsChanged) for entry in entries) > 3
        assert_true(tmp_path, chain)

    run(play())


def test_a_state_file_that_cannot_be_written_is_told_once(tmp_path: Path) -> None:
    async def play() -> None:
        chain = TrueChain(1)
        here = collecting(tmp_path, TrueNode(chain))
        state = tmp_path / "data" / "pool_state.json"
        with capture_logs() as told:
            async with here.running():
                await begun(here, chain)
                state.unlink()
                state.mkdir()  # nothing can be renamed onto a folder
                await begun(here, chain, blocks=5)
                state.rmdir()
                await begun(here, chain)
        said = [each["event"] for each in told if each["event"].startswith("state")]
        assert said == ["state", "state.over"]

    run(play())


def test_differences_of_a_pool_that_lie_far_apart_do_not_add_up() -> None:
    check_of = SelfCheck(Rpc([transport(TrueNode(TrueChain(1)))]), None)
    market = Market(Keyframe(0, TrueChain(1).head.block, PROFILE, TOKENS, ()))
    assert [check_of.count_difference(CHEAP) for _ in range(2)] == [1, 2]
    for _ in range(FORGIVEN_AFTER_BLOCKS + 1):
        check_of.advance(market)
    assert [check_of.count_difference(CHEAP) for _ in range(2)] == [1, 2]


def test_heads_do_not_pile_up_while_nobody_takes_them() -> None:
    async def play() -> None:
        chain = TrueChain(1)
        rpc = Rpc([transport(TrueNode(chain))])
        ours = BlockRef(chain.head.number, chain.head.hash)
        watched = Watched.of(chain.head.pools.values())
        async with BlockFeed(rpc, watched=watched, known=[ours], poll_interval_s=0.0) as feed:
            for _ in range(20):
                await asyncio.sleep(0.005)
            assert feed.listener.heads.qsize() == 1  # asked again and again, heard once
            chain.mine()
            assert (await anext(feed)).block.hash == chain.head.hash

    run(play())


def test_a_false_answer_at_the_start_loses_no_pool(tmp_path: Path) -> None:
    async def play() -> None:
        chain = TrueChain(1)
        once = dict.fromkeys(FACTORIES.values(), 3)

        def lie(method: str, params: Sequence[Any], result: Any) -> Any:
            if method == "eth_call" and once.get(params[0]["to"], 0):
                once[params[0]["to"]] -= 1
                return "0x" + "00" * 32  # the factory knows no such pool
            return result

        here = collecting(tmp_path, TrueNode(chain, lie=lie))
        async with here.running():
            await begun(here, chain)
            assert here.market is not None
            assert here.market.pools == chain.head.pools

    run(play())


def test_one_false_answer_about_decimals_is_not_believed(tmp_path: Path) -> None:
    async def play() -> None:
        chain, lies = TrueChain(1), iter([True])

        def lie(method: str, params: Sequence[Any], result: Any) -> Any:
            asked = (params[0]["to"], params[0]["data"]) if method == "eth_call" else None
            if asked == (WETH, "0x" + selector("decimals()").hex()) and next(lies, False):
                return f"0x{6:064x}"
            return result

        here = collecting(tmp_path, TrueNode(chain, lie=lie))
        async with here.running():
            await begun(here, chain)
            assert here.market is not None
            assert here.market.tokens[WETH].decimals == 18
            assert here.market.pools == chain.head.pools

    run(play())


def test_a_pool_whose_logs_may_be_missing_is_read_at_once() -> None:
    async def play() -> None:
        chain = TrueChain(1)
        chain.mine(12)
        there = chain.head.pools
        wrong, right = max(there), min(there)
        false = TrueChain(1).head.pools[wrong]
        assert false != there[wrong]
        pools = [*(pool for key, pool in there.items() if key != wrong), false]
        market = Market(Keyframe(0, chain.head.block, PROFILE, TOKENS, tuple(pools)))
        checking = SelfCheck(Rpc([transport(TrueNode(chain))]), MULTICALL3)
        assert await checking.examine(market, [], {right}) == set()
        assert await checking.examine(market, [], {right, wrong}) == {wrong}

    run(play())


def test_a_head_to_which_there_is_no_way_holds_nobody_up(tmp_path: Path) -> None:
    """The preferred endpoint names the head of another chain, which is true in itself."""

    async def play() -> None:
        chain, other = TrueChain(1), TrueChain(9, start=5_000)
        other.mine()
        lies = False

        def lie(method: str, params: Sequence[Any], result: Any) -> Any:
            is_asked = method == "eth_getBlockByNumber" and params[0] == "latest"
            return other.head.header if lies and is_asked else result

        here = collecting(tmp_path, TrueNode(chain, lie=lie), TrueNode(chain))
        async with here.running():
            await begun(here, chain)
            lies = True
            await begun(here, chain, blocks=10)
            assert here.state["breaks"] == 0

    run(play())


def test_a_start_on_such_a_head_ends_as_well(tmp_path: Path) -> None:
    async def play() -> None:
        chain, other = TrueChain(1), TrueChain(9, start=5_000)
        other.mine()

        def lie(method: str, params: Sequence[Any], result: Any) -> Any:
            is_asked = method == "eth_getBlockByNumber" and params[0] == "latest"
            return other.head.header if is_asked else result

        here = collecting(tmp_path, TrueNode(chain, lie=lie), TrueNode(chain))
        async with here.running():
            await begun(here, chain)
            assert here.state["breaks"] == 0

    run(play())
