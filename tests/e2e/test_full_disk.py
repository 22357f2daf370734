"""A disk that takes no more: the processes say so, wait, and have lost nothing when it does again.

The limit on a process's file sizes stands in for the full disk: writes fail in the same place.
"""

from __future__ import annotations

import asyncio
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dexarb.store.history_check import check
from tests.support.live import Live, Process, live
from tests.support.live_trading import (
    both,
    digest,
    digest_of_an_uninterrupted_run,
    settled,
    totals,
)

pytestmark = pytest.mark.e2e


@contextmanager
def full_disk(process: Process) -> Iterator[None]:
    """No file of the process may grow beyond a few bytes."""
    soft, hard = resource.prlimit(process.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (16, hard))
    try:
        yield
    finally:
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (soft, hard))


def history(run: Live) -> Path:
    return run.files.data / "history" / str(run.driver.world.chain_id)


def test_a_collector_without_disk_waits_and_loses_no_block(tmp_path: Path) -> None:
    async def play() -> None:
        async with live(tmp_path) as run:
            collector, paper = await both(run)
            await run.blocks(5)
            await settled(run)
            before = totals(run).seq
            with full_disk(collector):
                await run.blocks(5)
                assert collector.running
                assert totals(run).seq == before
            await run.blocks(5)
            await settled(run)
            assert collector.stop() == 0
            assert paper.stop() == 0
            found = check(history(run))
            assert found.ok, found
            assert found.blocks == 15

    asyncio.run(play())


def test_a_trader_without_disk_stops_trading_while_collecting_goes_on(tmp_path: Path) -> None:
    async def play() -> None:
        async with live(tmp_path, seed=3) as run:
            collector, paper = await both(run)
            await run.blocks(10)
            await settled(run)
            with full_disk(paper):
                await run.blocks(20)
                await run.collected()
                assert paper.running
                assert totals(run).seq < run.state()["seq"]
            await run.blocks(5)
            await settled(run)
            assert paper.stop() == 0
            assert collector.stop() == 0
            assert digest(run) == digest_of_an_uninterrupted_run(run, tmp_path / "again.sqlite")

    asyncio.run(play())
