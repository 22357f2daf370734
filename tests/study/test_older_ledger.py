"""A trader goes on with the ledger of an earlier dexarb, and what that one wrote stays."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from dexarb.store.history_reader import HistoryReader
from dexarb.store.ledger_db import LedgerDb
from dexarb.store.ledger_reader import read_only
from dexarb.study.session import Session
from tests.support.sessions import EverySecond, paper_session

FIXTURE = Path(__file__).parent / "fixtures" / "ledger_2"
HELD = "c718b039a9351f51bab799a7b2804fe989a5072c152e27cd4d21edae57a86de9"
GOES_ON = "ac85cd73749150acbdf442dc9215887375b28900c53fb32ae3f4ab1a9d758081"
TRADED, LAST = 28, 45


@pytest.fixture
def old(tmp_path: Path) -> Path:
    """A folder with `history` and `ledger.sqlite`."""
    for packed in FIXTURE.rglob("*"):
        path = tmp_path / packed.relative_to(FIXTURE)
        if packed.is_dir():
            path.mkdir()
        elif packed.suffix == ".gz":
            path.with_suffix("").write_bytes(gzip.decompress(packed.read_bytes()))
        else:
            path.write_bytes(packed.read_bytes())
    return tmp_path


def go_on(folder: Path, to_seq: int) -> Session:
    reader = HistoryReader(folder / "history")
    with LedgerDb.open(folder / "ledger.sqlite", chain_id=1, history=reader.folder) as ledger:
        session = paper_session(reader, ledger, factories={"second": EverySecond})
        for entry in reader.entries(session.from_seq, to_seq):
            session.take(entry)
            session.write()
    return session


def test_it_is_continued_to_one_digest_however_often_it_is_opened(old: Path) -> None:
    go_on(old, TRADED + 3)
    go_on(old, LAST)
    with read_only(old / "ledger.sqlite") as reader:
        assert (reader.seq, reader.digest()) == (LAST, GOES_ON)


def test_what_it_was_traded_in_is_not_known_and_from_now_on_told(old: Path) -> None:
    assert go_on(old, TRADED + 2).changed_models == ()
    with read_only(old / "ledger.sqlite") as reader:
        known = {(epoch.from_seq, epoch.to_seq) for epoch in reader.epochs() if epoch.reality}
        unknown = {epoch.to_seq for epoch in reader.epochs() if epoch.reality is None}
        assert known == {(TRADED + 1, None)}
        assert max(each or LAST for each in unknown) == TRADED


def test_it_reads_as_it_was_before_anybody_goes_on_with_it(old: Path) -> None:
    with read_only(old / "ledger.sqlite") as reader:
        assert (reader.seq, reader.digest()) == (TRADED, HELD)
        assert {epoch.from_seq for epoch in reader.epochs()} == {5, 12, 20, 21}
