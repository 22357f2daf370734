"""The books when everything goes wrong around them: kills, locks, damage, other programs' files."""

from __future__ import annotations

import asyncio
import sqlite3
from functools import partial
from pathlib import Path
from random import Random

import pytest

from dexarb.store.ledger_reader import read_only
from tests.support.live import Live, live
from tests.support.live_trading import (
    both,
    digest,
    digest_of_an_uninterrupted_run,
    is_trading,
    settled,
    totals,
)

pytestmark = pytest.mark.e2e


def reached(run: Live, seq: int) -> bool:
    return totals(run).seq >= seq


async def play_with_kills(run: Live, kills: int, random: Random) -> None:
    """Blocks without a break while the trader is killed again and again, at any moment."""
    collector, paper = await both(run)
    for _ in range(kills):
        # Not by blocks alone: a kill may come while it starts, replays, writes or waits.
        ahead = random.randint(0, 6)
        half_way = totals(run).seq + ahead // 2
        await run.blocks(ahead)
        if random.random() < 0.7:
            await run.until(partial(reached, run, half_way), "the trader to be half way")
        paper.kill()
        await run.blocks(random.randint(0, 2))
        paper = run.start("paper-trading")
    await run.blocks(5)
    await settled(run)
    assert paper.stop() == 0
    assert collector.stop() == 0
    with read_only(run.files.ledger) as ledger:
        assert len(ledger.epochs()) == 8
        assert ledger.decisions()


@pytest.mark.fuzz
def test_fifty_kills_give_the_ledger_of_an_uninterrupted_run(tmp_path: Path) -> None:
    async def play() -> None:
        async with live(tmp_path, seed=5) as run:
            await play_with_kills(run, 50, Random(50))
            again = digest_of_an_uninterrupted_run(run, tmp_path / "again.sqlite")
            assert digest(run) == again

    asyncio.run(play())


def test_a_ledger_that_another_program_locks_makes_the_trader_wait(tmp_path: Path) -> None:
    async def play() -> None:
        async with live(tmp_path, seed=3) as run:
            collector, paper = await both(run)
            await run.blocks(10)
            await settled(run)
            other = sqlite3.connect(run.files.ledger, isolation_level=None)
            other.execute("BEGIN IMMEDIATE")
            held_at = totals(run).seq
            await run.blocks(10)
            await run.collected()
            await run.until(lambda: "close that program" in paper.text(), "the trader to say so")
            assert paper.running
            assert totals(run).seq == held_at
            other.execute("ROLLBACK")
            other.close()
            await run.blocks(2)
            await settled(run)
            assert paper.stop() == 0
            assert collector.stop() == 0
            assert digest(run) == digest_of_an_uninterrupted_run(run, tmp_path / "again.sqlite")

    asyncio.run(play())


def spoiled(path: Path) -> None:
    """Every page but the first is overwritten."""
    data = bytearray(path.read_bytes())
    for page in range(4096, len(data), 4096):
        data[page : page + 64] = b"\xff" * 64
    path.write_bytes(data)


def from_tomorrow(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("UPDATE meta SET value = '99' WHERE key = 'schema'")
    connection.commit()
    connection.close()


def test_a_ledger_that_cannot_be_used_is_named_and_left_alone(tmp_path: Path) -> None:
    """Trading does not start, with the remedy; collecting goes on; the remedy works."""

    async def play() -> None:
        async with live(tmp_path) as run:
            collector, paper = await both(run)
            await run.blocks(6)
            await settled(run)
            assert paper.stop() == 0
            whole = run.files.ledger.read_bytes()
            for spoil, said in ((spoiled, "malformed"), (from_tomorrow, "knows 2")):
                run.files.ledger.write_bytes(whole)
                spoil(run.files.ledger)
                before = run.files.ledger.read_bytes()
                paper = run.start("paper-trading")
                assert paper.ended() == 3
                assert said in paper.text()
                assert "ove it away" in paper.text()
                assert "Traceback" not in paper.text()
                assert run.files.ledger.read_bytes() == before
                await run.blocks(2)
                await run.collected()
                assert collector.running
            run.files.ledger.rename(tmp_path / "moved.sqlite")
            paper = run.start("paper-trading")
            await run.until(lambda: is_trading(run), "a new ledger")
            await run.blocks(2)
            await settled(run)
            assert paper.stop() == 0
            assert collector.stop() == 0

    asyncio.run(play())
