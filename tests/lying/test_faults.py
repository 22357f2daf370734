"""One fault at a time, each as somebody met it: what the collector makes of it, and says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from dexarb.core.block import BlockUpdate
from dexarb.core.market import Break, Keyframe
from dexarb.errors import TransportError
from dexarb.store.history_check import HistoryCheck, check
from tests.support.collecting import (
    assert_true,
    collecting,
    entries,
    events,
    history_of,
    market_of,
    recorded,
)
from tests.support.node_lies import GARBAGE
from tests.support.true_chain import Json, TrueChain
from tests.support.true_node import InProcess, NodeError, TrueNode, transport
from tests.support.virtual_time import run_at_once

RECEIPTS = "eth_getBlockReceipts"


def long_chain(blocks: int, seed: int = 3) -> TrueChain:
    chain = TrueChain(seed)
    for _ in range(blocks):
        chain.mine(2)
    return chain


def assert_nothing_but_gaps(found: HistoryCheck) -> None:
    assert replace(found, gaps=[], ok=True) == replace(
        found, gaps=[], ok=True, duplicates=0, state_mismatches=0, problems=[]
    )


# -- contents ------------------------------------------------------------------------------------


def without_the_last(receipts: list[Json]) -> list[Json]:
    return receipts[:-1]


def without_logs(receipts: list[Json]) -> list[Json]:
    return [receipt | {"logs": []} for receipt in receipts]


@pytest.mark.parametrize("change", [without_the_last, without_logs])
def test_receipts_that_are_not_whole_at_first_are_asked_for_again(
    tmp_path: Path, change: Callable[[list[Json]], list[Json]]
) -> None:
    """0xPolygon/bor#1654, ethereum/go-ethereum#23875."""
    asked: dict[str, int] = {}

    def lie(method: str, params: Sequence[Any], result: Any) -> Any:
        if method != RECEIPTS or not result:
            return result
        asked[params[0]] = asked.get(params[0], 0) + 1
        return change(result) if asked[params[0]] == 1 else result

    async def check_it() -> None:
        chain = long_chain(3)
        async with collecting(tmp_path, chain, transport(TrueNode(chain, lie=lie))) as run:
            await run.mine(10, transactions=4)
            assert await run.reach() < 1.0
            assert run.rpc.endpoints[0].refused >= 5
        assert_true(tmp_path, chain)

    run_at_once(check_it())


def test_an_index_of_logs_that_begins_anew_in_each_transaction_changes_no_order(
    tmp_path: Path,
) -> None:
    """erigontech/erigon#16491."""

    def lie(method: str, _: Sequence[Any], result: Any) -> Any:
        for receipt in result if method == RECEIPTS and result else ():
            for place, log in enumerate(receipt["logs"]):
                log["logIndex"] = hex(place)
        return result

    async def check_it() -> None:
        chain = long_chain(3)
        async with collecting(tmp_path, chain, transport(TrueNode(chain, lie=lie))) as run:
            await run.mine(10, transactions=6)
            await run.reach()
        assert_true(tmp_path, chain)

    run_at_once(check_it())


def test_one_malformed_answer_after_another_costs_no_block(tmp_path: Path) -> None:
    class Garbling(InProcess):
        garbage = list(GARBAGE) * 5

        async def send(self, payload: bytes) -> bytes:
            return self.garbage.pop() if self.garbage else await super().send(payload)

    async def check_it() -> None:
        chain = long_chain(3)
        line = Garbling(TrueNode(chain), "node")
        line.garbage = []
        async with collecting(tmp_path, chain, line) as run:
            await run.mine(3)
            line.garbage = list(GARBAGE) * 5
            await run.mine(5)
            await run.reach()
        assert_true(tmp_path, chain)

    run_at_once(check_it())


# -- endpoints -----------------------------------------------------------------------------------


def test_an_endpoint_that_stands_still_is_left_within_a_few_block_times(tmp_path: Path) -> None:
    """hyperlane-xyz/hyperlane-monorepo#2189, ethereum/go-ethereum#27353."""

    async def check_it() -> None:
        chain = long_chain(20)
        still, healthy = TrueNode(chain), TrueNode(chain)
        lines = transport(still, name="still"), transport(healthy, name="healthy")
        async with collecting(tmp_path, chain, *lines) as run:
            await run.mine(5)
            for lag in range(1, 31):
                still.lag = lag
                await run.mine()
            assert await run.reach() <= 1.0
            gap = max(
                (b.block.seen_at or 0) - b.block.timestamp - (a.block.seen_at or 0)
                for a, b in zip(recorded(tmp_path), recorded(tmp_path)[1:], strict=False)
            )
            assert gap < 10
        assert_true(tmp_path, chain)

    with capture_logs() as said:
        run_at_once(check_it())
    (left,) = events(said, "endpoint.left")
    assert left["endpoint"] == "still"
    assert "stands still at block" in left["reason"]


