"""What a file names is found from everywhere: its paths are its own, not the current folder's."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dexarb.config.collector import load_collector
from dexarb.config.paper import load_paper
from dexarb.config.paths import base_folder, config_paths

CONFIG = Path(__file__).parents[2] / "config"


@pytest.mark.parametrize(
    ("current", "config", "base"),
    [
        (".", "paper.toml", "."),
        (".", "run/paper.toml", "run"),
        (".", "config/paper.toml", "."),
        (".", "run/config/paper.toml", "run"),
        ("config", "paper.toml", ".."),
        ("config/old", "paper.toml", "."),
        ("config/old", "../paper.toml", "../.."),
        ("run", "../config/paper.toml", ".."),
        (".", "my config/paper.toml", "my config"),
        (".", "config.toml", "."),
    ],
)
def test_what_paths_are_relative_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, current: str, config: str, base: str
) -> None:
    (tmp_path / current).mkdir(parents=True, exist_ok=True)
    monkeypatch.chdir(tmp_path / current)
    assert base_folder(Path(config)) == Path(base)
    whole = (Path.cwd() / config).resolve()
    assert base_folder(whole) == (Path.cwd() / base).resolve()


@pytest.mark.parametrize("where", ["", "config"])
def test_the_shipped_files_have_their_data_in_one_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """As seen from an altogether different folder, by all that read them."""
    monkeypatch.setenv("POLYGON_RPC_URL", "wss://node.example")
    folder = tmp_path / where
    folder.mkdir(exist_ok=True)
    for name in ("collector.toml", "paper_trading.toml", "polygon.toml"):
        shutil.copy(CONFIG / name, folder)
    monkeypatch.chdir("/")
    collector = load_collector(folder / "collector.toml").settings
    paper = load_paper(folder / "paper_trading.toml").general
    quick = config_paths(folder / "paper_trading.toml")
    data = tmp_path / "data"
    assert collector.data_dir == data
    assert collector.state_file == paper.state_file == quick.state_file == data / "pool_state.json"
    assert paper.ledger_file == quick.ledger_file == data / "ledger.sqlite"
    assert collector.log_dir == paper.log_dir == tmp_path / "logs"


def test_a_path_from_the_root_stays(tmp_path: Path) -> None:
    config = tmp_path / "paper.toml"
    config.write_text('[general]\nstate_file = "/var/state.json"\nledger_file = "../l.sqlite"\n')
    found = config_paths(config)
    assert found.state_file == Path("/var/state.json")
    assert found.ledger_file == tmp_path / ".." / "l.sqlite"


def test_a_bot_that_has_traded_nothing_has_the_books_of_its_rehearsals(tmp_path: Path) -> None:
    config = tmp_path / "live.toml"
    config.write_text('[general]\nledger_file = "live.sqlite"\n[live]\n')
    trades, rehearsals = tmp_path / "live.sqlite", tmp_path / "live-rehearsal.sqlite"
    assert config_paths(config).ledger_file == trades
    rehearsals.touch()
    assert config_paths(config).ledger_file == rehearsals
    trades.touch()
    assert config_paths(config).ledger_file == trades
