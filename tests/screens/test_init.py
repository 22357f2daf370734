"""dexarb init: what it writes can be used as it is, and it never writes over anything."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dexarb.config.alerts import AlertsTable
from dexarb.config.collector import load_collector
from dexarb.config.paper import GeneralTable, load_paper
from dexarb.config.starting import chains
from dexarb.config.strategy_table import StrategyTable
from tests.support.command import Dexarb

FILES = {"collector.toml", "live.toml", "paper_trading.toml", "polygon.toml"}
STATED = re.compile(r"^# ([a-z_0-9]+ = \S.*)$", re.MULTILINE)
COMMENTED = re.compile(r"^(?:# )?([a-z_0-9]+) =", re.MULTILINE)


@pytest.fixture
def config(tmp_path: Path, dexarb: Dexarb, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POLYGON_RPC_URL", "wss://node.example/key")
    said = dexarb("init")
    assert (said.code, said.err) == (0, "")
    for step in ("export POLYGON_RPC_URL=...", "dexarb doctor"):
        assert step in said.out
    return tmp_path / "config"


def test_what_it_wrote_passes_the_check(config: Path, dexarb: Dexarb) -> None:
    assert {path.name for path in config.glob("*.toml")} == FILES
    for path in config.glob("*.toml"):
        said = dexarb("config", "check", "--config", path)
        assert (said.code, said.err) == (0, ""), path
        first = path.read_text().splitlines()[0]
        assert (config / first.removeprefix("#:schema ")).is_file()


ALERTS = re.compile(r"^# \[alerts\].*?(?=^$|\Z)", re.DOTALL | re.MULTILINE)
"""A table that nobody has before he asks for it."""


def test_every_key_stands_there_and_comments_show_the_defaults(config: Path) -> None:
    """Taking the comments off changes nothing."""
    collector, paper = config / "collector.toml", config / "paper_trading.toml"
    before, strategies = load_collector(collector), load_paper(paper)
    for path in (collector, paper):
        text = ALERTS.sub("", path.read_text())
        path.write_text(STATED.sub(r"\1", text.replace("300_000_000 ", "0 ")))
        assert path.read_text() != text
    assert load_collector(collector).settings == before.settings
    assert load_collector(collector).budgets == before.budgets
    after = load_paper(paper)
    assert after.general == strategies.general
    assert [each.table for each in after.strategies] == [
        each.table for each in strategies.strategies
    ]
    keys = set(COMMENTED.findall((config / "paper_trading.toml").read_text()))
    assert keys == GeneralTable.model_fields.keys() | StrategyTable.model_fields.keys()


def test_the_alerts_that_stand_there_as_comments_can_be_switched_on(config: Path) -> None:
    for name, load in (("collector.toml", load_collector), ("paper_trading.toml", load_paper)):
        path = config / name
        (block,) = ALERTS.findall(path.read_text())
        keys = set(COMMENTED.findall(block))
        assert keys == AlertsTable.model_fields.keys()
        used = STATED.sub(r"\1", block).replace("# [alerts]", "[alerts]")
        path.write_text(path.read_text().replace(block, used))
        found = load(path).alerts
        assert found is not None
        stated = AlertsTable(urls=found.table.urls, quiet_hours=found.table.quiet_hours)
        assert found.table == stated


def test_it_writes_over_nothing_and_all_or_nothing(tmp_path: Path, dexarb: Dexarb) -> None:
    config = tmp_path / "run" / "config"
    config.mkdir(parents=True)
    (config / "polygon.toml").write_text("mine")
    said = dexarb("init", tmp_path / "run")
    assert (said.code, said.out) == (2, "")
    assert f"{config}/polygon.toml: is there already. Nothing was written" in said.err
    assert [path.name for path in config.iterdir()] == ["polygon.toml"]
    assert (config / "polygon.toml").read_text() == "mine"
    (config / "polygon.toml").rename(config / "schema")  # in the way of the folder
    said = dexarb("init", tmp_path / "run")
    assert said.code == 3
    assert [path.name for path in config.iterdir()] == ["schema"]


def test_a_chain_that_is_not_shipped_is_an_error(tmp_path: Path, dexarb: Dexarb) -> None:
    said = dexarb("init", tmp_path / "run", "--chain", "poligon")
    assert (said.code, 'Did you mean "polygon"?' in said.err) == (2, True)
    assert not (tmp_path / "run").exists()
    assert list(chains()) == ["polygon"]
