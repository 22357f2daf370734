"""What was decided and filled up to a block owes nothing to the blocks behind it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import pytest
from msgspec import structs

from dexarb.amm.abi import unsigned
from dexarb.amm.uniswap_v2 import SYNC
from dexarb.core.block import BlockUpdate, Log
from dexarb.core.market import Entry
from dexarb.core.trade import Decision, Fill
from dexarb.demo.anvil import CHAIN_ID
from dexarb.search.scan import warm_up
from dexarb.store.follow import first_keyframe
from dexarb.store.history_reader import HistoryReader
from dexarb.store.ledger_db import LedgerDb
from tests.support.sessions import paper_session
from tests.truth.conftest import SEED
from tests.truth.recording import changed, record, rewrite
from tests.truth.trials import strategies_of

FUTURE_BLOCKS = 10


class Rows(NamedTuple):
    """A ledger's decisions, and its fills with the seq of their block, in their order."""

    decisions: list[Decision]
    fills: list[Fill]

    def up_to(self, number: int) -> Rows:
        return Rows(
            [each for each in self.decisions if each.block.number <= number],
            [each for each in self.fills if each.block.number <= number],
        )


def traded(reader: HistoryReader, path: Path) -> Rows:
    """Paper trading over a whole history, by the session that the live trader uses."""
    warm_up()
    with LedgerDb.open(path, chain_id=CHAIN_ID, history=reader.folder) as ledger:
        session = paper_session(reader, ledger)
        for entry in reader.entries(session.from_seq):
            if session.next_seq is not None and not session.has_begun:
                session.use(strategies_of(session.engine.market))
            session.take(entry)
            session.write()
        decisions = [row.decision for row in ledger.decisions()]
        return Rows(decisions, [row.fill for row in ledger.fills()])


@pytest.fixture(scope="module")
def known(recorded: HistoryReader, tmp_path_factory: pytest.TempPathFactory) -> Rows:
    rows = traded(recorded, tmp_path_factory.mktemp("known") / "ledger.sqlite")
    assert len(rows.decisions) >= 200
    return rows


def first_number(reader: HistoryReader) -> int:
    return first_keyframe(reader).block.number


def cut(reader: HistoryReader, folder: Path, seq: int) -> HistoryReader:
    return rewrite(folder, reader.entries(to_seq=seq))


def other_prices(reader: HistoryReader, folder: Path, seq: int) -> HistoryReader:
    """Every pair pays another price than it did."""

    def dearer(log: Log) -> Log:
        if log.topics[0] != SYNC:
            return log
        reserve = unsigned(log.data, 0) * 103 // 100
        return structs.replace(log, data=reserve.to_bytes(32, "big") + log.data[32:])

    def change(update: BlockUpdate) -> BlockUpdate:
        return replace(update, logs=tuple(map(dearer, update.logs)))

    return rewrite(folder, changed(reader, seq, change, to_seq=seq + FUTURE_BLOCKS))


def dropped_logs(reader: HistoryReader, folder: Path, seq: int) -> HistoryReader:
    def change(update: BlockUpdate) -> BlockUpdate:
        return replace(update, logs=update.logs[::2])

    return rewrite(folder, changed(reader, seq, change, to_seq=seq + FUTURE_BLOCKS))


def other_blocks(reader: HistoryReader, folder: Path, seq: int) -> HistoryReader:
    """A real chain that is the same up to there and then goes another way."""
    blocks = sum(isinstance(entry, BlockUpdate) for entry in reader.entries(to_seq=seq))
    other = record(folder, SEED, blocks + FUTURE_BLOCKS, other_seed_after=blocks)
    assert [*other.entries(to_seq=seq)] == [*reader.entries(to_seq=seq)]
    return other


Future = Callable[[HistoryReader, Path, int], HistoryReader]


FUTURES = (cut, other_prices, dropped_logs, other_blocks)


@pytest.mark.parametrize("future", FUTURES)
def test_the_past_does_not_know_the_future(
    recorded: HistoryReader, known: Rows, tmp_path: Path, future: Future
) -> None:
    assert_past_stands(recorded, known, tmp_path, future, 60)


@pytest.mark.fuzz
@pytest.mark.parametrize("blocks", range(20, 100, 10))
@pytest.mark.parametrize("future", FUTURES)
def test_the_past_never_knows_the_future(
    recorded: HistoryReader, known: Rows, tmp_path: Path, future: Future, blocks: int
) -> None:
    assert_past_stands(recorded, known, tmp_path, future, blocks)


def assert_past_stands(
    recorded: HistoryReader, known: Rows, tmp_path: Path, future: Future, blocks: int
) -> None:
    """blocks: after how many, counted from the first, the future is another one."""
    number = first_number(recorded) + blocks
    seq = seq_of(recorded.entries(), number)
    rows = traded(future(recorded, tmp_path / "history", seq), tmp_path / "ledger.sqlite")
    assert len(known.up_to(number).decisions) >= blocks
    assert len(known.up_to(number).fills) >= blocks
    assert rows.up_to(number) == known.up_to(number)
    # Behind it nothing is the same: whoever looked ahead by a few blocks would have been caught.
    soon = number + FUTURE_BLOCKS
    assert rows.up_to(soon) != known.up_to(soon)


def seq_of(entries: Iterable[Entry], number: int) -> int:
    return next(
        entry.seq
        for entry in entries
        if isinstance(entry, BlockUpdate) and entry.block.number == number
    )
