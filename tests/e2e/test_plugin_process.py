"""Own strategies of an installed package in the real process: trading, failing, coming back."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from dexarb.config.plugins import StrategyTypes
from dexarb.store.ledger_notes import Hasty
from dexarb.store.ledger_reader import read_only
from tests.support.live import live
from tests.support.live_trading import (
    both,
    digest,
    digest_of_an_uninterrupted_run,
    settled,
    totals,
)
from tests.support.own_package import install

pytestmark = pytest.mark.e2e

SOURCE = """
from dexarb import Choice


class Eager:
    def __init__(self, *, most=10**30):
        self.most = most

    def decide(self, market, opportunities, ledger):
        return [Choice(each) for each in opportunities if each.amount_in <= self.most]


class Doomed(Eager):
    def __init__(self, *, blocks):
        super().__init__()
        self.left = blocks

    def decide(self, market, opportunities, ledger):
        self.left -= 1
        if self.left < 0:
            raise RuntimeError(f"the end at block {market.block.number}")
        return super().decide(market, opportunities, ledger)
"""
STRATEGIES = """
[defaults]
pairs = ["WETH/USDC", "WMATIC/USDC", "WBTC/USDC", "WBTC/WETH", "WMATIC/WETH"]
min_profit_usd = -1.0
max_trade_size_usd = 1000.0

[[strategy]]
name = "built in"

[[strategy]]
name = "eager"
kind = "eager"

[[strategy]]
name = "doomed"
kind = "doomed"
parameters = {blocks = 8}

[[strategy]]
name = "wishful"
latency_ms = 0
"""


def test_own_strategies_trade_fail_and_are_replayed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packages = tmp_path / "packages"
    packages.mkdir()
    install(packages, "demo_own", SOURCE, {"eager": "Eager", "doomed": "Doomed"})
    monkeypatch.setenv("PYTHONPATH", str(packages))
    monkeypatch.syspath_prepend(packages)

    own = tmp_path / "own.toml"
    own.write_text("[general]\nlog_level = 'debug'\n" + STRATEGIES)

    async def play() -> None:
        async with live(tmp_path, paper_config=own) as run:
            text = run.files.paper.read_text()
            often = text.replace("metrics_interval_secs = 10", "metrics_interval_secs = 1")
            run.files.paper.write_text(often)
            collector, paper = await both(run)
            await run.blocks(25)
            await settled(run)
            said = "latency_ms is less than a decision takes here"
            await run.until(lambda: said in paper.text(), "the warning of wishful")
            assert paper.text().count(said) == 1
            metrics = totals(run).metrics
            assert metrics is not None
            assert metrics.latency_ms_below_measured == Hasty(1, ("wishful",))
            assert paper.text().count("strategy.failed") == 1
            assert "RuntimeError: the end at block" in paper.text()
            paper.kill()
            await run.blocks(5)
            paper = run.start("paper-trading")
            await run.blocks(15)
            await settled(run)
            assert paper.stop() == 0
            assert collector.stop() == 0
            with read_only(run.files.ledger) as ledger:
                rows = {row.name: row for row in ledger.totals()}
                (incident,) = ledger.incidents()
                assert incident.strategy == rows["doomed"].hash
                assert "in decide" in incident.problem
                last = ledger.decisions(rows["doomed"].hash)
                assert all(each.seq < incident.seq for each in last)
            assert rows["eager"].sent > 0
            assert rows["eager"].filled > 0
            # It takes all that it is offered, as the built-in strategy does at its minimum.
            assert rows["eager"].sent == rows["built in"].sent
            again = digest_of_an_uninterrupted_run(run, tmp_path / "again.sqlite", StrategyTypes())
            assert digest(run) == again

    asyncio.run(play())
