"""The journal: on the disk before anything leaves the process, and whole after a kill."""

from __future__ import annotations

import gzip
import sqlite3
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from dexarb.core.block import BlockHash, BlockRef
from dexarb.core.sending import (
    Answer,
    Control,
    ControlKind,
    Difference,
    Offer,
    Outcome,
    Paper,
    Rehearsed,
    Twin,
    avoided,
)
from dexarb.core.trade import DecisionId, FillStatus
from dexarb.errors import Locked, StoreError
from dexarb.store.journal import Journal, JournalReader, SignedRaw, bot_of, give_order
from tests.store.journal_trades import LANE, trade
from tests.store.processes import script

CHAIN = 137
OLDER = Path(__file__).parent / "fixtures" / "journal_1.sqlite.gz"
KILLS = 5
MANY = 60
"""Trades, more than a log before the file takes (4 MB) until they are brought into it."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "live" / "journal.sqlite"


def test_what_was_written_is_read_again_in_its_order(path: Path) -> None:
    (intents, signed), (later, more) = trade(1), trade(2)
    decision, here = intents[0].decision, BlockRef(7, BlockHash("0x7"))
    offers = [Offer(signed[0].signed.hash, "relay", 1.5, Answer.UNKNOWN, "no answer")]
    controls = [Control(3, ControlKind.DROP, "late", decision.id, 2.5)]
    outcome = Outcome(FillStatus.FILLED, 10**40, 5, -7)
    twin = Twin(decision, signed[0].signed.hash, here, 4, outcome, None, Difference.UNKNOWN)
    paper = Paper(decision.id, here, 9, outcome, own_effect=True)
    rehearsed = Rehearsed(DecisionId("r"), 7, 10**30, None, "moved")
    with Journal.open(path, chain_id=CHAIN) as journal:
        journal.add(intents, signed)
        journal.add(later, more)
        journal.add_offers(offers)
        journal.add_controls(controls)
        journal.add_results([twin, twin], [paper, paper])
        journal.add_rehearsals([rehearsed])
    with JournalReader.open_to_read(path) as found:
        assert found.intents() == [*intents, *later]
        assert found.intents(2) == later
        assert found.signed() == [signed[0].signed, more[0].signed]
        assert found.raw([more[0].signed.hash]) == more
        assert found.offers() == offers
        assert found.controls() == controls
        assert (found.twins(), found.papers()) == ([twin], [paper])
        assert found.rehearsals() == [rehearsed]


def test_it_is_for_nobody_but_its_owner(path: Path) -> None:
    Journal.open(path, chain_id=CHAIN).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_relative_path_is_one_too(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Journal.open(path, chain_id=137).close()
    monkeypatch.chdir(path.parent)
    with JournalReader.open_to_read(Path(path.name)) as journal:
        assert journal.chain_id == 137


def test_all_of_a_block_or_nothing(path: Path) -> None:
    """A decision that is there already takes the others of its block with it."""
    with Journal.open(path, chain_id=CHAIN) as journal:
        journal.add(*trade(1))
        (fresh, fresh_raw), (known, known_raw) = trade(2), trade(1)
        with pytest.raises(StoreError):
            journal.add([*fresh, *known], [*fresh_raw, *known_raw])
        assert [each.nonce for each in journal.signed()] == [1]
        journal.add(fresh, fresh_raw)
        assert [each.nonce for each in journal.signed()] == [1, 2]


def test_a_reader_sees_one_moment_and_its_writer_never_waits(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever would have to wait is refused here."""
    monkeypatch.setattr("dexarb.store.journal.BUSY_S", 0.0)

    def write(journal: Journal, numbers: range) -> None:
        for number in numbers:
            intents, ((signed, _),) = trade(number)
            journal.add(intents, [SignedRaw(signed, b"raw" * 40_000)])
            journal.add_offers([Offer(signed.hash, "relay", 1.0, Answer.TAKEN)])

    with Journal.open(path, chain_id=CHAIN) as journal, ThreadPoolExecutor(1) as pool:
        write(journal, range(1, 3))
        seen = set()
        with JournalReader.open_to_read(path) as early:
            writing = pool.submit(write, journal, range(3, MANY))
            while not writing.done():
                with JournalReader.open_to_read(path) as found:
                    offers, signed, intents = found.offers(), found.signed(), found.intents()
                assert [each.decision.id for each in intents] == [each.decision for each in signed]
                assert [each.nonce for each in signed] == [*range(1, len(signed) + 1)]
                assert [each.hash for each in signed][: len(offers)] == [e.hash for e in offers]
                assert len(signed) - len(offers) <= 1
                seen.add(len(signed))
            writing.result()
            assert len(seen) > 3
            assert (len(early.signed()), len(early.intents())) == (2, 2)
        assert journal.signed()[-1].nonce == MANY - 1


