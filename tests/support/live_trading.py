"""Both processes at work, and what their ledger should say."""

from __future__ import annotations

from pathlib import Path

from dexarb.errors import StoreError
from dexarb.store.history_reader import HistoryReader
from dexarb.store.ledger_db import LedgerDb
from dexarb.store.ledger_notes import FIRST_SEQ
from dexarb.store.ledger_reader import read_only
from dexarb.study.totals import Totals, read_totals
from dexarb.trading.decide.custom import Factories
from dexarb.trading.strategy import StrategySettings
from tests.support.live import Live, Process
from tests.support.sessions import paper_session


def totals(run: Live) -> Totals:
    return read_totals(run.files.ledger)


def is_trading(run: Live) -> bool:
    try:
        return totals(run).is_trading
    except StoreError:
        return False


async def both(run: Live) -> tuple[Process, Process]:
    collector, paper = run.start("data-collector"), run.start("paper-trading")
    await run.until(lambda: is_trading(run), "paper-trading to start")
    return collector, paper


async def settled(run: Live) -> None:
    """Wait until the ledger includes the chain's newest block."""
    await run.collected()
    seq = run.state()["seq"]
    await run.until(lambda: totals(run).seq >= seq, f"entry {seq} in the ledger")


def digest_of_an_uninterrupted_run(
    run: Live, path: Path, factories: Factories | None = None
) -> str:
    """The same history and the same epochs, played once from start to end in this process.

    factories: of own strategies.
    """
    history = HistoryReader(run.files.data / "history" / str(run.driver.world.chain_id))
    with read_only(run.files.ledger) as real:
        last, chain_id = real.seq, real.chain_id
        epochs, rows = real.epochs(), real.strategies()
        from_seq = real.note(FIRST_SEQ) or 0
    begins = {epoch.from_seq for epoch in epochs}
    ends = {epoch.to_seq + 1 for epoch in epochs if epoch.to_seq is not None}
    changes = {seq for seq in begins | ends if seq <= last}
    with LedgerDb.open(path, chain_id=chain_id, history=history.folder) as again:
        session = paper_session(history, again, factories=factories)
        for entry in history.entries(from_seq, last):
            if entry.seq in changes:
                active = {epoch.strategy for epoch in epochs if epoch.holds(entry.seq)}
                session.use(
                    [
                        StrategySettings.from_canonical(row.name, row.config)
                        for row in rows
                        if row.hash in active
                    ]
                )
            session.take(entry)
            session.write()
        return again.digest()


def digest(run: Live) -> str:
    with read_only(run.files.ledger) as ledger:
        return ledger.digest()
