"""A block that a segment's keyframe stands on is reorganised right away: nobody starts there."""

from __future__ import annotations

from pathlib import Path

import pytest

from dexarb.core.market import Market
from dexarb.screens.calibrate import calibrate
from dexarb.store.follow import newest_market
from dexarb.store.history_reader import HistoryReader
from dexarb.store.ledger_db import LedgerDb
from dexarb.study.open_now import OpenNow, priced, way_to
from dexarb.study.span import span
from dexarb.study.study import run
from dexarb.study.walk import walk
from tests.support.recorded import record
from tests.support.sessions import paper_session
from tests.support.worlds import arrivals

SEGMENT, BLOCKS = 200, 340
DEAD = arrivals.START_BLOCK + SEGMENT
UPDATES = arrivals.fork_behind(SEGMENT, BLOCKS)


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> HistoryReader:
    folder = tmp_path_factory.mktemp("dead")
    history = record(folder, arrivals.first_keyframe(), UPDATES, segment_blocks=SEGMENT)
    return HistoryReader(history)


def market_of(number: int) -> Market:
    return arrivals.market_after([u for u in UPDATES if u.block.number <= number])


@pytest.mark.parametrize("block", [None, DEAD - 10, DEAD, DEAD + 40])
def test_scan_finds_the_market_of_any_block(reader: HistoryReader, block: int | None) -> None:
    market = run(OpenNow(), priced(reader, way_to(reader, block))).market
    expected = market_of(block or arrivals.START_BLOCK + BLOCKS)
    assert market.block == expected.block
    assert market.pools == expected.pools


def test_calibrate_judges_the_blocks_it_was_asked_for(reader: HistoryReader) -> None:
    found = calibrate(reader, DEAD + 40).whole
    assert (found.first_block, found.blocks) == (DEAD + 40, BLOCKS - SEGMENT - 39)


def test_the_newest_market_is_found_again(reader: HistoryReader) -> None:
    market = newest_market(reader)
    expected = market_of(arrivals.START_BLOCK + BLOCKS)
    assert (market.block, market.pools) == (expected.block, expected.pools)


def test_a_new_trader_follows_from_the_start(reader: HistoryReader, tmp_path: Path) -> None:
    with LedgerDb.open(tmp_path / "l.db", chain_id=137, history=reader.folder) as ledger:
        session = paper_session(reader, ledger)
        assert session.from_seq == 1
        for entry in reader.entries(session.from_seq):
            session.take(entry)
            assert not session.engine.is_lost
        assert session.engine.market.block == UPDATES[-1].block


def test_a_walk_sees_every_block_that_stands(reader: HistoryReader) -> None:
    moments = list(walk(span(reader, first=DEAD - 5, last=None, count=None)))
    assert [each.update.block.number for each in moments] == list(
        range(DEAD - 5, arrivals.START_BLOCK + BLOCKS + 1)
    )
