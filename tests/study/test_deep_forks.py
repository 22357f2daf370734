"""A fork of any depth: the books are those of a session that remembers everything."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dexarb.core.block import Block, BlockHash, BlockRef
from dexarb.core.market import MAX_REORG_DEPTH, Entry, Market
from dexarb.errors import StoreError
from dexarb.store.history_reader import HistoryReader
from dexarb.store.history_writer import HistoryWriter
from dexarb.store.ledger_db import LedgerDb
from dexarb.store.ledger_reader import LedgerReader, read_only
from dexarb.study import session as session_module
from dexarb.study.session import Session
from tests.study.test_session import strategies
from tests.support.sessions import paper_session
from tests.support.worlds.random_chain import RandomChain

BEFORE, DEAD, AFTER = 40, 150, 30
"""Blocks: that stand, that die at once, and of the branch that replaces them."""


@pytest.fixture(autouse=True)
def few_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint is due after every fifth block."""
    monkeypatch.setattr(session_module, "WORK_PER_CHECKPOINT", 5 * session_module.WORK_PER_BLOCK)


def deep_fork(folder: Path) -> HistoryReader:
    """As the collector writes one: a break, and the market of the fork point."""
    chain = RandomChain("deep", noise=0.01)
    with HistoryWriter.open(folder, chain_id=1, chain="random") as writer:
        writer.append_keyframe(chain.first)
        for _ in range(BEFORE):
            writer.append(chain.mine())
        fork = chain.tip
        for _ in range(DEAD):
            writer.append(chain.mine())
        writer.append_break(BlockRef(fork.number, fork.hash), "reorganised")
        pools = tuple(chain.states_at(fork).values())
        writer.append_keyframe(replace(chain.first, block=fork, pools=pools))
        above = fork
        for _ in range(AFTER):
            update = chain.mine(parent=above)
            writer.append(update)
            above = update.block
    return HistoryReader(folder)


class Run:
    """A session on a history; what it did to go back."""

    def __init__(self, reader: HistoryReader, path: Path, memory: int | None = None) -> None:
        """memory: so many blocks and no more are remembered after each entry."""
        self._reader, self._path, self._memory = reader, path, memory
        self.begun: list[int] = []

    def to(self, last: int) -> str:
        with LedgerDb.open(self._path, chain_id=1, history=self._reader.folder) as ledger:
            session = paper_session(self._reader, ledger)
            self.begun.append(session.from_seq)
            for entry in self._reader.entries(session.from_seq, last):
                if entry.seq == 3:
                    session.use(strategies())
                began = session.from_seq
                session.take(entry)
                if session.from_seq != began:
                    self.begun.append(session.from_seq)
                if self._memory is not None:
                    session.engine.remember(self._memory)
                session.write()
            session.pause()
            self.check_columns(session, ledger)
            return ledger.digest()

    def check_columns(self, session: Session, ledger: LedgerReader) -> None:
        """What strategies decide by says what the ledger on disk says."""
        fold = session.engine.ledger
        for row in ledger.totals():
            for name in ("sent", "filled", "reverted", "open", "reorged", "profit_micro_usd"):
                assert fold.value(row.hash, name) == getattr(row, name), (row.name, name)


def test_fills_of_150_dead_blocks_are_undone(tmp_path: Path) -> None:
    reader = deep_fork(tmp_path / "history")
    run = Run(reader, tmp_path / "ledger.db")
    run.to(reader.last_seq)
    first, back = run.begun
    assert (first, 1 < back <= BEFORE) == (1, True)  # not from the beginning
    with read_only(tmp_path / "ledger.db") as ledger:
        fills = ledger.fills()
        dead = [each for each in fills if BEFORE + 2 <= each.seq <= BEFORE + 1 + DEAD]
        assert len(dead) > 50
        assert {each.reorged_seq for each in dead} == {BEFORE + DEAD + 2}
        stands = [each for each in fills if each.seq <= BEFORE]
        assert len(stands) > 10
        assert not any(each.reorged_seq for each in stands)
        assert any(each.seq > BEFORE + DEAD for each in fills)
        evidence = [each for each in ledger.evidence() if BEFORE + 1 < each.seq <= BEFORE + DEAD]
        assert all(each.reorged_seq for each in evidence)


