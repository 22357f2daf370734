"""paper-trading against a growing history: reloads, kills, and a ledger that adds up."""

from __future__ import annotations

import asyncio
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from dexarb.store.ledger_reader import read_only
from tests.support.live import live
from tests.support.live_trading import (
    both,
    digest,
    digest_of_an_uninterrupted_run,
    is_trading,
    settled,
    totals,
)
from tests.support.service import Heard

pytestmark = pytest.mark.e2e


def test_eight_strategies_trade_and_their_books_add_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard = Heard(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
    monkeypatch.setenv("WATCHDOG_USEC", "1000000")

    async def play() -> None:
        async with live(tmp_path) as run:
            collector, paper = await both(run)
            await run.blocks(80)
            await settled(run)
            found = totals(run)
            assert len(found.rows) == 8
            assert sum(row.sent for row in found.rows) > 0
            assert sum(row.filled for row in found.rows) > 0
            for row in found.rows:
                closed = row.filled + row.reverted + row.lost + row.expired + row.reorged
                assert row.sent == closed + row.open
                assert row.band_low_micro_usd <= row.profit_micro_usd <= row.band_high_micro_usd
            assert paper.stop() == 0
            assert collector.stop() == 0
            for process in (collector, paper):
                told = heard.all_of(process.pid)
                assert told[0].startswith("READY=1\n")
                assert told.count("WATCHDOG=1") >= 2
                assert told[-1] == "STOPPING=1"
            assert digest(run) == digest_of_an_uninterrupted_run(run, tmp_path / "again.sqlite")
            assert "strategies at block" in paper.text()
            assert list(run.files.logs.glob("paper_trading_*.log"))
            assert list(run.files.logs.glob("data_collector_*.log"))

    asyncio.run(play())


def test_a_killed_trader_goes_on_as_if_nothing_had_happened(tmp_path: Path) -> None:
    async def play() -> None:
        async with live(tmp_path, seed=3) as run:
            collector, paper = await both(run)
            for _ in range(5):
                await run.blocks(12)
                paper.kill()  # somewhere in the middle of these blocks
                await run.blocks(4)
                paper = run.start("paper-trading")
            await run.blocks(5)
            await settled(run)
            assert paper.stop() == 0
            assert collector.stop() == 0
            with read_only(run.files.ledger) as ledger:
                assert len(ledger.epochs()) == 8
                assert ledger.decisions()
            assert digest(run) == digest_of_an_uninterrupted_run(run, tmp_path / "again.sqlite")

    asyncio.run(play())


BROKEN: list[tuple[str, Callable[[str], str], str]] = [
    ("syntax", lambda t: t.replace('name = "Moderate"', "name = Moderate"), "not valid TOML"),
    ("empty", lambda t: t[:0], "there is no [[strategy]] and no [[grid]]"),
    ("unknown key", lambda t: t.replace("min_profit_usd", "min_profit", 1), "unknown key"),
    ("quoted number", lambda t: t.replace("= 5.0", '= "5.0"', 1), "without quotes"),
    ("unknown token", lambda t: t.replace("WBTC/USDC", "WBTX/USDC"), 'Did you mean "WBTC"?'),
    ("no pair", lambda t: t.replace("WBTC/USDC", "WBTC"), "is not a pair"),
    ("negative size", lambda t: t.replace("= 500.0", "= -500.0"), "greater than 0"),
    ("taken name", lambda t: t.replace('"WETH Only"', '"Moderate"'), "is taken"),
    ("rate", lambda t: t.replace("competition_rate = 0.7", "competition_rate = 7"), "to 1"),
    ("all off", lambda t: t.replace("enabled = true", "enabled = false"), "no strategy is enabled"),
]


def test_sighup_with_good_and_with_broken_files(tmp_path: Path) -> None:
    async def play() -> None:
        async with live(tmp_path) as run:
            collector, paper = await both(run)
            good = run.files.paper.read_text()
            before = {row.hash for row in totals(run).rows}
            await run.blocks(10)
            for count, (name, spoil, said) in enumerate(BROKEN, start=1):
                run.files.paper.write_text(spoil(good))
                paper.send(signal.SIGHUP)
                refused = lambda n=count: paper.text().count("reload.refused") == n  # noqa: E731
                await run.until(refused, f"the refusal of {name}")
                assert said in paper.text()
                assert "paper_trading.toml" in paper.text()
                await run.blocks(1)
                await settled(run)
            changed = good.replace("min_profit_usd = 10.0", "min_profit_usd = -1.0")
            run.files.paper.write_text(changed)
            found = subprocess.check_output(["pgrep", "paper-trading"], text=True)
            assert str(paper.pid) in found.split()
            paper.send(signal.SIGHUP)
            await run.until(lambda: "reload.done" in paper.text(), "the reload")
            assert "min_profit_usd 10 -> -1; new books" in paper.text()
            await run.blocks(15)
            await settled(run)
            rows = {row.name: row for row in totals(run).rows[:8]}
            assert len(before - {row.hash for row in rows.values()}) <= 1
            assert rows["Conservative"].sent > 0
            assert paper.stop() == 0
            assert collector.stop() == 0
            with read_only(run.files.ledger) as ledger:
                assert len(ledger.strategies()) == 9
                ended = [epoch for epoch in ledger.epochs() if epoch.to_seq is not None]
                assert len(ended) == 1
            assert digest(run) == digest_of_an_uninterrupted_run(run, tmp_path / "again.sqlite")

    asyncio.run(play())


def test_an_early_sighup_does_not_kill(tmp_path: Path) -> None:
    async def play() -> None:
        async with live(tmp_path) as run:
            paper = run.start("paper-trading")
            await run.until(lambda: "waiting" in paper.text(), "paper-trading to wait")
            paper.send(signal.SIGHUP)
            collector = run.start("data-collector")
            await run.until(lambda: is_trading(run), "paper-trading to start")
            assert paper.stop() == 0
            assert collector.stop() == 0

    asyncio.run(play())


def test_reorgs_reach_the_ledger(tmp_path: Path) -> None:
    async def play() -> None:
        async with live(tmp_path, seed=2) as run:
            text = run.files.paper.read_text()
            eager = text.replace("min_profit_usd = 0.10", "min_profit_usd = -1.0")
            run.files.paper.write_text(eager)
            collector, paper = await both(run)
            await run.blocks(40)
            await settled(run)
            await run.rpc.call("anvil_reorg", 20, [])
            await run.rpc.call("evm_mine")
            await settled(run)
            with read_only(run.files.ledger) as ledger:
                undone = [row for row in ledger.fills() if row.reorged_seq is not None]
                assert undone
                assert not ledger.open_decisions()
            for row in totals(run).rows:
                assert row.sent == row.filled + row.reverted + row.lost + row.expired
            assert paper.stop() == 0
            assert collector.stop() == 0
            assert digest(run) == digest_of_an_uninterrupted_run(run, tmp_path / "again.sqlite")

    asyncio.run(play())


def test_silence_raises_an_alarm_and_nothing_else(tmp_path: Path) -> None:
    async def play() -> None:
        async with live(tmp_path) as run:
            text = run.files.paper.read_text()
            hasty = text.replace("[general]\n", "[general]\nmax_state_age_secs = 0.5\n", 1)
            run.files.paper.write_text(hasty)
            collector, paper = await both(run)
            await run.blocks(3)
            await settled(run)
            collector.kill()
            await run.until(lambda: "Is data-collector running" in paper.text(), "the alarm")
            assert paper.running
            collector = run.start("data-collector")
            await run.blocks(2)
            await run.until(lambda: "silence.over" in paper.text(), "blocks again")
            await settled(run)
            assert paper.stop() == 0
            assert collector.stop() == 0

    asyncio.run(play())
