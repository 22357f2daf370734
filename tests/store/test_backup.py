"""A backup is a state that was there, however busy the programs are meanwhile."""

from __future__ import annotations

import shutil
import stat
from pathlib import Path

import pytest
from msgspec import structs

from dexarb.errors import StoreError
from dexarb.store.backup import BackupRun, Source
from dexarb.store.backup_folder import LIST, Content, read_list, write_list
from dexarb.store.compaction import close_segments
from dexarb.store.history_check import check
from dexarb.store.history_copy import copy_segment
from dexarb.store.history_reader import HistoryReader
from dexarb.store.ledger_copy import copy_ledger, whole_ledger
from dexarb.store.ledger_reader import read_only
from dexarb.store.restoring import restore
from dexarb.store.segment import list_segments, write_manifest
from tests.store import books
from tests.store.processes import script
from tests.support.recorded import record
from tests.support.worlds import arrivals

BLOCKS = 220
COPIES = 5


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A history of segments of forty blocks, all of them lines."""
    folder = tmp_path_factory.mktemp("recorded")
    updates = arrivals.fork_behind(10**9, BLOCKS)
    return record(folder, arrivals.first_keyframe(), updates, segment_blocks=40)


@pytest.fixture
def history(recorded: Path, tmp_path: Path) -> Path:
    """The same, for one test."""
    return Path(shutil.copytree(recorded, tmp_path / "history" / recorded.name))


def source(history: Path, ledger: Path | None = None) -> Source:
    homes = {history: "history", **({ledger: "ledger.sqlite"} if ledger else {})}
    return Source([], None, ledger, history, None, homes)


def entries(history: Path) -> list[object]:
    return list(HistoryReader(history).entries(every_keyframe=True))


def back_up(target: Path, of: Source) -> None:
    with BackupRun(target, of) as run:
        for _ in run.copy(run.begin()):
            pass
        run.finish()


def test_copies_of_books_that_are_written_are_those_after_some_entry(tmp_path: Path) -> None:
    """While a trader writes as fast as it can: every copy is what it was after its entry."""
    seen: dict[int, Path] = {}
    ledger = tmp_path / "ledger.sqlite"
    with script("ledger_process.py", ledger, 10**6) as trader:
        assert trader.stdout is not None
        trader.stdout.readline()
        while len(seen) < COPIES:
            copy = tmp_path / f"copy-{len(list(tmp_path.iterdir()))}.sqlite"
            seen[copy_ledger(ledger, copy)] = copy
    assert {path.suffix for path in tmp_path.glob("copy*")} == {".sqlite"}  # whole without a log
    with books.open_ledger(tmp_path / "again.sqlite") as again:
        for entry in range(1, max(seen) + 1):
            books.trade(again, entry)
            if entry in seen:
                with read_only(seen[entry]) as reader:
                    assert reader.digest() == again.digest()


@pytest.mark.parametrize("are_closed", [False, True])
def test_a_history_is_copied_entry_by_entry(
    history: Path, tmp_path: Path, *, are_closed: bool
) -> None:
    if are_closed:
        assert len(close_segments(history, arrivals.START_BLOCK + BLOCKS)) > 1
    back_up(tmp_path / "backup", source(history))
    copied = tmp_path / "backup" / "history" / history.name
    assert check(copied).ok
    assert entries(copied) == entries(history)
    assert [each.closed for each in list_segments(copied)] == [
        each.closed for each in list_segments(history)
    ]
    assert not (copied / "lock").exists()


def test_a_segment_that_is_closed_while_it_is_copied_is_copied_as_closed(
    history: Path, tmp_path: Path
) -> None:
    listed = list_segments(history)
    close_segments(history, arrivals.START_BLOCK + BLOCKS)
    copied = tmp_path / "copied"
    copied.mkdir()
    for segment in listed:
        copy_segment(segment, copied)
    write_manifest(copied, HistoryReader(history).manifest)
    assert check(copied).ok
    assert entries(copied) == entries(history)


def test_a_segment_that_is_pruned_while_it_is_copied_is_an_error(
    history: Path, tmp_path: Path
) -> None:
    close_segments(history, arrivals.START_BLOCK + BLOCKS)
    with BackupRun(tmp_path / "backup", source(history)) as run:
        segments = run.begin()
        shutil.rmtree(segments[0].path)
        with pytest.raises(StoreError, match=r"has gone while it was copied\. Was it pruned"):
            list(run.copy(segments))
    assert not list(tmp_path.glob("backup*"))
    back_up(tmp_path / "backup", source(history))  # what is left is a history
    assert check(tmp_path / "backup" / "history" / history.name).ok


def test_a_line_that_is_being_written_is_left_out(history: Path, tmp_path: Path) -> None:
    whole = entries(history)
    last = list_segments(history)[-1].path
    with last.open("ab") as file:
        file.write(b'{"kind":"block","seq":')
    back_up(tmp_path / "backup", source(history))
    assert entries(tmp_path / "backup" / "history" / history.name) == whole


def test_damage_is_found_when_it_is_copied(history: Path, tmp_path: Path) -> None:
    close_segments(history, arrivals.START_BLOCK + BLOCKS)
    closed, lines = list_segments(history)[0].path, list_segments(history)[-1].path
    for path, said in ((lines, "crc does not fit"), (closed / "logs.parquet", "digest differs")):
        sound = path.read_bytes()
        path.write_bytes(sound[:-40] + b"!" + sound[-39:])
        with pytest.raises(StoreError, match=said):
            back_up(tmp_path / "backup", source(history))
        path.write_bytes(sound)
    assert not list(tmp_path.glob("backup*"))
    back_up(tmp_path / "backup", source(history))


def test_books_ahead_of_their_history_are_no_backup(history: Path, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.sqlite"
    ends_at = HistoryReader(history).last_seq
    with books.open_ledger(ledger) as writer:
        books.trade(writer, ends_at + 1)
    with pytest.raises(StoreError, match=f"ends at entry {ends_at}, and the books include"):
        back_up(tmp_path / "backup", source(history, ledger))
    assert not list(tmp_path.glob("backup*"))


def test_a_backup_is_its_users_alone_and_never_in_place_of_another(
    history: Path, tmp_path: Path
) -> None:
    back_up(tmp_path / "backup", source(history))
    assert stat.S_IMODE((tmp_path / "backup").stat().st_mode) == 0o700
    with pytest.raises(StoreError, match="is there already"):
        back_up(tmp_path / "backup", source(history))
    (tmp_path / "second.partial").mkdir()
    with pytest.raises(StoreError, match="another backup is at work, or one was killed"):
        back_up(tmp_path / "second", source(history))


def test_nothing_is_begun_that_there_is_no_room_for(history: Path, tmp_path: Path) -> None:
    with (history / "000000000001.jsonl").open("ab") as file:
        file.truncate(1 << 43)  # without a byte on the disk
    with pytest.raises(StoreError, match=r"needs 8[0-9.]+ GB, and [0-9.]+ GB are free"):
        back_up(tmp_path / "backup", source(history))
    assert not list(tmp_path.glob("backup*"))


def test_the_list_tells_every_file_and_cannot_be_led_elsewhere(
    history: Path, tmp_path: Path
) -> None:
    backup = tmp_path / "backup"
    back_up(backup, source(history))
    listed = read_list(backup)
    there = {str(path.relative_to(backup)) for path in backup.rglob("*") if path.is_file()}
    assert {each.place for each in listed.contents} == there - {LIST}
    text = (backup / LIST).read_bytes()
    (backup / LIST).write_bytes(text.replace(b'"size":', b'"siz3":', 1))
    with pytest.raises(StoreError, match="its crc does not fit"):
        read_list(backup)
    write_list(backup, structs.replace(listed, contents=[Content("../x", 0, "")]))
    with pytest.raises(StoreError, match=r"names a file outside the backup: \.\./x"):
        read_list(backup)
    with pytest.raises(StoreError, match=r"is no backup: there is no backup\.json in it"):
        read_list(tmp_path)


class Enough(Exception):
    """Somebody has had enough of it."""


@pytest.mark.parametrize("stage", ["copying", "looking into it"])
def test_a_restore_that_is_broken_off_leaves_nothing(
    history: Path, tmp_path: Path, stage: str
) -> None:
    ledger = tmp_path / "ledger.sqlite"
    with books.open_ledger(ledger) as writer:
        books.trade(writer, 1)
    back_up(tmp_path / "backup", source(history, ledger))
    new = tmp_path / "new"

    def tell(now: str) -> None:
        if now == stage:
            # The lock of the ledger is held, and for the second stage all is copied.
            assert bool(list(new.rglob("*.restoring"))) == (stage == "looking into it")
            raise Enough

    items = read_list(tmp_path / "backup").items
    places = {item: new / "deep" / item.place for item in items}
    with pytest.raises(Enough):
        restore(tmp_path / "backup", places, force=False, tell=tell)
    assert not new.exists()
    restore(tmp_path / "backup", places, force=False, tell=lambda _: None)
    with whole_ledger(new / "deep" / "ledger.sqlite") as restored:
        assert restored.seq == 1
