"""data-collector against a real node: what it keeps is what the chain says, whatever happens."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from dexarb.alerts.alerts import Alerts
from dexarb.apps.collect import Beside
from dexarb.apps.collect_plan import pool_requests
from dexarb.chain.bootstrap.sync import bootstrap
from dexarb.config.collector import load_collector
from dexarb.core.market import Market
from dexarb.store.follow import newest_market
from dexarb.store.history_check import check
from dexarb.store.history_reader import HistoryReader
from tests.support.live import PATIENCE_S, Live, live

pytestmark = pytest.mark.e2e


def history(run: Live) -> Path:
    return run.files.data / "history" / str(run.driver.world.chain_id)


async def assert_equals_chain(run: Live) -> Market:
    """Every pool of the history's end equals what the contracts answer now, to the wei."""
    await run.collected()
    config = load_collector(run.files.collector)
    found = await bootstrap(
        run.rpc, pool_requests(config.chain, config.choices), chain_id=run.driver.world.chain_id
    )
    market = newest_market(HistoryReader(history(run)))
    assert market.block.hash == found.block.hash
    assert len(found.pools) == len(run.driver.world.pools)
    for pool in found.pools:
        assert market.pools[pool.key] == pool
    return market


@pytest.mark.parametrize("endpoint", ["ws", "http"])
def test_two_hundred_blocks_of_traffic_to_the_wei(tmp_path: Path, endpoint: str) -> None:
    async def play() -> None:
        async with live(tmp_path, endpoint=endpoint, segment_blocks=60) as run:
            collector = run.start("data-collector")
            await run.collected()
            await assert_equals_chain(run)  # the bootstrap itself
            for _ in range(200):
                await run.driver.step()
                await run.collected()
            await assert_equals_chain(run)
            assert run.state()["metrics"]["rpc_requests_per_block"] <= 2.0
            assert collector.stop() == 0
            found = check(history(run))
            assert found.ok, found
            assert found.blocks == 200
            assert found.state_mismatches == 0

    asyncio.run(play())


def test_reorgs_of_depth_one_to_twenty(tmp_path: Path) -> None:
    async def play() -> None:
        async with live(tmp_path) as run:
            collector = run.start("data-collector")
            await run.collected()
            await run.blocks(30)
            for depth in range(1, 21):
                # Blocks that are empty on the new branch were not on the old one: all of them die.
                for amount in range(1, depth + 1):
                    await donate(run, amount=amount)
                await run.collected()
                await run.rpc.call("anvil_reorg", depth, [])
                await donate(run, amount=1)
                await assert_equals_chain(run)
            assert collector.stop() == 0
            found = check(history(run))
            assert found.ok, found
            assert found.dead_blocks == sum(range(1, 21))
            assert run.state()["metrics"]["reorgs"] == 20

    asyncio.run(play())


async def donate(run: Live, amount: int) -> None:
    """A block that changes a pool without the driver, whose nonces a reorg has confused."""
    world = run.driver.world
    pool = next(each for each in world.pools if each.kind == "uniswap_v2")
    giver = world.accounts.whales[0]
    to, value = pool.address[2:].rjust(64, "0"), f"{amount:064x}"
    transfer: dict[str, Any] = {
        "from": giver, "to": pool.token0.address, "data": f"0xa9059cbb{to}{value}", "gas": "0x30d40"
    }  # fmt: skip
    sync = {"from": giver, "to": pool.address, "data": "0xfff6cae9", "gas": "0x30d40"}
    for transaction in (transfer, sync):
        await run.rpc.call("eth_sendTransaction", transaction)
    await run.rpc.call("evm_mine")


def test_killed_collector_fills_the_gap(tmp_path: Path) -> None:
    async def play() -> None:
        async with live(tmp_path) as run:
            for killed in (True, True, False):
                collector = run.start("data-collector")
                await run.collected()
                await run.blocks(15)
                if killed:
                    collector.kill()  # somewhere in the middle of these blocks
                    await run.blocks(20)
            await assert_equals_chain(run)
            assert collector.stop() == 0
            found = check(history(run))
            assert found.ok, found
            assert found.gaps == []
            assert found.blocks == 85

    asyncio.run(play())


def test_a_second_collector_is_refused_and_names_the_first(tmp_path: Path) -> None:
    async def play() -> None:
        async with live(tmp_path) as run:
            first = run.start("data-collector")
            await run.collected()
            second = run.start("data-collector")
            await run.until(lambda: not second.running, "the second collector to end")
            assert second.stop() == 2
            assert f"process {first.pid}" in second.text()
            assert first.stop() == 0

    asyncio.run(play())


def test_other_pools_after_a_restart_start_a_new_segment(tmp_path: Path) -> None:
    async def play() -> None:
        async with live(tmp_path) as run:
            full = run.files.collector.read_text()
            few = full[: full.index("[[pools]]")]
            few += '[[pools]]\ndexes = ["QuickSwap", "SushiSwap"]\npairs = ["WETH/USDC"]\n'
            run.files.collector.write_text(few)
            collector = run.start("data-collector")
            await run.collected()
            await run.blocks(5)
            await run.collected()
            collector.stop()
            few_pools = len(run.state()["pools"])
            run.files.collector.write_text(full)
            await run.blocks(5)
            collector = run.start("data-collector")
            await run.until(lambda: len(run.state()["pools"]) > few_pools, "the other pools")
            await run.blocks(5)
            await assert_equals_chain(run)
            assert collector.stop() == 0
            assert check(history(run)).ok

    asyncio.run(play())


def test_a_collector_beside_a_trader_wakes_it_with_each_block(tmp_path: Path) -> None:
    async def play() -> None:
        async with live(tmp_path) as run:
            beside = Beside(load_collector(run.files.collector), Alerts("data-collector"))
            beside.start()
            try:
                await run.collected()
                beside.pause(0)  # of what has come so far
                for _ in range(3):
                    before = HistoryReader(history(run)).last_seq
                    waiting = asyncio.create_task(asyncio.to_thread(beside.pause, 2 * PATIENCE_S))
                    await run.driver.step()
                    await asyncio.wait_for(asyncio.shield(waiting), PATIENCE_S)
                    assert HistoryReader(history(run)).last_seq > before
            finally:
                await asyncio.to_thread(beside.stop)

    asyncio.run(play())