@pytest.mark.parametrize("chain_id", [1, 137], ids=["another id", "the same id"])
def test_a_second_endpoint_on_another_chain_is_named_and_never_believed(
    tmp_path: Path, chain_id: int
) -> None:
    """a16z/helios#175, DefiLlama/chainlist#3168."""

    class Line(InProcess):
        is_down = False

        async def send(self, payload: bytes) -> bytes:
            if self.is_down:
                raise TransportError(self.endpoint, "connection refused")
            return await super().send(payload)

    async def check_it() -> None:
        chain, other = long_chain(80), TrueChain(99, start=20_000 if chain_id == 1 else 1_070)
        ours = Line(TrueNode(chain), "ours")
        foreign = transport(TrueNode(other, chain_id=chain_id), name="foreign")
        async with collecting(tmp_path, chain, ours, foreign) as run:
            await run.mine(20)
            ours.is_down = True
            for _ in range(100):
                other.mine()
                await run.mine()
            ours.is_down = False
            assert await run.reach() < 65.0
            state = {report.endpoint: report.state for report in run.rpc.endpoints}
            assert state["foreign"] in ("wrong chain", "estranged")
        assert_true(tmp_path, chain)

    with capture_logs() as said:
        run_at_once(check_it())
    assert "foreign" in {entry["endpoint"] for entry in events(said, "endpoint.left")}
    assert not events(said, "break")


def test_trouble_is_told_once_when_it_lasts_and_once_when_it_is_over(tmp_path: Path) -> None:
    def refused(*_: object) -> Any:
        raise NodeError(-32603, "internal error")

    async def check_it() -> None:
        chain = long_chain(3)
        node = TrueNode(chain)
        async with collecting(tmp_path, chain, transport(node)) as run:
            await run.mine(5)
            node.lie = refused
            await run.mine(60)
            node.lie = None
            await run.mine(3)
            await run.reach()
        assert_true(tmp_path, chain)

    with capture_logs() as said:
        run_at_once(check_it())
    assert len(events(said, "feed.trouble")) == len(events(said, "feed.over")) == 1
    (trouble,) = events(said, "feed.trouble")
    assert trouble["down_since"]
    assert "internal error" in trouble["error"]


# -- lag, reorganisations, gaps ------------------------------------------------------------------


def test_a_start_on_an_endpoint_that_is_150_blocks_late_waits_for_it(tmp_path: Path) -> None:
    async def check_it() -> None:
        chain = long_chain(200)
        node = TrueNode(chain)
        async with collecting(tmp_path, chain, transport(node)) as run:
            await run.mine(150, transactions=2)
            await run.reach()
        before = len(entries(tmp_path))
        node.lag = 150
        async with collecting(tmp_path, chain, transport(node)) as run:
            await run.mine(30, transactions=2)
            assert len(entries(tmp_path)) == before
            node.lag = 0
            await run.mine()
            await run.reach()
        found = assert_true(tmp_path, chain)
        assert found.dead_blocks == found.duplicates == 0
        assert sum(isinstance(entry, Keyframe) for entry in entries(tmp_path)) == 1

    with capture_logs() as said:
        run_at_once(check_it())
    assert len(events(said, "lag")) == 1


@pytest.mark.parametrize("depth", [1, 3, 5])
def test_a_head_that_goes_back_right_after_the_start_loses_nothing(
    tmp_path: Path, depth: int
) -> None:
    async def check_it() -> None:
        chain = long_chain(20)
        node = TrueNode(chain)
        async with collecting(tmp_path, chain, transport(node)) as run:
            await run.mine()
            await run.reach()
        for lag in (depth, 0):  # with what we have, then anew
            async with collecting(tmp_path, chain, transport(node)) as run:
                node.lag = lag
                await run.mine(depth)
                node.lag = 0
                await run.mine(2)
                await run.reach()
        assert assert_true(tmp_path, chain).dead_blocks == 0

    run_at_once(check_it())


