"""Reloads of a running trader: by command, by watch, and a thousand of them during live traffic."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dexarb.store.history_reader import HistoryReader
from dexarb.store.ledger_notes import RELOAD, ReloadOutcome
from dexarb.store.ledger_reader import read_only
from tests.support.live import Live, Process, live
from tests.support.live_trading import (
    both,
    digest,
    digest_of_an_uninterrupted_run,
    settled,
    totals,
)

pytestmark = pytest.mark.e2e


async def dexarb(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The command as a user would give it."""
    program = [str(Path(sys.executable).with_name("dexarb")), *arguments]
    return await asyncio.to_thread(
        lambda: subprocess.run(program, capture_output=True, text=True, check=False)
    )


def replace_file(path: Path, text: str) -> None:
    """As editors do: a new file takes the place of the old one at once."""
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(text)
    fresh.replace(path)


def outcome(run: Live) -> ReloadOutcome | None:
    with read_only(run.files.ledger) as ledger:
        return ledger.note(RELOAD)


async def outcome_number(run: Live, number: int) -> ReloadOutcome:
    """Wait for the outcome of the reload with this number."""
    found: list[ReloadOutcome] = []

    def is_there() -> bool:
        last = outcome(run)
        if last is not None and last.number >= number:
            found.append(last)
        return bool(found)

    await run.until(is_there, f"reload {number}")
    return found[0]


def test_dexarb_reload_tells_what_came_of_it(tmp_path: Path) -> None:
    async def play() -> None:
        async with live(tmp_path) as run:
            config = ["--config", str(run.files.paper)]
            collector, paper = await both(run)
            good = run.files.paper.read_text()
            await run.blocks(5)

            other = good.replace("min_profit_usd = 10.0", "min_profit_usd = -1.0")
            replace_file(run.files.paper, other)
            checked = await dexarb("config", "check", *config)
            assert checked.returncode == 0, checked.stderr
            assert f"A reload changes for process {paper.pid}" in checked.stdout
            said = '~ "Conservative" changes: min_profit_usd 10 -> -1; new books'
            assert said in checked.stdout
            assert outcome(run) is None

            done = await dexarb("reload", *config)
            assert done.returncode == 0, done.stderr
            assert said in done.stdout
            assert "7 unchanged, 1 changed" in done.stdout
            await run.blocks(10)
            await settled(run)

            replace_file(run.files.paper, good.replace("WBTC/USDC", "WBTX/USDC"))
            refused = await dexarb("reload", "--json", *config)
            assert refused.returncode == 2
            told = json.loads(refused.stdout)
            assert not told["ok"]
            assert 'Did you mean "WBTC"?' in told["errors"][0]
            assert paper.running

            # Back to where it began: the old books go on.
            replace_file(run.files.paper, good)
            back = await dexarb("reload", *config)
            assert "min_profit_usd -1 -> 10; its earlier books go on" in back.stdout
            await run.blocks(5)
            await settled(run)
            assert paper.stop() == 0
            assert collector.stop() == 0
            with read_only(run.files.ledger) as ledger:
                assert len(ledger.strategies()) == 9
                assert len(ledger.epochs()) == 10
            assert digest(run) == digest_of_an_uninterrupted_run(run, tmp_path / "again.sqlite")

    asyncio.run(play())


def test_a_watched_file_is_taken_up_when_it_is_whole(tmp_path: Path) -> None:
    async def play() -> None:
        async with live(tmp_path) as run:
            good = run.files.paper.read_text().replace(
                "[general]\n", "[general]\nwatch_config = true\n"
            )
            run.files.paper.write_text(good)
            collector, paper = await both(run)
            run.files.paper.unlink()
            await run.blocks(2)
            replace_file(run.files.paper, good.replace("= 3.0", "= 2.5"))
            first = await outcome_number(run, 1)
            assert first.ok
            assert first.asked_by == "watch"
            assert first.changes == ('~ "Aggressive" changes: min_profit_usd 3 -> 2.5; new books',)
            run.files.paper.write_text(good.replace("= 3.0", "= three"))
            second = await outcome_number(run, 2)
            assert "not valid TOML" in second.errors[0]
            run.files.paper.write_text(good.replace("watch_config = true", "watch_config = false"))
            third = await outcome_number(run, 3)
            assert third.counts is not None
            assert third.counts["changed"] == 1
            assert paper.stop() == 0
            assert collector.stop() == 0

    asyncio.run(play())


