"""A ledger's epochs traded once more in this process."""

from __future__ import annotations

from pathlib import Path

from dexarb.store.history_reader import HistoryReader
from dexarb.store.ledger_db import LedgerDb
from dexarb.store.ledger_reader import LedgerReader
from dexarb.study.replay import plan_as, replay
from dexarb.trading.decide.custom import Factories


def digest_of_a_replay(real: LedgerReader, path: Path, factories: Factories | None = None) -> str:
    """path: of the replay's ledger. factories: of own strategies."""
    with LedgerDb.open(path, chain_id=real.chain_id, history=real.history) as again:
        for _ in replay(HistoryReader(real.history), again, plan_as(real, 10), factories):
            pass
        return again.digest()
