"""dexarb backup and restore: a whole run away and back, all of it or nothing."""

from __future__ import annotations

import shutil
import stat
from collections.abc import Sequence
from pathlib import Path

import pytest
from msgspec import structs

from dexarb.config.paths import config_paths
from dexarb.core.block import BlockUpdate
from dexarb.core.trade import StrategyHash
from dexarb.store import backup_folder
from dexarb.store.history_check import check
from dexarb.store.history_reader import HistoryReader
from dexarb.store.history_writer import HistoryWriter
from dexarb.store.ledger_db import LedgerDb
from dexarb.store.ledger_reader import read_only
from dexarb.store.snapshot import read_state
from dexarb.store.trials import TrialKind, record_trial, register_of
from tests.support.command import Dexarb
from tests.support.recorded import record
from tests.support.scenes import STRATEGIES, scene
from tests.support.sessions import paper_session
from tests.support.traded import World, record_and_trade, strategy, trade
from tests.support.worlds.small_chain import CHAIN_ID, SmallChain, keyframe

SHIPPED = Path(__file__).parent.parent.parent / "config"
BACKUP = Path("copies/monday")
PAPER = Path("config/paper_trading.toml")


@pytest.fixture(autouse=True)
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    """A run with its settings in config/ and all else in data/, and the ledger of who traded."""
    monkeypatch.chdir(tmp_path)
    Path("config").mkdir()
    for name in ("collector.toml", "polygon.toml"):
        shutil.copy(SHIPPED / name, "config")
    PAPER.write_text(strategy("Bold"))
    first = keyframe()
    chain = SmallChain(first)
    record(Path("data"), first, [chain.mine() for _ in range(6)])
    world = Run(tmp_path)
    trade(world)
    return world


class Run(World):
    @property
    def config(self) -> Path:
        return self.folder / PAPER


