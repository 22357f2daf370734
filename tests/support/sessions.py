"""Sessions as the paper trader has them."""

from __future__ import annotations

from dexarb.store.history_reader import HistoryReader
from dexarb.store.ledger_db import LedgerDb
from dexarb.study.session import Session
from dexarb.trading.decide.custom import Factories
from dexarb.trading.models.gas import GasModel
from dexarb.trading.settle.paper_executor import PaperExecutor


def paper_session(
    reader: HistoryReader,
    ledger: LedgerDb,
    *,
    max_state_age_s: float = 10,
    factories: Factories | None = None,
) -> Session:
    return Session(
        reader,
        ledger,
        executor=PaperExecutor(GasModel()),
        max_state_age_s=max_state_age_s,
        factories=factories,
    )
