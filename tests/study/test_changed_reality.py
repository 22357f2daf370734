"""A session in another reality than its ledger's: what was traded stays, and trading goes on."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dexarb.core.block import NO_ENTRY
from dexarb.core.ledger import COLUMNS
from dexarb.core.market import Market
from dexarb.core.profile import ScheduleChange
from dexarb.store.history_reader import HistoryReader
from dexarb.store.history_writer import HistoryWriter
from dexarb.store.ledger_db import LedgerDb
from dexarb.store.ledger_reader import read_only
from dexarb.study.session import Session
from dexarb.trading.models.reality import REALITY, Reality
from tests.study.test_session import BLOCKS, history, strategies
from tests.support.models import AlwaysFirst, AlwaysLost, FixedPrices, FlatGas, LaterBlocks
from tests.support.sessions import paper_session
from tests.support.worlds import small_chain

TRADED = 33
"""The entry after which the models are other ones."""
COUNTS = ("seen", "sent", "filled", "reverted", "lost", "expired", "reorged", "open")

OTHERS = {
    "gas": Reality(gas=FlatGas(flat=700_000)),
    "latency": Reality(latency=LaterBlocks()),
    "order": Reality(order=AlwaysFirst()),
    "competition": Reality(competition=AlwaysLost()),
    "value": Reality(value=FixedPrices()),
}


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> HistoryReader:
    return history(tmp_path_factory.mktemp("changed") / "history")


def trade(reader: HistoryReader, path: Path, to_seq: int, reality: Reality) -> Session:
    """Take up the ledger where it is and go on to an entry of the history."""
    with LedgerDb.open(path, chain_id=1, history=reader.folder) as ledger:
        session = paper_session(reader, ledger, reality=reality)
        for entry in reader.entries(session.from_seq, to_seq):
            if entry.seq == 3 and ledger.seq == NO_ENTRY:
                session.use(strategies())
            session.take(entry)
            session.write()
    return session


def same_books(session: Session, path: Path) -> None:
    """The columns that strategies decide by say what the ledger on disk says."""
    fold = session.engine.ledger
    with read_only(path) as ledger:
        for row in ledger.totals():
            for name in (*COUNTS, "profit_micro_usd", "gas_cost_micro_usd"):
                assert name in COLUMNS
                assert fold.value(row.hash, name) == getattr(row, name), (row.name, name)


@pytest.mark.parametrize("model", OTHERS)
def test_trading_goes_on_from_the_very_books_wherever_it_was_cut(
    reader: HistoryReader, tmp_path: Path, model: str
) -> None:
    """Blocks of both realities die, decisions are open at the cut, it is started again often."""
    other = OTHERS[model]
    for name, stops in (("whole", [BLOCKS]), ("often", [34, 35, 41, 48, BLOCKS])):
        path = tmp_path / name
        trade(reader, path, TRADED, REALITY)
        for number, stop in enumerate(stops):
            session = trade(reader, path, stop, other)
            assert session.changed_models == (() if number else (model,))
            same_books(session, path)
    with read_only(tmp_path / "whole") as whole, read_only(tmp_path / "often") as often:
        assert whole.digest() == often.digest()
        assert {(each.from_seq, each.to_seq, each.reality) for each in often.epochs()} == {
            (3, TRADED, REALITY.hash),
            (TRADED + 1, None, other.hash),
        }


def test_what_was_traded_before_stays_and_what_comes_is_of_the_reality_of_now(
    reader: HistoryReader, tmp_path: Path
) -> None:
    trade(reader, tmp_path / "one", BLOCKS, REALITY)
    trade(reader, tmp_path / "other", TRADED, REALITY)
    trade(reader, tmp_path / "other", BLOCKS, OTHERS["competition"])
    with read_only(tmp_path / "one") as one, read_only(tmp_path / "other") as other:
        before = [row for row in one.decisions() if row.seq <= TRADED]
        assert [row.decision for row in other.decisions() if row.seq <= TRADED] == [
            row.decision for row in before
        ]
        assert [row.fill for row in other.fills() if row.seq <= TRADED] == [
            row.fill for row in one.fills() if row.seq <= TRADED
        ]
        later = [row.decision for row in other.decisions() if row.seq > TRADED]
        assert later
        assert all(decision.competition_lost for decision in later)


def test_realities_may_alternate(reader: HistoryReader, tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    stops = [12, 21, 22, 35, 36, 37, 44, 50, BLOCKS]
    for number, stop in enumerate(stops):
        session = trade(reader, path, stop, list(OTHERS.values())[number % 4])
        same_books(session, path)
    with read_only(path) as ledger:
        assert len({epoch.from_seq for epoch in ledger.epochs()}) == len(stops)
        assert len(ledger.realities()) == 4


def test_a_gas_schedule_that_the_collector_learns_of_begins_epochs_with_its_keyframe(
    tmp_path: Path,
) -> None:
    """Before its block comes, so that the trades that follow are of no unknown reality; a session
    that starts later comes to the same books."""
    first = small_chain.keyframe()
    chain = small_chain.SmallChain(first)
    learned = replace(first.profile, gas_schedules=(ScheduleChange(107, "polygon-chicago"),))
    prices = [2_450, 2_500] * 6
    folder = tmp_path / "history"
    with HistoryWriter.open(folder, chain_id=137, chain="small") as writer:
        writer.append_keyframe(first)
        market = Market(first)
        for number, price in enumerate(prices):
            update = chain.mine(small_chain.weth_pool(small_chain.CHEAP, price))
            writer.append(update)
            market.apply(update)
            if number == 3:
                writer.append_keyframe(replace(market.keyframe(), profile=learned))
    reader, settings = HistoryReader(folder), small_chain.settings(latency_blocks=1)
    for name, stops in (("whole", [14]), ("often", [4, 6, 7, 10, 14])):
        for stop in stops:
            with LedgerDb.open(tmp_path / name, chain_id=137, history=folder) as ledger:
                session = paper_session(reader, ledger)
                for entry in reader.entries(session.from_seq, stop):
                    if entry.seq == 2 and ledger.seq == NO_ENTRY:
                        session.use([settings])
                    session.take(entry)
                    session.write()
    with read_only(tmp_path / "whole") as whole, read_only(tmp_path / "often") as often:
        units = {row.decision.block.number: row.decision.gas_units for row in whole.decisions()}
        now = REALITY.on(learned).hash
        assert whole.digest() == often.digest()
        assert [(each.from_seq, each.to_seq, each.reality) for each in whole.epochs()] == [
            (2, 5, REALITY.hash),
            (6, None, now),
        ]
    assert units == {
        **dict.fromkeys((101, 103, 105), 145_410),
        **dict.fromkeys((107, 109, 111), 193_290),
    }