def contents(folder: Path) -> dict[str, bytes]:
    """Of all files but locks, by name."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and "lock" not in path.name
    }


def digest(ledger: Path) -> str:
    with read_only(ledger) as books:
        return books.digest()


def test_a_run_comes_back_as_it_was_elsewhere_too(
    run: World, dexarb: Dexarb, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = dexarb("backup", BACKUP, "--json").json
    assert (told["folder"], told["chain_id"]) == (str(BACKUP), CHAIN_ID)
    with read_only(run.ledger) as books:
        assert told["ledger_entry"] == books.seq > 0
    elsewhere = run.folder / "another machine"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    said = dexarb("restore", Path("..") / BACKUP)
    assert (said.code, said.err) == (0, "")
    again = Run(elsewhere)
    assert digest(again.ledger) == digest(run.ledger)
    assert check(again.history) == check(run.history)
    assert read_state(again.state).history == again.history
    for name in ("collector.toml", "polygon.toml", "paper_trading.toml"):
        path = elsewhere / "config" / name
        assert path.read_bytes() == (run.folder / "config" / name).read_bytes()
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    # Both programs go on from there.
    with HistoryWriter.open(again.history, chain_id=CHAIN_ID, chain="testnet") as writer:
        assert writer.recovered is None
    with LedgerDb.open(again.ledger, chain_id=CHAIN_ID, history=again.history) as ledger:
        assert ledger.seq == told["ledger_entry"]


def go_on(world: World, updates: Sequence[BlockUpdate]) -> str:
    """Collect these blocks and trade on them; the digest of the books."""
    with HistoryWriter.open(world.history, chain_id=CHAIN_ID, chain="testnet") as writer:
        for update in updates:
            writer.append(update)
    reader = HistoryReader(world.history)
    with LedgerDb.open(world.ledger, chain_id=CHAIN_ID, history=world.history) as ledger:
        session = paper_session(reader, ledger)
        for entry in reader.entries(session.from_seq):
            session.take(entry)
            session.write()
        assert ledger.seq == reader.last_seq
        return ledger.digest()


def test_a_trader_goes_on_from_a_copy_as_if_nothing_had_been(
    tmp_path: Path, dexarb: Dexarb, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, updates = scene()
    half = len(updates) // 2
    (tmp_path / "one").mkdir()
    world = record_and_trade(tmp_path / "one", first, updates[:half], *STRATEGIES)
    text = world.config.read_text()
    world.config.write_text(text[text.index("[[strategy]]") :])  # what lies where, is the default
    monkeypatch.chdir(world.folder)
    assert dexarb("backup", "copy", "-c", "paper_trading.toml").code == 0
    other = Run(tmp_path / "two")
    other.folder.mkdir()
    monkeypatch.chdir(other.folder)
    assert dexarb("restore", "../one/copy", "-c", "paper_trading.toml").code == 0
    before = digest(other.ledger)
    assert go_on(other, updates[half:]) == go_on(world, updates[half:]) != before


def test_what_was_tried_goes_along_and_is_never_forgotten(
    run: World, dexarb: Dexarb, monkeypatch: pytest.MonkeyPatch
) -> None:
    def tried(config: str, at: int) -> bytes:
        hashes = [StrategyHash(config)]
        record_trial(run.history, TrialKind.SWEEP, hashes, first_block=1, last_block=2, at=at)
        return register_of(run.history).read_bytes()

    before = tried("a" * 16, 1)
    dexarb("backup", BACKUP)
    elsewhere = run.folder / "another machine"
    elsewhere.mkdir()
    with monkeypatch.context() as there:
        there.chdir(elsewhere)
        assert dexarb("restore", Path("..") / BACKUP).code == 0
        assert register_of(Run(elsewhere).history).read_bytes() == before
    since = tried("b" * 16, 2)
    assert dexarb("restore", BACKUP, "--force").code == 0
    assert register_of(run.history).read_bytes() == since


def test_nothing_is_overwritten_and_with_force_nothing_is_lost(run: World, dexarb: Dexarb) -> None:
    dexarb("backup", BACKUP)
    before = digest(run.ledger)
    run.ledger.write_bytes(b"another ledger")
    run.ledger.with_name("ledger.sqlite-wal").write_bytes(b"and its log")
    as_it_was = contents(run.folder)
    said = dexarb("restore", BACKUP)
    assert said.code == 3
    assert "is there already" in said.err
    assert "With --force they are renamed and make room" in said.err
    assert str(PAPER) not in said.err  # it is the same
    assert contents(run.folder) == as_it_was
    told = dexarb("restore", BACKUP, "--force", "--json").json
    assert digest(run.ledger) == before
    assert not run.ledger.with_name("ledger.sqlite-wal").exists()
    kept = Path(told["kept"][str(run.ledger)])
    assert kept.read_bytes() == b"another ledger"
    assert kept.with_name(kept.name + "-wal").read_bytes() == b"and its log"
    assert check(Path(told["kept"][str(run.history)])).ok
    again = dexarb("restore", BACKUP, "--force", "--json").json
    assert set(again["kept"].values()).isdisjoint(told["kept"].values())


@pytest.mark.parametrize("place", ["ledger.sqlite", f"history/{CHAIN_ID}/000000000001.jsonl"])
def test_a_damaged_backup_changes_nothing(run: World, dexarb: Dexarb, place: str) -> None:
    dexarb("backup", BACKUP)
    path = run.folder / BACKUP / place
    sound = path.read_bytes()
    path.write_bytes(sound[:-9] + bytes([sound[-9] ^ 1]) + sound[-8:])
    run.ledger.unlink()
    as_it_was = contents(run.folder)
    said = dexarb("restore", BACKUP, "--force")
    assert said.code == 3
    assert "is damaged: its digest is another one than when it was made" in said.err
    assert contents(run.folder) == as_it_was


def test_what_was_listed_with_damage_is_found_by_looking_into_it(
    run: World, dexarb: Dexarb
) -> None:
    """As where it was made of a history that somebody had edited, crcs and all."""
    dexarb("backup", BACKUP)
    folder = run.folder / BACKUP
    lines = folder / "history" / str(CHAIN_ID) / "000000000001.jsonl"
    lines.write_bytes(lines.read_bytes().replace(b'"gas_used":', b'"gas_usee":', 1))
    listed = backup_folder.read_list(folder)
    (folder / backup_folder.LIST).unlink()
    measured = backup_folder.list_contents(folder)
    backup_folder.write_list(folder, structs.replace(listed, contents=measured))
    as_it_was = contents(run.folder)
    said = dexarb("restore", BACKUP, "--force")
    assert (said.code, "entry 1 is damaged: its crc does not fit" in said.err) == (3, True)
    assert contents(run.folder) == as_it_was


def test_a_rename_that_fails_is_taken_back(run: World, dexarb: Dexarb) -> None:
    """The ledger has made room already when the state file cannot: its new name is too long."""
    name = "s" * 240
    run.config.write_text(f'[general]\nstate_file = "data/{name}"\n' + strategy("Bold"))
    run.state.rename(run.state.with_name(name))
    dexarb("backup", BACKUP)
    as_it_was = contents(run.folder)
    said = dexarb("restore", BACKUP, "--force")
    assert (said.code, "cannot be put there: File name too long" in said.err) == (3, True)
    assert contents(run.folder) == as_it_was


def test_a_program_at_work_is_not_robbed_of_its_files(run: World, dexarb: Dexarb) -> None:
    dexarb("backup", BACKUP)
    with LedgerDb.open(run.ledger, chain_id=CHAIN_ID, history=run.history):
        dexarb("backup", "copies/while it runs")
        said = dexarb("restore", BACKUP, "--force")
        assert (said.code, "is being written by process" in said.err) == (2, True)
    with HistoryWriter.open(run.history, chain_id=CHAIN_ID, chain="testnet"):
        assert dexarb("restore", BACKUP, "--force").code == 2
    assert not list(run.folder.rglob("*.restoring"))
    assert not list(run.folder.rglob("*.before-restore*"))


def test_what_is_missing_or_no_backup_is_said(run: World, dexarb: Dexarb) -> None:
    said = dexarb("restore", run.folder / "config")
    assert (said.code, "is no backup: there is no backup.json in it" in said.err) == (3, True)
    for path in (run.ledger, run.state):
        path.unlink()
    said = dexarb("backup", BACKUP)
    assert (said.code, "there is nothing to back up" in said.err) == (3, True)
    assert not BACKUP.exists()


def test_files_named_from_the_root_go_back_there(
    run: World, dexarb: Dexarb, tmp_path: Path
) -> None:
    general = f'[general]\nledger_file = "{tmp_path}/books/ledger.sqlite"\n'
    run.config.write_text(general + strategy("Bold"))
    (tmp_path / "books").mkdir()
    books = run.ledger.rename(tmp_path / "books" / "ledger.sqlite")
    dexarb("backup", BACKUP)
    books.unlink()
    shutil.rmtree("data")
    said = dexarb("restore", BACKUP)
    assert said.code == 0, said.err
    assert books.exists()
    assert run.state.exists()


def test_a_restored_file_leads_to_what_was_restored_with_it(run: World, dexarb: Dexarb) -> None:
    """Wherever it is put: what its relative paths mean there is where the data is."""
    dexarb("backup", BACKUP)
    wanted = digest(run.ledger)
    shutil.rmtree("data")
    other = Path("another/folder/mine.toml")
    assert dexarb("restore", BACKUP, "--config", other, "--json").code == 0
    paths = config_paths(other)
    assert digest(paths.ledger_file) == wanted
    assert check(read_state(paths.state_file).history).ok
    assert other.with_name("collector.toml").exists()
