"""dexarb config: what is checked with and without a history, and what a reload would change."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from dexarb.cli import main
from dexarb.config.paper import load_paper
from dexarb.core.market import Keyframe
from dexarb.core.profile import ScheduleChange
from dexarb.store.history_reader import HistoryReader
from dexarb.store.ledger_db import LedgerDb
from tests.support.recorded import record
from tests.support.sessions import paper_session
from tests.support.worlds.small_chain import CHAIN_ID, PROFILE, SmallChain, keyframe

CONFIG = Path(__file__).parent.parent.parent / "config"
STRATEGIES = """
[defaults]
min_profit_usd = 1.0
max_trade_size_usd = 1000.0
pairs = ["WETH/USDC"]
[[strategy]]
name = "stays"
[[strategy]]
name = "changes"
min_profit_usd = 2.0
[[strategy]]
name = "goes"
min_profit_usd = 3.0
"""


@dataclass(frozen=True)
class Said:
    code: int
    out: str
    errors: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


Dexarb = Callable[..., Said]


@pytest.fixture
def dexarb(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Dexarb:
    monkeypatch.setenv("COLUMNS", "100")

    def run(*arguments: object) -> Said:
        monkeypatch.setattr("sys.argv", ["dexarb", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        told = capsys.readouterr()
        return Said(int(ended.value.code or 0), told.out, told.err)

    return run


def write(folder: Path, text: str) -> Path:
    general = f"""\
[general]
state_file = "{folder}/pool_state.json"
ledger_file = "{folder}/ledger.sqlite"
"""
    path = folder / "paper.toml"
    path.write_text(general + text)
    return path


def trade(folder: Path, *texts: str, first: Keyframe | None = None) -> None:
    """A ledger in which the strategies of each text took part for two blocks."""
    first = first or keyframe()
    chain = SmallChain(first)
    history = record(folder, first, [chain.mine() for _ in range(2 * len(texts))])
    reader = HistoryReader(history)
    with LedgerDb.open(folder / "ledger.sqlite", chain_id=CHAIN_ID, history=history) as ledger:
        session = paper_session(reader, ledger)
        todo = [
            load_paper(write(folder, text)).settings(PROFILE.tokens)
            for text in texts
            for _ in range(2)
        ]
        for entry in reader.entries(session.from_seq):
            if session.next_seq is not None:
                session.use(todo.pop(0))
            session.take(entry)
            session.write()


def test_without_a_chain_it_says_what_it_could_not_check(tmp_path: Path, dexarb: Dexarb) -> None:
    path = write(tmp_path, STRATEGIES.replace("WETH", "WHAT"))
    said = dexarb("config", "check", "--config", path)
    assert said.code == 0
    assert "not checked: names of tokens and DEXes, and what a reload would change" in said.errors
    assert "Name the chain's file, as in --chain config/polygon.toml" in said.errors
    assert "3 strategies are enabled" in said.out


def test_without_a_chain_the_rest_is_checked(tmp_path: Path, dexarb: Dexarb) -> None:
    text = (
        STRATEGIES.replace("= 3.0", "= 2.0")
        + """
[[strategy]]
name = "no pair"
pairs = ["WETH-USDC"]
[[strategy]]
name = "nobody's"
min_profit_usd = 4
kind = "treshold"
"""
    )
    said = dexarb("config", "check", "--config", write(tmp_path, text))
    assert said.code == 2
    for error in (
        'strategy "goes": has the same parameters as "changes"',
        '"WETH-USDC" is not a pair. Write it as "WETH/USDC"',
        'there is no kind "treshold". Did you mean "threshold"?',
    ):
        assert error in said.errors


def test_a_chain_profile_tells_the_names(tmp_path: Path, dexarb: Dexarb) -> None:
    path = write(tmp_path, STRATEGIES.replace("WETH", "WETX"))
    given = dexarb("config", "check", "--config", path, "--chain", CONFIG / "polygon.toml")
    assert given.code == 2
    assert 'unknown token "WETX" in "WETX/USDC". Did you mean "WETH"?' in given.errors
    assert given.out == ""
    for name in ("polygon.toml", "collector.toml"):
        (tmp_path / name).write_text((CONFIG / name).read_text())
    beside = dexarb("config", "check", "--config", path, "--json")
    assert beside.code == 2
    assert not beside.json["ok"]
    (error,) = beside.json["errors"]
    assert error["line"] == 8
    assert error["remedy"] == 'Did you mean "WETH"?'


def test_the_shipped_file_has_nothing_to_be_warned_of(dexarb: Dexarb) -> None:
    said = dexarb("config", "check", "--config", CONFIG / "paper_trading.toml", "--json")
    assert said.code == 0
    assert said.json["warnings"] == []
    assert said.json["not_checked"] is None
    assert len(said.json["strategies"]) == 10
    assert said.json["strategies"][0]["min_profit_usd"] == 10.0


def test_a_history_tells_what_is_waited_for_in_vain(tmp_path: Path, dexarb: Dexarb) -> None:
    trade(tmp_path, STRATEGIES)
    text = (
        STRATEGIES
        + """
