"""The block feed on nodes and lines that misbehave: nothing is skipped, nothing ends."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from dexarb.chain.rpc import Rpc
from dexarb.core.block import BlockHash, BlockRef
from dexarb.errors import TransportError
from tests.support.anvil import Node, free_port, running_anvil
from tests.support.chain_driver import Driver, run, until
from tests.support.faulty_node import Fault, FaultyNode, faulty_node
from tests.support.follower import Follower, following


@asynccontextmanager
async def faulty_world(
    node: Node,
) -> AsyncIterator[tuple[Driver, FaultyNode, list[BlockRef]]]:
    async with Rpc.connect(node.http_url) as rpc, faulty_node(node) as faulty:
        driver = Driver(rpc)
        await driver.setup()
        start = await driver.block()
        yield driver, faulty, [BlockRef(start.number, start.hash)]


def rewritten(change: dict[bytes, bytes]) -> Fault:
    def rewrite(answer: bytes) -> bytes:
        for old, new in change.items():
            answer = answer.replace(old, new)
        return answer

    return Fault(rewrite=rewrite)


def as_error(code: int, message: str) -> Fault:
    """Every answer, single or batch, becomes this error."""

    def failed(entry: dict[str, object]) -> dict[str, object]:
        return {"id": entry["id"], "error": {"code": code, "message": message}}

    def rewrite(answer: bytes) -> bytes:
        found = msgspec.json.decode(answer)
        changed = [failed(entry) for entry in found] if isinstance(found, list) else failed(found)
        return msgspec.json.encode(changed)

    return Fault(rewrite=rewrite)


async def check_goes_on(driver: Driver, follower: Follower, blocks: int = 2) -> None:
    await driver.mine(blocks)
    await follower.check_against(driver)


@pytest.mark.parametrize(("scheme", "cost"), [("ws", 1), ("http", 2)])
def test_without_receipts_the_logs_are_asked_for(fresh_node: Node, scheme: str, cost: int) -> None:
    async def check() -> None:
        async with faulty_world(fresh_node) as (driver, faulty, start):
            refusal = as_error(-32601, "the method eth_getBlockReceipts does not exist")
            faulty.fail(refusal, times=10**6, method="eth_getBlockReceipts")
            url = faulty.ws_url if scheme == "ws" else faulty.http_url
            async with following(url, known=start) as follower:
                await driver.mine()
                await follower.check_against(driver)
                stats = follower.feed.stats
                before = stats.blocks, stats.requests
                for _ in range(10):
                    await check_goes_on(driver, follower, 1)
                assert stats.blocks - before[0] == 10
                assert stats.requests - before[1] == 10 * cost
                assert faulty.count("eth_getBlockReceipts") == 2
                assert not any(received.contents.has_receipts for received in follower.received)
                assert not any(received.contents.transactions for received in follower.received)
                assert all(received.contents.logs for received in follower.received)
                assert {received.witnesses for received in follower.received} == {0}
                assert not follower.troubles

    run(check())


def with_result(change: Callable[[list[Any]], list[Any]]) -> Fault:
    """Changes the result, in a batch all results."""

    def changed(message: dict[str, Any]) -> dict[str, Any]:
        return message | {"result": change(message["result"])}

    def rewrite(answer: bytes) -> bytes:
        found = msgspec.json.decode(answer)
        many = isinstance(found, list)
        return msgspec.json.encode([changed(each) for each in found] if many else changed(found))

    return Fault(rewrite=rewrite)


def moved(receipts: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [receipt | {"blockHash": "0x" + "99" * 32} for receipt in receipts]


TROUBLES = {
    "not there yet": rewritten({b'"result":[': b'"result":null,"was":['}),
    "of another block": with_result(moved),
    "none though gas was used": with_result(lambda _: []),
    "malformed": Fault(body=b"[{"),
    "a field that is no number": rewritten({b'"gasUsed":"0x': b'"gasUsed":"zz'}),
    "a log that is not hexadecimal": rewritten({b'"data":"0x': b'"data":"0xzz'}),
    "half a topic": rewritten({b'"topics":["0xc3c3': b'"topics":["0x'}),
    "cut": Fault(drop=True),
    "unknown block": as_error(-32000, "unknown block"),
}


def unknown(answer: bytes) -> bytes:
    """A node that says of a block it does not know that it has no logs."""
    entries = msgspec.json.decode(answer)
    for entry in entries:
        entry["result"] = [] if isinstance(entry["result"], list) else None
    return msgspec.json.encode(entries)


def swapped(answer: bytes) -> bytes:
    """Headers where logs should be, and the other way round."""
    first, second = msgspec.json.decode(answer)
    first["id"], second["id"] = second["id"], first["id"]
    return msgspec.json.encode([first, second])


@pytest.mark.parametrize("lie", [unknown, swapped])
def test_logs_are_only_believed_of_a_node_that_knows_the_block(
    fresh_node: Node, lie: Callable[[bytes], bytes]
) -> None:
    async def check() -> None:
        async with faulty_world(fresh_node) as (driver, faulty, start):
            refusal = as_error(-32601, "the method does not exist")
            faulty.fail(refusal, times=10**6, method="eth_getBlockReceipts")
            async with following(faulty.http_url, known=start) as follower:
                await check_goes_on(driver, follower, 1)
                faulty.fail(Fault(rewrite=lie), times=3, method="eth_getLogs")
                await check_goes_on(driver, follower, 1)
                assert follower.troubles
                assert all(received.contents.logs for received in follower.received)

    run(check())


def test_receipts_that_can_never_be_read_are_done_without(fresh_node: Node) -> None:
    async def check() -> None:
        async with faulty_world(fresh_node) as (driver, faulty, start):
            strange = rewritten({b'"transactionHash"': b'"transactionHashes"'})
            faulty.fail(strange, times=10**6, method="eth_getBlockReceipts")
            async with following(faulty.ws_url, known=start) as follower:
                await check_goes_on(driver, follower)
                asked = faulty.count("eth_getBlockReceipts")
                for _ in range(16):
                    await check_goes_on(driver, follower, 1)
                assert faulty.count("eth_getBlockReceipts") <= asked + 3 * 2
                assert not any(received.contents.has_receipts for received in follower.received)

    run(check())


@pytest.mark.parametrize("scheme", ["ws", "http"])
@pytest.mark.parametrize("trouble", list(TROUBLES))
def test_contents_that_are_not_to_be_had_are_asked_for_again(
    fresh_node: Node, scheme: str, trouble: str
) -> None:
    async def check() -> None:
        async with faulty_world(fresh_node) as (driver, faulty, start):
            url = faulty.ws_url if scheme == "ws" else faulty.http_url
            async with following(url, known=start) as follower:
                await check_goes_on(driver, follower)
                faulty.fail(TROUBLES[trouble], times=3, method="eth_getBlockReceipts")
                await check_goes_on(driver, follower)
                assert all(received.contents.has_receipts for received in follower.received)
                assert follower.troubles

    run(check())


def test_a_block_that_left_the_chain_before_its_receipts_came_is_given_up(
    fresh_node: Node,
) -> None:
    async def check() -> None:
        async with (
            faulty_world(fresh_node) as (driver, faulty, start),
            following(faulty.ws_url, known=start) as follower,
        ):
            await check_goes_on(driver, follower)
            gone = TROUBLES["not there yet"]
            faulty.fail(gone, times=10**6, method="eth_getBlockReceipts")
            await driver.mine(3)
            await until(lambda: len(follower.troubles) > 1)
            dead = [block.hash for block in await driver.chain(3)]
            await driver.reorg(3)
            faulty.heal()
            await check_goes_on(driver, follower)
            assert not {received.block.hash for received in follower.received} & set(dead)

    run(check())


def test_a_line_that_is_cut_is_opened_again(fresh_node: Node) -> None:
    async def check() -> None:
        async with (
            faulty_world(fresh_node) as (driver, faulty, start),
            following(faulty.ws_url, known=start) as follower,
        ):
            for cuts in range(1, 4):
                await check_goes_on(driver, follower)
                faulty.cut()
                await check_goes_on(driver, follower)
                await until(lambda n=cuts: follower.feed.stats.subscriptions > n)
            assert any(isinstance(trouble, TransportError) for trouble in follower.troubles)

    run(check())


def test_a_subscription_that_fell_silent_is_replaced(fresh_node: Node) -> None:
    async def check() -> None:
        async with (
            faulty_world(fresh_node) as (driver, faulty, start),
            following(faulty.ws_url, known=start, silence_s=0.4) as follower,
        ):
            stats = follower.feed.stats
            await until(lambda: stats.subscriptions == 1)
            await check_goes_on(driver, follower)
            faulty.mute = True
            await check_goes_on(driver, follower)
            assert stats.pushed == 2
            assert [r.block.seen_at is None for r in follower.received] == [False] * 2 + [True] * 2
            faulty.heal()
            await until(lambda: stats.subscriptions > 1)
            await until(lambda: faulty.connections > 1)
            await check_goes_on(driver, follower)

    run(check())


def test_a_quiet_chain_is_no_reason_to_subscribe_again(fresh_node: Node) -> None:
    async def check() -> None:
        async with (
            faulty_world(fresh_node) as (driver, faulty, start),
            following(faulty.ws_url, known=start, silence_s=0.2) as follower,
        ):
            await until(lambda: follower.feed.stats.idle_polls > 6)
            await check_goes_on(driver, follower, 1)
            assert follower.feed.stats.subscriptions == 1
            assert not follower.troubles

    run(check())


def test_polling_takes_over_where_nothing_is_pushed_any_more(fresh_node: Node) -> None:
    async def check() -> None:
        async with faulty_world(fresh_node) as (driver, faulty, start):
            urls = (faulty.ws_url, fresh_node.http_url)
            async with following(*urls, known=start) as follower:
                await until(lambda: follower.feed.stats.subscriptions == 1)
                await check_goes_on(driver, follower)
                faulty.closed = True
                faulty.cut()
                for _ in range(10):
                    await check_goes_on(driver, follower)
                pushed = follower.feed.stats.pushed
                # While polling works the blocks are heard live.
                assert follower.received[-1].block.seen_at is not None
                faulty.heal()

                async def pushes_again() -> bool:
                    await driver.mine()
                    return follower.feed.stats.pushed > pushed

                await until(pushes_again)
                await follower.check_against(driver)

    run(check())


def test_heads_that_cannot_be_read_are_asked_for(fresh_node: Node) -> None:
    async def check() -> None:
        async with (
            faulty_world(fresh_node) as (driver, faulty, start),
            following(faulty.ws_url, known=start) as follower,
        ):
            await until(lambda: follower.feed.stats.subscriptions == 1)
            await check_goes_on(driver, follower, 1)
            faulty.garble = True
            await check_goes_on(driver, follower, 3)
            assert follower.feed.stats.subscriptions == 1

    run(check())


@pytest.mark.parametrize("scheme", ["ws", "http"])
def test_a_node_that_was_away_is_caught_up_with(scheme: str) -> None:
    async def check() -> None:
        with running_anvil() as node:
            async with faulty_world(node) as (driver, faulty, start):
                url = faulty.ws_url if scheme == "ws" else faulty.http_url
                async with following(url, known=start, timeout_s=0.5) as follower:
                    await check_goes_on(driver, follower)
                    faulty.closed = True
                    faulty.cut()
                    await until(lambda: len(follower.troubles) > 3)
                    await driver.mine(20, events=0)
                    await driver.reorg(21)
                    await driver.mine(5)
                    faulty.heal()
                    await follower.check_against(driver)
                    await check_goes_on(driver, follower)

    run(check())


def test_nothing_to_connect_to_is_told_and_cancelled_at_once() -> None:
    async def check() -> None:
        port = free_port()
        urls = (f"ws://127.0.0.1:{port}", f"http://127.0.0.1:{port}")
        async with following(*urls, known=[BlockRef(0, BlockHash("0x" + "00" * 32))]) as follower:
            await until(lambda: len(follower.troubles) > 3)
            assert follower.task is not None
            assert not follower.task.done()

    run(check(), within_s=20)


@pytest.mark.parametrize("seed", range(4))
def test_any_course_of_events_ends_on_the_chain(fresh_node: Node, seed: int) -> None:
    """Blocks, forks, cuts and faults in random order."""
    chance = random.Random(seed)

    async def check() -> None:
        async with faulty_world(fresh_node) as (driver, faulty, start):
            urls = [faulty.ws_url, faulty.http_url] if seed % 2 else [faulty.http_url]
            snapshot = await driver.rpc.call("evm_snapshot")
            async with following(*urls, known=start, silence_s=0.2, timeout_s=0.3) as follower:
                for _ in range(30):
                    event = chance.randrange(9)
                    height = (await driver.block()).number
                    if event < 4:
                        await driver.mine(chance.randrange(1, 4), events=chance.randrange(3))
                    elif event == 4 and height > 2:
                        await driver.reorg(chance.randrange(1, min(height, 20)))
                    elif event == 5:
                        await driver.rpc.call("evm_revert", snapshot)
                        snapshot = await driver.rpc.call("evm_snapshot")
                        await driver.mine()
                    elif event == 6:
                        faulty.cut()
                    elif event == 7:
                        faulty.fail(chance.choice(list(TROUBLES.values())), method="Receipts")
                    else:
                        faulty.fail(Fault(status=503, body=b"", drop=bool(seed % 2)), times=3)
                        await asyncio.sleep(chance.random() * 0.05)
                faulty.heal()
                await check_goes_on(driver, follower)

    run(check())
