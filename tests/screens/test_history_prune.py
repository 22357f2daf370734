"""dexarb history prune: what may go goes, the trader goes on, and what cannot be asked is said."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path

import pytest

from dexarb.errors import StoreError
from dexarb.store.compaction import close_segments
from dexarb.store.history_check import check
from dexarb.store.history_reader import HistoryReader
from dexarb.store.history_writer import HistoryWriter
from dexarb.store.ledger_db import LedgerDb
from dexarb.store.segment import list_segments
from tests.study.test_session import strategies
from tests.support.command import Dexarb
from tests.support.recorded import record
from tests.support.sessions import paper_session
from tests.support.worlds.random_chain import RandomChain

BLOCKS, SEGMENT = 200, 20


@dataclass
class Traded:
    """A trader that has been stopped, and the chain that goes on."""

    chain: RandomChain
    history: Path
    ledger: Path
    config: Path

    def go_on(self, ledger: Path | None = None) -> str:
        """Trade to the end of the history, and stop."""
        reader = HistoryReader(self.history)
        with LedgerDb.open(ledger or self.ledger, chain_id=1, history=self.history) as books:
            session = paper_session(reader, books)
            for entry in reader.entries(session.from_seq):
                session.take(entry)
                session.write()
                if not session.has_begun:
                    session.use(strategies())
            session.pause()
            return books.digest()

    def mine(self, blocks: int) -> None:
        with HistoryWriter.open(self.history, chain_id=1, chain="random") as writer:
            for _ in range(blocks):
                writer.append(self.chain.mine())


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, RandomChain]:
    """A trader that began with the chain."""
    folder, chain = tmp_path_factory.mktemp("pruned"), RandomChain("pruned", noise=0.01)
    updates = [chain.mine(busy=2) for _ in range(BLOCKS)]
    for blocks in (1, BLOCKS):
        shutil.rmtree(folder / "history", ignore_errors=True)
        history = record(folder, chain.first, updates[:blocks], segment_blocks=SEGMENT)
        close_segments(history, chain.tip.number)
        if (folder / "ledger.sqlite").exists():
            without_checkpoints(folder / "ledger.sqlite")  # of the beginning
        Traded(chain, history, folder / "ledger.sqlite", folder).go_on()
    return folder, chain


@pytest.fixture
def traded(tmp_path: Path, made: tuple[Path, RandomChain]) -> Traded:
    """A copy of it."""
    folder = shutil.copytree(made[0], tmp_path / "copy")
    config = folder / "paper.toml"
    general = f'state_file = "{folder}/pool_state.json"\nledger_file = "{folder}/ledger.sqlite"'
    config.write_text(f"[general]\n{general}\n")
    return Traded(deepcopy(made[1]), folder / "history" / "1", folder / "ledger.sqlite", config)


def test_a_trader_goes_on_without_what_was_pruned(traded: Traded, dexarb: Dexarb) -> None:
    archive = traded.config.parent / "archive"
    names = [each.path.name for each in list_segments(traded.history)]
    looked = dexarb("history", "prune", "-c", traded.config, "--json").json
    assert looked["segments"] == names[:3]
    assert not looked["done"]
    for command in ("scan", "spreads", "rivals", "winners", "census", "backruns", "map"):
        assert command in looked["no_longer"][0]
    assert [each.path.name for each in list_segments(traded.history)] == names
    unpruned = traded.ledger.with_name("unpruned.sqlite")
    shutil.copy(traded.ledger, unpruned)
    said = dexarb("history", "prune", "-c", traded.config, "--archive", archive, "--yes")
    assert (said.code, "begins at block 160" in said.words) == (0, True)
    assert "why A B" in said.words
    assert sorted(each.name for each in archive.iterdir()) == names[:3]
    found = check(traded.history)
    assert (found.ok, found.first_block) == (True, 161)
    traded.mine(30)
    digest = traded.go_on()
    # Without its checkpoints, and with the whole history again, it comes to the same.
    for each in archive.iterdir():
        each.rename(traded.history / each.name)
    assert check(traded.history).blocks == BLOCKS + 30
    without_checkpoints(unpruned)
    assert traded.go_on(unpruned) == digest


def test_without_a_checkpoint_nothing_can_go(traded: Traded, dexarb: Dexarb) -> None:
    fresh = traded.config.parent / "fresh.sqlite"
    with LedgerDb.open(fresh, chain_id=1, history=traded.history):
        pass
    said = dexarb("history", "prune", "-c", traded.config, "--ledger", fresh, "--yes")
    assert said.code == 3
    assert "has no checkpoint" in said.err
    assert "leaves one" in said.err
    assert len(list_segments(traded.history)) == BLOCKS // SEGMENT + 1


def test_a_ledger_that_needs_what_is_gone_says_so(traded: Traded, dexarb: Dexarb) -> None:
    said = dexarb("history", "prune", "-c", traded.config, "--yes")
    assert "deleted" in said.words
    without_checkpoints(traded.ledger)
    with pytest.raises(StoreError, match=r"needs entry 1, and .* begins at entry") as raised:
        traded.go_on()
    assert "Bring the segments back" in str(raised.value)


def test_a_ledger_that_is_not_there_is_no_reason_to_prune(traded: Traded, dexarb: Dexarb) -> None:
    said = dexarb("history", "prune", "-c", traded.config, "--ledger", "nowhere", "--yes")
    assert (said.code, "--ledger nowhere: there is no such file" in said.err) == (2, True)
    traded.ledger.unlink()
    said = dexarb("history", "prune", "-c", traded.config, "--yes")
    assert (said.code, "--ledger" in said.err) == (2, True)


def without_checkpoints(ledger: Path) -> None:
    with closing(sqlite3.connect(ledger)) as connection, connection:
        connection.execute("DELETE FROM checkpoints")