def test_kill_9_leaves_whole_trades_and_every_one_that_was_told(path: Path) -> None:
    told = -1
    for _ in range(KILLS):
        with script("journal_process.py", path) as bot:
            assert bot.stdout is not None
            for _ in range(20):
                told = int(bot.stdout.readline())
            bot.kill()
            bot.wait()
            rest = bot.stdout.read().split()
            told = int(rest[-1]) if rest else told
        with Journal.open(path, chain_id=CHAIN) as journal:
            signed = journal.signed()
            assert [each.nonce for each in signed] == list(range(len(signed)))
            assert len(signed) > told
            assert [each.decision.id for each in journal.intents()] == [
                each.decision for each in signed
            ]


def test_a_second_bot_is_refused_and_named(path: Path) -> None:
    with Journal.open(path, chain_id=CHAIN), pytest.raises(Locked):
        Journal.open(path, chain_id=CHAIN)
    assert bot_of(path) is None
    Journal.open(path, chain_id=CHAIN).close()


@pytest.mark.parametrize("content", [b"", b"no database"])
def test_a_file_that_is_none(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(StoreError):
        JournalReader.open_to_read(path)


def test_those_of_other_chains_and_schemas_are_left_alone(path: Path) -> None:
    Journal.open(path, chain_id=CHAIN).close()
    with pytest.raises(StoreError, match="is a journal of chain 137, not of chain 1"):
        Journal.open(path, chain_id=1)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE meta SET value = '99' WHERE key = 'schema'")
    connection.close()
    with pytest.raises(StoreError, match="has journal schema 99"):
        Journal.open(path, chain_id=CHAIN)


def test_an_order_waits_until_it_is_carried_out(path: Path) -> None:
    with pytest.raises(StoreError, match="does not exist"):
        give_order(path, ControlKind.DISARM, "stop", 1.0)
    with Journal.open(path, chain_id=CHAIN) as journal:
        give_order(path, ControlKind.DISARM, "stop", 1.0)
        (order,) = journal.orders()
        assert (order.kind, order.reason, order.at) == (ControlKind.DISARM, "stop", 1.0)
        journal.add_controls([Control(5, order.kind, order.reason)], [order])
        assert journal.orders() == []
        assert [each.kind for each in journal.controls()] == [ControlKind.DISARM]


def test_a_journal_of_schema_1_goes_on(path: Path) -> None:
    """Read, given an order, and written."""
    path.parent.mkdir()
    path.write_bytes(gzip.decompress(OLDER.read_bytes()))
    with JournalReader.open_to_read(path) as journal:
        (before,) = journal.orders()
        assert (before.kind, before.subject) == (ControlKind.DISARM, "")
        assert [each.subject for each in journal.controls()] == ["", "0xpool"]
    give_order(path, ControlKind.TRUST, "explained", 2.0, "0xpool")
    with Journal.open(path, chain_id=CHAIN) as journal:
        assert len(journal.signed()) == len(journal.intents()) == 1
        assert [each.subject for each in journal.orders()] == ["", "0xpool"]
        journal.add_controls([Control(3, ControlKind.TRUST, "explained", "0xpool")])
        assert avoided(journal.controls()) == {}
    Journal.open(path, chain_id=CHAIN).close()


def test_no_representation_shows_what_was_signed(path: Path) -> None:
    with Journal.open(path, chain_id=CHAIN) as journal:
        journal.add(*trade(1))
        assert "raw" not in repr(journal.signed()) + repr(journal)
        assert journal.signed()[0].lane == LANE
