"""Own strategies over restarts: the ledger is that of an uninterrupted run."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path

from dexarb.core.trade import Opportunity
from dexarb.store.history_reader import HistoryReader
from dexarb.store.history_writer import HistoryWriter
from dexarb.store.ledger_db import LedgerDb
from dexarb.store.ledger_rows import IncidentRow
from dexarb.trading.decide.custom import Books, Choice, Factories, MarketView, StrategyFactory
from tests.support.sessions import EverySecond, paper_session
from tests.support.worlds.small_chain import (
    CHAIN_ID,
    CHEAP,
    SmallChain,
    keyframe,
    settings,
    weth_pool,
)

BLOCKS = 24
FAILS_AT = 112


class Everything:
    def decide(
        self,
        market: MarketView,  # noqa: ARG002
        opportunities: Sequence[Opportunity],
        ledger: Books,  # noqa: ARG002
    ) -> Iterable[Choice]:
        return [Choice(each) for each in opportunities]


class Failing(Everything):
    def decide(
        self, market: MarketView, opportunities: Sequence[Opportunity], ledger: Books
    ) -> Iterable[Choice]:
        if market.block.number >= FAILS_AT:
            raise RuntimeError("cannot go on")
        return super().decide(market, opportunities, ledger)


class Nothing:
    def decide(self, *_given: object) -> Iterable[Choice]:
        return ()


STRATEGIES = (
    settings("built-in"),
    settings("everything", kind="everything"),
    settings("second", kind="second"),
    settings("failing", kind="failing"),
)
FACTORIES: Factories = {"everything": Everything, "second": EverySecond, "failing": Failing}


def history(folder: Path) -> HistoryReader:
    """A spread that opens and closes."""
    chain = SmallChain(keyframe())
    with HistoryWriter.open(
        folder, chain_id=CHAIN_ID, chain="small", segment_blocks=1000
    ) as writer:
        writer.append_keyframe(keyframe())
        for number in range(BLOCKS):
            price = (2_450, 2_450, 2_500)[number % 3]
            writer.append(chain.mine(weth_pool(CHEAP, price)))
    return HistoryReader(folder)


def trade(
    reader: HistoryReader, ledger: Path, last: float, factories: Factories = FACTORIES
) -> tuple[str, list[IncidentRow]]:
    """A trader's life up to an entry: what it finds, it continues."""
    with LedgerDb.open(ledger, chain_id=CHAIN_ID, history=reader.folder) as books:
        session = paper_session(reader, books, factories=factories)
        for entry in reader.entries(session.from_seq):
            if entry.seq > last:
                break
            if session.next_seq is not None and not session.settings:
                session.use(STRATEGIES)
            session.take(entry)
            if entry.seq > books.seq:
                session.write()
        return books.digest(), books.incidents()


def test_a_restart_after_every_few_entries_changes_nothing(tmp_path: Path) -> None:
    reader = history(tmp_path / "history")
    whole, incidents = trade(reader, tmp_path / "whole.sqlite", math.inf)
    (incident,) = incidents
    assert incident.strategy == STRATEGIES[3].hash
    assert incident.seq == FAILS_AT - 99
    assert "cannot go on" in incident.problem
    for last in range(4, BLOCKS + 2, 5):
        trade(reader, tmp_path / "parts.sqlite", last)
    assert trade(reader, tmp_path / "parts.sqlite", math.inf) == (whole, incidents)


def test_code_that_answers_otherwise_after_a_restart_unsends_nothing(tmp_path: Path) -> None:
    reader = history(tmp_path / "history")
    before = FAILS_AT - 100
    trade(reader, tmp_path / "ledger.sqlite", before)
    others: Factories = {"everything": Nothing, "failing": Everything}
    trade(reader, tmp_path / "ledger.sqlite", math.inf, others)
    with LedgerDb.open(
        tmp_path / "ledger.sqlite", chain_id=CHAIN_ID, history=reader.folder
    ) as books:
        totals = {each.name: each for each in books.totals()}
    # What it sent before has settled, and nothing of it was sent again.
    assert totals["everything"].sent == 4
    assert totals["everything"].filled + totals["everything"].reverted == 4
    assert totals["failing"].sent == 8
    # Gone altogether: its books stay.
    assert totals["second"].sent == 4
    assert totals["second"].open == 0


def test_a_kind_that_is_installed_later_takes_part(tmp_path: Path) -> None:
    reader = history(tmp_path / "history")
    factories: dict[str, StrategyFactory] = {}
    with LedgerDb.open(
        tmp_path / "ledger.sqlite", chain_id=CHAIN_ID, history=reader.folder
    ) as books:
        session = paper_session(reader, books, factories=factories)
        factories["everything"] = Everything
        for entry in reader.entries(session.from_seq):
            session.take(entry)
            session.write()
            if entry.seq == session.from_seq:
                session.use(STRATEGIES[1:2])
        assert not books.incidents()
        assert [each.sent > 0 for each in books.totals()] == [True]
