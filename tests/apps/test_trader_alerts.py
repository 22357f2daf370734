"""The paper trader tells who does not look: a stop, a first fill, a disk, and a digest's facts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import pytest

from dexarb.alerts.alerts import Alerts
from dexarb.apps.trader_alerts import TraderAlerts
from dexarb.config.paper import load_paper
from dexarb.core.ledger import Ledger
from dexarb.core.trade import StrategyHash
from dexarb.errors import StoreError
from dexarb.store.history_writer import HistoryWriter
from dexarb.store.ledger_db import LedgerDb
from dexarb.store.ledger_notes import RELOAD as OUTCOME
from dexarb.store.ledger_notes import ReloadOutcome
from dexarb.store.ledger_reader import read_only
from dexarb.store.ledger_rows import StrategyTotals
from tests.alerts.files import alerts_table
from tests.support.mailbox import Mailbox, mailbox
from tests.support.recorded import record
from tests.support.signals import RELOAD
from tests.support.traded import World, configure, strategy
from tests.support.trader import run_trader
from tests.support.worlds.small_chain import CHAIN_ID, CHEAP, SmallChain, keyframe, weth_pool

NEVER = 'repeat_mins = 0\nkinds = ["strategy_stopped", "first_fill", "disk", "loss_limit"]'


@dataclass
class Run:
    world: World
    box: Mailbox
    chain: SmallChain

    def trade(self, happens: Iterator[object]) -> Alerts:
        config = load_paper(self.world.config).alerts
        alerts = Alerts("paper-trading", config, tick_s=0.001)
        with alerts:
            run_trader(self.world, happens, alerts=alerts)
        return alerts

    def writer(self) -> HistoryWriter:
        return HistoryWriter.open(self.world.history, chain_id=CHAIN_ID, chain="small")

    def told(self, title: str) -> list[str]:
        return [
            mail["message"]
            for mail in self.box.mails
            if mail["title"] == f"dexarb paper-trading: {title}"
        ]


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Run]:
    with mailbox() as box:
        eager = strategy("eager") + "max_daily_trades = 1\n"
        world = configure(tmp_path, eager, strategy("other", size_usd=1000.0))
        text = world.config.read_text()
        world.config.write_text(text + alerts_table(box.url(), more=NEVER))
        first = keyframe()
        chain = SmallChain(first)
        record(tmp_path / "data", first, [chain.mine() for _ in range(2)])
        yield Run(world, box, chain)


def test_a_stop_and_first_fills_are_told_once(run: Run) -> None:
    def happens() -> Iterator[object]:
        with run.writer() as writer:
            yield writer.append(run.chain.mine())
            yield writer.append(run.chain.mine(weth_pool(CHEAP, 2_450)))
            for _ in range(3):
                yield writer.append(run.chain.mine())
            yield None

    alerts = run.trade(happens())
    assert run.told("strategy stopped") == ['"eager" by max_daily_trades at block 104']
    fills = "\n".join(run.told("first fill")).splitlines()
    assert sorted(line.partition(" at block 105: +")[0] for line in fills) == ['"eager"', '"other"']
    assert alerts.facts[0] == "block 107; strategies: 2"
    counts = "2 sent, 2 filled, 0 reverted, 0 lost; +"
    assert alerts.facts[1].startswith(f"since the start: {counts}")
    assert alerts.facts[2].startswith(f"in all: {counts}")


def test_what_was_filled_before_a_restart_is_no_news(run: Run) -> None:
    def happens() -> Iterator[object]:
        with run.writer() as writer:
            yield writer.append(run.chain.mine())
            yield writer.append(run.chain.mine(weth_pool(CHEAP, 2_450)))
            for _ in range(3):
                yield writer.append(run.chain.mine())
            yield None

    def goes_on() -> Iterator[object]:
        with run.writer() as writer:
            yield writer.append(run.chain.mine(weth_pool(CHEAP, 2_500)))
            yield writer.append(run.chain.mine(weth_pool(CHEAP, 2_450)))
            for _ in range(3):
                yield writer.append(run.chain.mine())
            yield None

    run.trade(happens())
    (first,) = run.told("first fill")
    alerts = run.trade(goes_on())
    assert run.told("first fill") == [first]
    assert alerts.facts[1].startswith("since the start: 1 sent, 1 filled, 0 reverted, 0 lost; +")
    assert alerts.facts[2].startswith("in all: 3 sent, 3 filled, 0 reverted, 0 lost; +")


def test_a_disk_that_takes_nothing_is_told_and_that_it_does_again(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_note = LedgerDb.put_note

    def full(self: LedgerDb, *given: object) -> None:
        if not run.told("disk nearly full"):
            raise StoreError(self.path, "cannot be written: no space left on device")
        put_note(self, *given)  # type: ignore[arg-type]

    monkeypatch.setattr(LedgerDb, "put_note", full)
    monkeypatch.setattr("dexarb.apps.trader.RETRY_S", 0.005)
    run.trade(iter([None]))
    (told,) = run.told("disk nearly full")
    assert told.endswith("cannot be written: no space left on device")
    assert run.told("disk has room again") == [str(run.world.ledger)]


def test_a_reload_takes_other_alerts_and_refuses_wrong_ones(run: Run) -> None:
    text = run.world.config.read_text()
    with mailbox() as other:

        def happens() -> Iterator[object]:
            with run.writer() as writer:
                yield writer.append(run.chain.mine())
                for wrong in ("nonsense://x", "${NO_SUCH_URL}"):
                    run.world.config.write_text(text.replace(run.box.url(), wrong))
                    yield RELOAD
                    assert "alerts: urls #1" in reload_of(run).errors[0]
                run.world.config.write_text(text.replace(run.box.url(), other.url()))
                yield RELOAD
                assert reload_of(run).changes == ("alerts change",)
                yield writer.append(run.chain.mine(weth_pool(CHEAP, 2_450)))
                for _ in range(3):
                    yield writer.append(run.chain.mine())
                yield None

        run.trade(happens())
        assert "dexarb paper-trading: strategy stopped" in other.titles
    assert run.box.mails == []


def test_alerts_that_a_reload_brings_are_told_what_holds_already(run: Run) -> None:
    text = run.world.config.read_text()
    run.world.config.write_text(text.partition("[alerts]")[0])

    def happens() -> Iterator[object]:
        with run.writer() as writer:
            yield writer.append(run.chain.mine())
            yield writer.append(run.chain.mine(weth_pool(CHEAP, 2_450)))
            yield writer.append(run.chain.mine())
            run.world.config.write_text(text)
            yield RELOAD
            yield None

    run.trade(happens())
    assert run.told("strategy stopped") == ['"eager" by max_daily_trades at block 104']


def test_a_digest_tells_what_came_since_the_last_one() -> None:
    alerts = Alerts("paper-trading")
    told = TraderAlerts(alerts)
    books = Ledger()
    books.open_rows([StrategyHash("a")])
    for name, value in (("sent", 3), ("filled", 3), ("profit_micro_usd", 10_000_000)):
        books.column(name)[:] = value
    told.know(books)
    told.stand([row(filled=5, usd=12)], 1, 7)
    assert alerts.facts[1] == (
        "since the start: 2 sent, 2 filled, 0 reverted, 0 lost; +2.00 USD net of gas"
    )
    alerts.digests += 1
    told.stand([row(filled=6, usd=13)], 1, 8)
    told.stand([row(filled=7, usd=11)], 1, 9)
    assert alerts.facts == [
        "block 9; strategies: 1",
        "since the last digest: 1 sent, 1 filled, 0 reverted, 0 lost; -2.00 USD net of gas",
        "in all: 7 sent, 7 filled, 0 reverted, 0 lost; +11.00 USD net of gas",
        'best: "A" +11.00 USD',
        'worst: "A" +11.00 USD',
    ]


def row(*, filled: int, usd: int) -> StrategyTotals:
    values: dict[str, Any] = dict.fromkeys((each.name for each in fields(StrategyTotals)), 0)
    values |= {"hash": StrategyHash("a"), "name": "A", "sent": filled, "filled": filled}
    return StrategyTotals(**values | {"profit_micro_usd": usd * 1_000_000})


def reload_of(run: Run) -> ReloadOutcome:
    with read_only(run.world.ledger) as ledger:
        outcome = ledger.note(OUTCOME)
    assert outcome is not None
    return outcome
