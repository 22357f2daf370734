"""The collector tells who does not look of pools that differ, and takes other alerts on SIGHUP."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from dexarb.alerts.alerts import Alerts
from dexarb.apps import collect
from dexarb.apps.process import Signals
from dexarb.config.collector import load_collector
from tests.alerts.files import alerts_config, alerts_table
from tests.support.chain_driver import run
from tests.support.collector import collecting, collector_config
from tests.support.mailbox import mailbox
from tests.support.true_chain import TrueChain
from tests.support.true_node import TrueNode

SECRET = "k3yOfTheService"
TITLE = "dexarb data-collector: "


def test_a_pool_that_differs_is_told_and_that_it_agrees_again(tmp_path: Path) -> None:
    async def play() -> None:
        chain = TrueChain(1)
        here = collecting(tmp_path, TrueNode(chain))
        with mailbox() as box:
            more = 'repeat_mins = 0\nkinds = ["mismatch"]\n[collector]'
            config = alerts_config(tmp_path, box.url(), more=more)
            with Alerts("data-collector", config, tick_s=0.001) as here.alerts:
                async with here.running():
                    await here.until_at(chain.head)
                    await here.until_at(chain.mine())
                    pool = max(chain.head.pools)
                    here.doubt(pool)
                    await here.until_at(chain.mine())
                    await here.until(lambda: here.state["left_out"] == [pool])
                    await here.until(lambda: len(box.mails) == 1)
                    await here.until_at(chain.mine())
                    await here.until(lambda: len(box.mails) == 2)
                    assert here.state["left_out"] == []
        assert box.titles == [
            f"{TITLE}differs from the chain",
            f"{TITLE}agrees with the chain again",
        ]
        assert box.mails[0]["message"] == f"pool {pool} is left out: to be read anew"

    run(play())


@pytest.fixture
def handlers() -> Iterator[None]:
    """Of signals, as they were before."""
    numbers = (signal.SIGHUP, signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
def test_sighup_takes_other_alerts_and_refuses_wrong_ones(tmp_path: Path) -> None:
    path = collector_config(tmp_path).path
    text = path.read_text()

    async def play(new: str) -> Alerts:
        signals, config = Signals(), load_collector(path)
        with capture_logs() as logs, Alerts("data-collector", config.alerts) as alerts:
            task = asyncio.ensure_future(collect.follow(config, signals, alerts))

            async def reloaded(table: str, event: str, count: int) -> None:
                path.write_text(text + table)
                signal.raise_signal(signal.SIGHUP)
                async with asyncio.timeout(10):
                    while sum(line["event"] == event for line in logs) < count:
                        await asyncio.sleep(0.002)

            async with asyncio.timeout(10):
                while signals.on_reload is None:
                    await asyncio.sleep(0.002)
            assert alerts.config is None
            await reloaded(alerts_table(new), "reload.done", 1)
            assert alerts.config is not None
            await reloaded(alerts_table(f"nonsense://{SECRET}"), "reload.refused", 1)
            await reloaded(alerts_table(new), "reload.done", 2)
            told = [line["alerts"] for line in logs if line["event"].startswith("reload.")]
            assert told == ["changed", "unchanged", "unchanged"]
            assert SECRET not in str(logs)
            signal.raise_signal(signal.SIGTERM)
            await task
        return alerts

    with mailbox() as box:
        asyncio.run(play(box.url(SECRET)))


@pytest.mark.usefixtures("handlers")
def test_a_sighup_before_the_start_is_over_is_not_lost(tmp_path: Path) -> None:
    path = collector_config(tmp_path).path

    async def play(new: str) -> None:
        signals, config = Signals(), load_collector(path)
        with Alerts("data-collector", config.alerts) as alerts:
            path.write_text(path.read_text() + alerts_table(new))
            signal.raise_signal(signal.SIGHUP)
            task = asyncio.ensure_future(collect.follow(config, signals, alerts))
            async with asyncio.timeout(10):
                while alerts.config is None:
                    await asyncio.sleep(0.002)
            signal.raise_signal(signal.SIGTERM)
            await task

    with mailbox() as box:
        asyncio.run(play(box.url(SECRET)))
