"""The block feed on a node that behaves: order, completeness, reorganisations, cost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from dexarb.chain.feed.feed import BlockFeed
from dexarb.chain.rpc import Rpc
from dexarb.core.block import Block, BlockHash, BlockRef, BlockUpdate
from dexarb.errors import ReorgTooDeep
from tests.support.anvil import Node
from tests.support.chain_driver import (
    OTHER_TOPIC,
    TOPIC,
    UNWATCHED,
    WATCHED,
    WATCHING,
    Driver,
    run,
    until,
)
from tests.support.follower import following

PUSHED_AND_POLLED = pytest.mark.parametrize("scheme", ["ws", "http"])


def url(node: Node, scheme: str) -> str:
    return node.ws_url if scheme == "ws" else node.http_url


def known(*blocks: Block) -> list[BlockRef]:
    return [BlockRef(block.number, block.hash) for block in blocks]


@asynccontextmanager
async def driving(node: Node) -> AsyncIterator[Driver]:
    async with Rpc.connect(node.http_url) as rpc:
        driver = Driver(rpc)
        await driver.setup()
        yield driver


@pytest.mark.parametrize(("scheme", "cost"), [("ws", 1.0), ("http", 2.0)])
def test_steady_state_costs_at_most_two_requests_a_block(
    fresh_node: Node, scheme: str, cost: float
) -> None:
    async def check() -> None:
        async with driving(fresh_node) as driver:
            start = known(await driver.block())
            async with following(url(fresh_node, scheme), known=start) as follower:
                stats = follower.feed.stats
                await until(lambda: stats.subscriptions == 1 or scheme == "http")
                await until(lambda: stats.idle_polls > 0)
                for _ in range(30):
                    await driver.mine(events=3)
                    await follower.reach(await driver.block())
                await follower.check_against(driver)
                assert len(follower.received) == 30
                assert (stats.blocks, stats.backfilled_blocks) == (30, 0)
                assert stats.requests_per_block == cost
                assert all(received.block.seen_at for received in follower.received)
                assert not follower.troubles

    run(check())


@PUSHED_AND_POLLED
def test_a_gap_is_filled_in_order_and_in_batches(fresh_node: Node, scheme: str) -> None:
    async def check() -> None:
        async with driving(fresh_node) as driver:
            start = known(await driver.block())
            await driver.mine(200, events=0)
            await driver.mine(3)
            async with following(url(fresh_node, scheme), known=start) as follower:
                await follower.check_against(driver)
                numbers = [received.block.number for received in follower.received]
                assert numbers == list(range(1, 204))
                assert not any(received.block.seen_at for received in follower.received)
                stats = follower.feed.stats
                assert (stats.blocks, stats.backfilled_blocks) == (0, 203)
                # Headers in slices of 64 behind a target each, receipts eight blocks at a time.
                assert stats.backfill_requests <= 1 + 4 * 2 + 28

                await driver.mine(2)
                await follower.check_against(driver)
                assert [bool(received.block.seen_at) for received in follower.received[-3:]] == [
                    False,
                    True,
                    True,
                ]

    run(check())


@PUSHED_AND_POLLED
def test_logs_are_those_of_the_watched_and_transactions_are_all(
    fresh_node: Node, scheme: str
) -> None:
    async def check() -> None:
        async with driving(fresh_node) as driver:
            start = known(await driver.block())
            async with following(url(fresh_node, scheme), known=start) as follower:
                await driver.rpc.call("anvil_setCoinbase", UNWATCHED)
                await driver.emit()
                await driver.emit(UNWATCHED)
                await driver.emit(topic=OTHER_TOPIC)
                await driver.emit()
                broke = {"from": driver.sender, "to": WATCHED, "gas": hex(21_100)}
                broke |= {"gasPrice": hex(10**10), "data": "0x" + "00" * 4}
                await driver.rpc.call("eth_sendTransaction", broke)
                await driver.rpc.call("evm_mine")
                await follower.check_against(driver)
                (received,) = follower.received
                assert [log.transaction_index for log in received.contents.logs] == [0, 3]
                assert [log.log_index for log in received.contents.logs] == [0, 3]
                assert {log.topics for log in received.contents.logs} == {(TOPIC,)}
                assert [log.data[:32] for log in received.contents.logs] == [TOPIC, TOPIC]
                transactions = received.contents.transactions
                assert [transaction.index for transaction in transactions] == [0, 1, 2, 3, 4]
                assert [transaction.succeeded for transaction in transactions] == [True] * 4 + [
                    False
                ]
                assert {transaction.sender for transaction in transactions} == {driver.sender}
                assert [transaction.to for transaction in transactions][1] == UNWATCHED
                assert transactions[0].effective_gas_price == 10**10
                assert sum(t.gas_used for t in transactions) == received.block.gas_used
                update = received.update(7)
                assert isinstance(update, BlockUpdate)
                assert (update.seq, update.has_receipts, update.producer) == (7, True, UNWATCHED)

    run(check())


@pytest.mark.parametrize(("scheme", "depths"), [("ws", range(1, 21)), ("http", (1, 4, 20))])
def test_reorganisations_of_depth_1_to_20_arrive_as_branches_from_the_fork_point(
    fresh_node: Node, scheme: str, depths: Sequence[int]
) -> None:
    async def check() -> None:
        async with driving(fresh_node) as driver:
            start = known(await driver.block())
            async with following(url(fresh_node, scheme), known=start) as follower:
                for depth in depths:
                    # A reorganisation makes empty blocks: of empty ones it would make the same.
                    await driver.mine(depth)
                    head = await driver.block()
                    await follower.reach(head)
                    count = len(follower.received)
                    await driver.reorg(depth)
                    await follower.reach(await driver.block())
                    assert len(follower.received) - count == depth
                    assert follower.received[count].block.number == head.number - depth + 1
                await driver.mine()
                await follower.check_against(driver)
                assert len(follower.branch()) == sum(depths) + 1
                assert not follower.troubles

    run(check())


@PUSHED_AND_POLLED
@pytest.mark.parametrize("longer_by", [-4, 0, 3])
def test_another_branch_may_be_shorter_or_longer(
    fresh_node: Node, scheme: str, longer_by: int
) -> None:
    async def check() -> None:
        async with driving(fresh_node) as driver:
            await driver.mine(3)
            start = known(*await driver.chain())
            async with following(url(fresh_node, scheme), known=start) as follower:
                snapshot = await driver.rpc.call("evm_snapshot")
                await driver.mine(6)
                await follower.check_against(driver)
                await driver.rpc.call("evm_revert", snapshot)
                await driver.mine(6 + longer_by, events=2)
                await follower.check_against(driver)
                assert len(follower.branch()) == 6 + longer_by
                assert len(follower.received) >= 6 + 6 + longer_by

    run(check())


@PUSHED_AND_POLLED
def test_a_rollback_alone_brings_nothing_and_the_next_block_connects(
    fresh_node: Node, scheme: str
) -> None:
    async def check() -> None:
        async with driving(fresh_node) as driver:
            start = known(await driver.block())
            async with following(url(fresh_node, scheme), known=start) as follower:
                await driver.mine(5)
                await follower.check_against(driver)
                await driver.rpc.call("anvil_rollback", 3)
                await driver.mine(1, events=2)
                await follower.check_against(driver)
                assert [received.block.number for received in follower.received] == [
                    *range(1, 6),
                    3,
                ]

    run(check())


def test_a_reorganisation_while_we_were_away(fresh_node: Node) -> None:
    async def check() -> None:
        async with driving(fresh_node) as driver:
            await driver.mine(30)
            ours = known(*await driver.chain())
            await driver.reorg(12)
            await driver.mine(100, events=0)
            await driver.mine(2)
            async with following(fresh_node.ws_url, known=ours) as follower:
                await follower.check_against(driver)
                assert follower.received[0].block.number == 19
                assert len(follower.received) == 12 + 102

    run(check())


@pytest.mark.parametrize("depth", [128, 129])
def test_128_blocks_deep_is_followed_and_deeper_is_an_error(own_node: Node, depth: int) -> None:
    async def check() -> None:
        async with driving(own_node) as driver:
            await driver.mine(140)
            ours = known(*await driver.chain())
            await driver.reorg(depth)
            await driver.mine(1)
            async with following(own_node.ws_url, known=ours) as follower:
                if depth == 128:
                    await follower.check_against(driver)
                    assert len(follower.received) == 129
                    # The parents were found by 4-fold windows, not one by one.
                    assert follower.feed.stats.backfill_requests < 40
                else:
                    assert follower.task is not None
                    with pytest.raises(ReorgTooDeep) as caught:
                        await follower.task
                    assert caught.value.oldest_known == 140 - 128
                    assert not follower.received

    run(check())


@PUSHED_AND_POLLED
@pytest.mark.parametrize("blocks", [0, 3, 300])
def test_another_chain_is_too_deep_a_reorganisation(
    fresh_node: Node, scheme: str, blocks: int
) -> None:
    async def check() -> None:
        async with driving(fresh_node) as driver:
            await driver.rpc.call("anvil_mine", hex(blocks))
            ours = [BlockRef(number, BlockHash(f"0x{number:064x}")) for number in range(100, 105)]
            async with following(url(fresh_node, scheme), known=ours) as follower:
                assert follower.task is not None
                with pytest.raises(ReorgTooDeep):
                    await follower.task

    run(check())


def test_seen_at_is_when_the_head_was_heard_not_when_it_was_consumed(fresh_node: Node) -> None:
    now = 100.0

    async def check() -> None:
        nonlocal now
        async with driving(fresh_node) as driver, Rpc.connect(fresh_node.ws_url) as rpc:
            start = known(await driver.block())
            feed = BlockFeed(
                rpc,
                watched=WATCHING,
                known=start,
                now=lambda: now,
            )
            async with feed:
                await until(lambda: feed.stats.subscriptions == 1)
                for pushed in (1, 2, 3):
                    now = 100.0 * pushed
                    await driver.mine()
                    await until(lambda count=pushed: feed.stats.pushed == count)
                now = 900.0
                heard = [(await anext(feed)).block.seen_at for _ in range(3)]
                assert heard == [100.0, 200.0, 300.0]

    run(check())


@PUSHED_AND_POLLED
def test_waiting_is_cancelled_at_once_and_can_be_taken_up_again(
    fresh_node: Node, scheme: str
) -> None:
    async def check() -> None:
        async with driving(fresh_node) as driver:
            start = known(await driver.block())
            async with Rpc.connect(url(fresh_node, scheme)) as rpc:
                feed = BlockFeed(rpc, watched=WATCHING, known=start)
                async with feed:
                    for _ in range(20):
                        waiting = asyncio.ensure_future(anext(feed))
                        await asyncio.sleep(0)
                        waiting.cancel()
                        with pytest.raises(asyncio.CancelledError):
                            await waiting
                    await driver.mine(2)
                    found = [(await anext(feed)).block.number for _ in range(2)]
                    assert found == [1, 2]
                for _ in range(2):
                    with pytest.raises(StopAsyncIteration):
                        await anext(feed)

    run(check())


def test_a_feed_leaves_no_task_behind(fresh_node: Node) -> None:
    async def check() -> None:
        async with driving(fresh_node) as driver:
            start = known(await driver.block())
            before = asyncio.all_tasks()
            async with following(fresh_node.ws_url, known=start) as follower:
                await driver.mine(2)
                await follower.check_against(driver)
            await until(lambda: asyncio.all_tasks() == before)

    run(check())


def test_a_feed_outside_its_block_or_without_a_start_is_a_mistake(fresh_node: Node) -> None:
    async def check() -> None:
        async with Rpc.connect(fresh_node.http_url) as rpc:
            with pytest.raises(ValueError, match="start from"):
                BlockFeed(rpc, watched=WATCHING, known=())
            with pytest.raises(RuntimeError, match="async with"):
                await anext(
                    BlockFeed(rpc, watched=WATCHING, known=[BlockRef(0, BlockHash("0x00"))])
                )

    run(check())