def test_how_much_is_remembered_changes_nothing(tmp_path: Path) -> None:
    """From the first entry or from a checkpoint, remembered or found again, in one run or several:
    the books are the same."""
    reader = deep_fork(tmp_path / "history")
    digest = Run(reader, tmp_path / "whole.db", memory=1_000).to(reader.last_seq)
    forgetful = Run(reader, tmp_path / "forgetful.db", memory=3)
    assert forgetful.to(reader.last_seq) == digest
    cut = Run(reader, tmp_path / "cut.db")
    for last in (BEFORE, BEFORE + 100, BEFORE + DEAD + 1, BEFORE + DEAD + 2, BEFORE + DEAD + 3):
        cut.to(last)
    assert cut.to(reader.last_seq) == digest


def test_where_nothing_stands_nothing_is_filled(tmp_path: Path) -> None:
    """Another chain under the same address, as a development node that begins anew."""
    chain, folder = RandomChain("deep", noise=0.01), tmp_path / "history"
    with HistoryWriter.open(folder, chain_id=1, chain="random") as writer:
        writer.append_keyframe(chain.first)
        for _ in range(DEAD):
            writer.append(chain.mine())
    run = Run(HistoryReader(folder), tmp_path / "ledger.db")
    run.to(DEAD)
    with HistoryWriter.open(folder, chain_id=1, chain="random") as writer:
        writer.append_break(None, "another chain")
        other = replace(chain.first.block, hash=BlockHash("0xother"))
        writer.append_keyframe(replace(chain.first, block=other))
    run.to(DEAD + 3)
    assert run.begun[-1] == 1
    with read_only(tmp_path / "ledger.db") as ledger:
        assert len(ledger.fills()) > 50
        assert all(each.reorged_seq for each in ledger.fills())
        totals = ledger.totals()
    assert {(each.filled, each.profit_micro_usd, each.open) for each in totals} == {(0, 0, 0)}
    assert all(each.sent == each.reorged for each in totals)


def test_shallow_forks_with_a_memory_of_one_block(tmp_path: Path) -> None:
    """Each of the many forks of up to four blocks is a deep one then."""
    chain = RandomChain("shallow", noise=0.01)
    folder = tmp_path / "history"
    with HistoryWriter.open(folder, chain_id=1, chain="random") as writer:
        writer.append_keyframe(chain.first)
        branch: list[Block] = [chain.first.block]
        for number in range(60):
            if number % 7 == 6:
                del branch[max(1, len(branch) - int(chain.rng.integers(1, 5))) :]
            update = chain.mine(parent=branch[-1])
            writer.append(update)
            branch.append(update.block)
    reader = HistoryReader(folder)
    digest = Run(reader, tmp_path / "whole.db").to(reader.last_seq)
    forgetful = Run(reader, tmp_path / "forgetful.db", memory=1)
    assert forgetful.to(reader.last_seq) == digest
    assert len(forgetful.begun) > 5
    assert MAX_REORG_DEPTH > 60


class Walked(HistoryReader):
    """Counts how often it is read from a keyframe on."""

    walks = 0

    def entries(self, *span: Any, **options: Any) -> Iterator[Entry]:
        self.walks += 1
        return super().entries(*span, **options)


@pytest.mark.parametrize(("blocks", "most"), [(DEAD, 0), (BEFORE + DEAD + 10, 15)])
def test_another_history_is_not_searched_for_the_checkpoint(
    tmp_path: Path, blocks: int, most: int
) -> None:
    """Nor one that a power failure has cut short: it would be read again from each keyframe."""
    Run(deep_fork(tmp_path / "history"), tmp_path / "ledger.db").to(BEFORE + DEAD)
    chain, folder = RandomChain("other", noise=0.01), tmp_path / "other"
    market = Market(chain.first)
    with HistoryWriter.open(folder, chain_id=1, chain="random", segment_blocks=10) as writer:
        writer.append_keyframe(chain.first)
        for _ in range(blocks):
            update = chain.mine()
            market.apply(update)
            writer.append(update)
            writer.roll_if_full(market.keyframe)
    reader = Walked(folder)
    with (
        LedgerDb.open(tmp_path / "ledger.db", chain_id=1, history=folder) as ledger,
        pytest.raises(StoreError, match="does not lead"),
    ):
        paper_session(reader, ledger)
    # One more to read the newest keyframe.
    assert reader.walks <= 1 + most
