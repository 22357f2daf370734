"""Which blocks count as filled in afterwards: nobody could have traded on them."""

from __future__ import annotations

from dexarb.chain.rpc import Rpc
from dexarb.core.block import BlockRef
from tests.support.anvil import Node
from tests.support.chain_driver import Driver, run, until
from tests.support.faulty_node import Fault, faulty_node
from tests.support.follower import following


async def known_of(driver: Driver) -> list[BlockRef]:
    await driver.setup()
    start = await driver.block()
    return [BlockRef(start.number, start.hash)]


def test_what_was_there_before_us_is_filled_in_and_what_comes_is_not(fresh_node: Node) -> None:
    async def check() -> None:
        async with Rpc.connect(fresh_node.http_url) as rpc:
            driver = Driver(rpc)
            known = await known_of(driver)
            await driver.mine(70)
            async with following(fresh_node.ws_url, known=known) as follower:
                await until(lambda: follower.feed.stats.subscriptions == 1)
                await follower.reach(await driver.block())
                await driver.mine(3)
                await follower.reach(await driver.block())
                filled = [received.update(0).backfilled for received in follower.received]
                assert filled == [True] * 70 + [False] * 3

    run(check())


def test_contents_that_come_long_after_the_head_was_heard_are_late(fresh_node: Node) -> None:
    now = 100.0

    def a_minute_later(answer: bytes) -> bytes:
        nonlocal now
        now += 60
        return answer

    async def check() -> None:
        async with Rpc.connect(fresh_node.http_url) as rpc, faulty_node(fresh_node) as faulty:
            driver = Driver(rpc)
            known = await known_of(driver)
            async with following(faulty.ws_url, known=known, now=lambda: now) as follower:
                await until(lambda: follower.feed.stats.subscriptions == 1)
                await driver.mine()
                await follower.reach(await driver.block())
                faulty.fail(Fault(rewrite=a_minute_later), method="eth_getBlockReceipts")
                await driver.mine()
                await follower.reach(await driver.block())
                assert [received.backfilled for received in follower.received] == [False, True]
                assert [received.block.seen_at for received in follower.received] == [100.0] * 2

    run(check())