@pytest.mark.parametrize("depth", [1, 5])
def test_a_reorganisation_of_the_first_blocks_after_the_start_is_a_new_start(
    tmp_path: Path, depth: int
) -> None:
    async def check_it() -> None:
        chain = long_chain(20)
        async with collecting(tmp_path, chain, transport(TrueNode(chain))) as run:
            await run.mine()
            await run.reach()
            chain.reorg(depth)
            await run.mine(3)
            assert await run.reach() < 5.0
        assert_true(tmp_path, chain)

    run_at_once(check_it())


def test_blocks_that_nobody_keeps_any_more_are_a_gap_that_is_told(tmp_path: Path) -> None:
    """paradigmxyz/reth#27002, ethereum/go-ethereum#31939."""

    async def check_it() -> None:
        chain = long_chain(10)
        node = TrueNode(chain)
        async with collecting(tmp_path, chain, transport(node)) as run:
            await run.mine(5)
            await run.reach()
            last = chain.head.number
        for _ in range(400):
            chain.mine(1)

        def forgetful(method: str, params: Sequence[Any], result: Any) -> Any:
            if method in (RECEIPTS, "eth_getLogs") and params:
                name = params[0] if method == RECEIPTS else params[0]["blockHash"]
                if chain.blocks[name].number < chain.head.number - 128:
                    raise NodeError(4444, "pruned history unavailable")
            return result

        node.lie = forgetful
        async with collecting(tmp_path, chain, transport(node)) as run:
            await run.mine(3)
            assert await run.reach() < 10.0
            await run.mine(3)
            await run.reach()
        (told,) = [entry for entry in entries(tmp_path) if isinstance(entry, Break)]
        assert told.fork_point is not None
        assert told.fork_point.number == last
        assert "pruned" in told.reason
        found = check(history_of(tmp_path))
        assert found.gaps[0][0] == last + 1
        assert_nothing_but_gaps(found)

    run_at_once(check_it())


def test_a_chain_that_was_restarted_with_the_same_id_is_a_new_start(tmp_path: Path) -> None:
    async def check_it() -> None:
        chain, other = long_chain(10, seed=3), long_chain(2, seed=4)
        node = TrueNode(chain)
        async with collecting(tmp_path, chain, transport(node)) as run:
            await run.mine(5)
            await run.reach()
            node.chain = run.chain = other
            await run.mine(30)
            await run.reach()
        kinds = [type(entry) for entry in entries(tmp_path)]
        assert kinds.count(Break) == 1
        (told,) = [entry for entry in entries(tmp_path) if isinstance(entry, Break)]
        assert told.fork_point is None
        branch = [update.block.hash for update in recorded(tmp_path)]
        assert branch == [block.hash for block in other.head.branch()][: len(branch)][::-1]
        assert len(branch) >= 15
        assert dict(market_of(tmp_path).pools) == other.head.pools

    run_at_once(check_it())


@pytest.mark.parametrize("depth", [128, 129])
def test_a_deep_reorganisation_is_told_with_the_block_that_stands(
    tmp_path: Path, depth: int
) -> None:
    async def check_it() -> None:
        chain = long_chain(3)
        async with collecting(tmp_path, chain, transport(TrueNode(chain))) as run:
            await run.mine(250, transactions=1)
            await run.reach()
            newest = chain.head.number
            stands = chain.head.ancestor(depth)
            chain.reorg(depth, depth + 1)
            await run.mine(5)
            await run.reach()
        breaks = [entry for entry in entries(tmp_path) if isinstance(entry, Break)]
        found = check(history_of(tmp_path))
        assert found.dead == [(stands.number + 1, newest)]
        told = [entry.fork_point and entry.fork_point.hash for entry in breaks]
        assert told == ([] if depth <= 128 else [stands.hash])
        assert_true(tmp_path, chain)

    run_at_once(check_it())


def test_no_block_is_recorded_twice_over_many_starts(tmp_path: Path) -> None:
    async def check_it() -> None:
        chain = long_chain(30)
        node = TrueNode(chain)
        for lag in (0, 4, 0, 7, 1, 0):
            node.lag = lag
            async with collecting(tmp_path, chain, transport(node)) as run:
                await run.mine(6)
                node.lag = 0
                chain.reorg(2)
                await run.mine(2)
                await run.reach()
        assert_true(tmp_path, chain)
        updates = [entry for entry in entries(tmp_path) if isinstance(entry, BlockUpdate)]
        assert len({update.block.hash for update in updates}) == len(updates)

    run_at_once(check_it())
