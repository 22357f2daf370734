"""Books of rehearsals and of trades are never the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from dexarb.apps.live.bot import books_of
from dexarb.config.paths import rehearsal_ledger
from dexarb.errors import StoreError
from dexarb.store.journal import Journal
from dexarb.store.ledger_db import LedgerDb
from dexarb.store.ledger_notes import SENDS
from dexarb.store.ledger_reader import read_only


def begin(ledger: Path, *, sends: bool) -> None:
    with LedgerDb.open(ledger, chain_id=137, history=ledger.parent) as books:
        if sends:
            books.put_note(SENDS, True)


def test_what_older_programs_rehearsed_is_set_aside(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.sqlite"
    aside = rehearsal_ledger(ledger)
    with Journal.open(tmp_path / "journal.sqlite", chain_id=137) as journal:
        assert books_of(ledger, journal, live=False) == aside
        begin(ledger, sends=False)
        assert books_of(ledger, journal, live=True) == ledger
        assert not ledger.exists()
        read_only(aside).close()
        begin(ledger, sends=True)
        assert books_of(ledger, journal, live=True) == ledger
        read_only(ledger).close()
        ledger.unlink()
        begin(ledger, sends=False)
        with pytest.raises(StoreError, match=f"{aside.name} another one"):
            books_of(ledger, journal, live=True)
        read_only(ledger).close()