# -- many reloads ----------------------------------------------------------------------------------

GRID = """
[defaults]
pairs = ["WETH/USDC", "WMATIC/USDC"]
max_trade_size_usd = 1000.0

[[grid]]
name = "grid {min_profit_usd} {max_slippage_percent}"
min_profit_usd = [-1.0, 0.5, 1.0, 2.0, 4.0]
max_slippage_percent = [0.1, 0.5, 1.0]
"""


def files_for(good: str) -> list[tuple[str, bool]]:
    """Texts of a configuration, and whether each is a good one."""
    general = good[: good.index("[[strategy]]")]
    return [
        (good, True),
        (good.replace("min_profit_usd = 5.0", "min_profit_usd = -1.0", 1), True),
        (good.replace("WBTC/USDC", "WBTX/USDC"), False),
        (general + GRID, True),
        (good[: len(good) // 2] + "[[", False),
        (good.replace("enabled = false", "enabled = true"), True),
        (general + GRID.replace("2.0, 4.0", "8.0"), True),
    ]


def open_files(paper: Process) -> int:
    return len(os.listdir(f"/proc/{paper.pid}/fd"))  # noqa: PTH208


def resident_mb(paper: Process) -> float:
    pages = int(Path(f"/proc/{paper.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


async def storm(run: Live, paper: Process, reloads: int, look: Callable[[int], None]) -> int:
    """As many reloads while blocks are made as fast as the node can; returns how many blocks."""
    files = itertools.cycle(files_for(run.files.paper.read_text()))
    blocks, enough = 0, False

    async def traffic() -> None:
        nonlocal blocks
        while not enough:
            await run.blocks(1)
            blocks += 1

    making = asyncio.create_task(traffic())
    for number in range(1, reloads + 1):
        text, is_good = next(files)
        (replace_file if number % 2 else Path.write_text)(run.files.paper, text)
        paper.send(signal.SIGHUP)
        came = await outcome_number(run, number)
        assert (came.number, came.ok) == (number, is_good), came
        look(number)
        await run.until(lambda: making.done() or blocks >= number // 2, "blocks meanwhile")  # noqa: B023
        assert not making.done()
    # To its end: a cancelled block may already be asked of the node, which mines it all the same.
    enough = True
    await making
    return blocks


def play_storm(folder: Path, reloads: int) -> None:
    async def play() -> None:
        async with live(folder) as run:
            collector, paper = await both(run)
            files: list[int] = []
            memory: list[float] = []

            def look(number: int) -> None:
                if number >= reloads // 4:
                    files.append(open_files(paper))
                    memory.append(resident_mb(paper))

            blocks = await storm(run, paper, reloads, look)
            await settled(run)
            rows = totals(run).rows
            assert paper.stop() == 0
            assert collector.stop() == 0
            history = HistoryReader(run.files.data / "history" / str(run.driver.world.chain_id))
            with read_only(run.files.ledger) as ledger:
                assert ledger.seq == history.last_seq
                epochs = len(ledger.epochs())
            sent = sum(row.sent for row in rows)
            print(  # noqa: T201
                f"\n{reloads} reloads over {blocks} blocks: {epochs} epochs of {len(rows)}"
                f" strategies, {sent} sent, open files {min(files)}..{max(files)},"
                f" memory {memory[0]:.1f} -> {memory[-1]:.1f} MB (most {max(memory):.1f})"
            )
            assert sent > 0
            assert max(files) - min(files) <= 2
            assert memory[-1] - memory[0] < 16
            assert digest(run) == digest_of_an_uninterrupted_run(run, folder / "again.sqlite")

    asyncio.run(play())


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="Linux counts for us")
def test_reloads_during_traffic_lose_nothing(tmp_path: Path) -> None:
    play_storm(tmp_path, 28)


@pytest.mark.fuzz
def test_a_thousand_reloads_during_traffic_lose_nothing(tmp_path: Path) -> None:
    play_storm(tmp_path, 1000)
