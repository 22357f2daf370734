"""A session on a history with reorganisations: what the ledger holds, whole or resumed."""

from __future__ import annotations

from pathlib import Path

from dexarb.core.block import Block
from dexarb.core.evidence import Outcome
from dexarb.core.trade import FillStatus, Position
from dexarb.store.history_reader import HistoryReader
from dexarb.store.history_writer import HistoryWriter
from dexarb.store.ledger_db import LedgerDb
from dexarb.store.ledger_reader import read_only
from dexarb.trading.strategy import StrategySettings
from tests.support.sessions import paper_session
from tests.support.worlds.blocks import GWEI
from tests.support.worlds.random_chain import PAIRS, RandomChain

BLOCKS = 60


def history(folder: Path) -> HistoryReader:
    """Random blocks; every seventh one is followed by a branch that lets up to four die."""
    chain = RandomChain("session", noise=0.01)
    with HistoryWriter.open(folder, chain_id=1, chain="random") as writer:
        writer.append_keyframe(chain.first)
        branch: list[Block] = [chain.first.block]
        for number in range(BLOCKS):
            if number % 7 == 6:
                dying = int(chain.rng.integers(1, 5))
                del branch[max(1, len(branch) - dying) :]
            update = chain.mine(parent=branch[-1])
            writer.append(update)
            branch.append(update.block)
    return HistoryReader(folder)


def strategies() -> list[StrategySettings]:
    return [
        StrategySettings(
            name=position.value,
            pairs=PAIRS,
            min_profit_micro_usd=-(10**6),
            max_trade_size_micro_usd=10**9 * (number + 1),
            max_slippage_ppm=2_000,
            max_gas_price=10_000 * GWEI,
            capital_micro_usd=10**12,
            position=position,
            latency_blocks=1 + number % 2,
        )
        for number, position in enumerate(Position)
    ]


def trade(reader: HistoryReader, path: Path, to_seq: int) -> None:
    """Take up the ledger where it is and go on to an entry of the history."""
    with LedgerDb.open(path, chain_id=1, history=reader.folder) as ledger:
        session = paper_session(reader, ledger)
        for entry in reader.entries(session.from_seq, to_seq):
            if entry.seq == 3:
                session.use(strategies())
            session.take(entry)
            session.write()


def test_strategies_that_change_before_the_block_is_written_lose_none(tmp_path: Path) -> None:
    """A full disk keeps a block waiting, and a reload may come in between."""
    reader = history(tmp_path / "history")
    with LedgerDb.open(tmp_path / "ledger.db", chain_id=1, history=reader.folder) as ledger:
        session = paper_session(reader, ledger)
        first, second, *_ = reader.entries(session.from_seq, None)
        session.take(first)
        session.use(strategies())
        session.take(second)
        session.use(strategies()[:1])
        session.write()
        assert [row.name for row in ledger.strategies()] == list(Position)


def test_a_ledger_that_was_resumed_anywhere_is_that_of_one_run(tmp_path: Path) -> None:
    reader = history(tmp_path / "history")
    trade(reader, tmp_path / "whole.db", BLOCKS)
    with read_only(tmp_path / "whole.db") as whole:
        digest = whole.digest()
        fills, evidence = whole.fills(), whole.evidence()
        decisions = whole.decisions()
        # The history has something of everything.
        assert {row.fill.status for row in fills} >= {FillStatus.FILLED, FillStatus.REVERTED}
        assert any(row.reorged_seq for row in fills)
        assert any(row.reorged_seq for row in evidence)
        standing = [row.evidence for row in evidence if row.reorged_seq is None]
        assert {each.outcome for each in standing} >= {Outcome.TAKEN, Outcome.VANISHED}
        # Evidence is there once at most for what was decided on, and never for anything else.
        told = [(each.cycle.id, each.block_hash) for each in standing]
        assert len(set(told)) == len(told)
        decided = {(row.decision.cycle.id, row.decision.block.hash) for row in decisions}
        assert set(told) <= decided
    stops = [6, 33, BLOCKS]
    for stop in stops:
        trade(reader, tmp_path / "resumed.db", stop)
    with read_only(tmp_path / "resumed.db") as resumed:
        assert resumed.digest() == digest