[[strategy]]
name = "waits"
pairs = ["WMATIC/WETH"]
dexes = ["QuikSwap"]
"""
    )
    said = dexarb("config", "check", "--config", write(tmp_path, text))
    assert said.code == 0
    assert 'paper.toml:20: strategy "waits": pairs: no pool holds "WMATIC/WETH"' in said.errors
    assert 'no pool of "QuikSwap" is known. Did you mean "QuickSwap"?' in said.errors


def test_a_coming_fork_is_warned_of_until_it_has_come(tmp_path: Path, dexarb: Dexarb) -> None:
    changes = (ScheduleChange(102, "ethereum"), ScheduleChange(1_103, "polygon-chicago"))
    forks = replace(PROFILE, gas_schedules=changes)
    trade(tmp_path, STRATEGIES, first=replace(keyframe(), profile=forks))  # up to block 102
    said = dexarb("config", "check", "--config", write(tmp_path, STRATEGIES))
    assert said.code == 0
    assert said.errors.count("gas schedule") == 1
    told = 'the gas schedule "polygon-chicago" holds from block 1,103 on, 1,001 blocks from now'
    assert told in said.errors
    assert "correct [[gas_schedule]] in the chain's file" in said.errors


def test_what_a_reload_would_change(tmp_path: Path, dexarb: Dexarb) -> None:
    trade(tmp_path, STRATEGIES.replace("= 2.0", "= 2.25"), STRATEGIES)
    same = dexarb("config", "check", "--config", write(tmp_path, STRATEGIES))
    assert "A reload changes nothing" in same.out
    text = STRATEGIES.replace("= 2.0", "= 2.25").replace('"stays"', '"was called stays"')
    text = (
        text[: text.rindex("[[strategy]]")]
        + """
[[grid]]
name = "new {max_hops}"
max_hops = [2, 3]
"""
    )
    path = write(tmp_path, text)
    said = dexarb("config", "check", "--config", path)
    assert said.code == 0
    for line in (
        "A reload changes for paper-trading (not running now)",
        '+ "new 2" starts; new books',
        '+ "new 3" starts; new books',
        '- "goes" stops; its books are kept',
        '~ "changes" changes: min_profit_usd 2 -> 2.25; its earlier books go on',
        '= "stays" is now called "was called stays"; its books go on',
        "0 unchanged, 1 changed, 2 new, 1 closed, 1 renamed",
    ):
        assert line in said.out
    told = dexarb("config", "check", "--config", path, "--json").json
    assert told["ok"]
    assert told["trader"] is None
    assert (told["reload"]["new"], told["reload"]["closed"]) == (2, 1)
    assert len(told["reload"]["changes"]) == 5
    assert [each["line"] for each in told["strategies"]] == [9, 11, 15, 15]
    assert all(len(each["hash"]) == 16 for each in told["strategies"])


def test_a_bad_file_is_told_whole(tmp_path: Path, dexarb: Dexarb) -> None:
    trade(tmp_path, STRATEGIES)
    text = STRATEGIES.replace("= 2.0", "= 2.0\nmax_hops = 9").replace(
        "= 3.0", '= 3.0\npairs = ["WETH-USDC"]'
    )
    said = dexarb("config", "check", "--config", write(tmp_path, text))
    assert said.code == 2
    assert said.out == ""
    assert [line.split(": ")[3] for line in said.errors.splitlines()] == ["max_hops", "pairs #1"]


def test_the_trader_that_runs_is_named(tmp_path: Path, dexarb: Dexarb) -> None:
    trade(tmp_path, STRATEGIES)
    path = write(tmp_path, STRATEGIES)
    history = tmp_path / "history" / str(CHAIN_ID)
    with LedgerDb.open(tmp_path / "ledger.sqlite", chain_id=CHAIN_ID, history=history):
        # The holder of a lock is never mistaken, not even by its own process.
        assert dexarb("config", "check", "--config", path, "--json").json["trader"] is not None
    said = dexarb("reload", "--config", path)
    assert said.code == 3
    assert "no paper-trading or dexarb-bot runs on" in said.errors
