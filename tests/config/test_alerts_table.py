"""[alerts] of both files: what is wrong with it is told by file, line and key, never by URL."""

from __future__ import annotations

import traceback
from datetime import UTC
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from dexarb.config.alerts import COLLECTOR_KINDS, PAPER_KINDS, AlertKind, read_alerts
from dexarb.config.collector import load_collector
from dexarb.config.paper import load_paper
from dexarb.config.schema import schema_of
from dexarb.errors import InputError
from tests.config.test_config_schema import problems

CONFIG = Path(__file__).parent.parent.parent / "config"
KEY = "k3yMat1"
URL = f"tgram://{KEY}:{KEY}x@{KEY}.org/{KEY}?to={KEY}"
PAPER = """[[strategy]]
name = "a strategy-with-a-long-name-and-1-digit"
pairs = ["WETH/USDC"]
min_profit_usd = 1
max_trade_size_usd = 100
"""
COLLECTOR = f"""[collector]
chain = "{CONFIG}/polygon.toml"
[rpc]
endpoints = ["https://a"]
[[pools]]
dexes = ["QuickSwap"]
pairs = ["WETH/USDC"]
"""
ALERTS = f'[alerts]\nurls = ["{URL}", "${{ALERTS_URL}}"]\n'


def paper(folder: Path, text: str) -> Any:
    path = folder / "paper.toml"
    path.write_text(text)
    return load_paper(path).alerts


def collector(folder: Path, text: str) -> Any:
    path = folder / "collector.toml"
    path.write_text(text)
    return load_collector(path).alerts


def test_what_it_says_without_saying_more(tmp_path: Path) -> None:
    rules = paper(tmp_path, PAPER + ALERTS).rules
    assert rules.kinds == PAPER_KINDS
    assert (rules.silence_s, rules.head_lag_s, rules.repeat_s) == (120.0, 120.0, 3600.0)
    assert (rules.quiet, rules.zone, rules.digest_minute) == (None, UTC, 480)
    assert rules.disk_free_bytes == 5_000_000_000
    assert collector(tmp_path, COLLECTOR + ALERTS).rules.kinds == COLLECTOR_KINDS
    assert paper(tmp_path, PAPER) is None
    assert collector(tmp_path, COLLECTOR) is None


def test_all_that_it_can_say(tmp_path: Path) -> None:
    more = """kinds = ["disk", "digest"]
name = "attic"
silence_secs = 1.5
head_lag_secs = 30
disk_free_gb = 0.5
repeat_mins = 0
quiet_hours = "22:30 - 07:00"
timezone = "Europe/Vienna"
digest_at = "23:59"
"""
    rules = paper(tmp_path, PAPER + ALERTS + more).rules
    assert rules.kinds == {AlertKind.DISK, AlertKind.DIGEST}
    assert (rules.silence_s, rules.head_lag_s, rules.repeat_s) == (1.5, 30.0, 0.0)
    assert rules.disk_free_bytes == 500_000_000
    assert (rules.quiet, rules.zone) == ((1350, 420), ZoneInfo("Europe/Vienna"))
    assert rules.digest_minute == 1439


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ('silence_sec = 3', 'alerts: silence_sec: unknown key. Did you mean "silence_secs"?'),
        ('kinds = ["silense"]', 'alerts: kinds #1: unknown kind. Did you mean "silence"?'),
        ('kinds = ["disk", "mismatch"]', "kinds #2: this program knows nothing of mismatch"),
        ('timezone = "Europe/Viena"', 'Did you mean "Europe/Vienna"?'),
        ('timezone = "../etc"', 'Write it as "UTC" or "Europe/Vienna"'),
        ('quiet_hours = "22-7"', 'alerts: quiet_hours: no hours of a day'),
        ('quiet_hours = "22:00-22:00"', "two different times"),
        ('quiet_hours = "22:00-24:00"', "no hours of a day"),
        ('digest_at = "8:00"', 'alerts: digest_at: no time of day. Write it as "08:00"'),
        ("silence_secs = 0", "alerts: silence_secs: input should be greater than 0"),
        ('repeat_mins = "1"', "alerts: repeat_mins: expected a number, without quotes"),
        ("urls = []", "Cannot overwrite a value"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_with_its_line(tmp_path: Path, more: str, said: str) -> None:
    with pytest.raises(InputError) as caught:
        paper(tmp_path, PAPER + ALERTS + more)
    assert said in str(caught.value)
    assert "paper.toml:8: " in str(caught.value)


@pytest.mark.parametrize(
    "table",
    [
        f'[alerts]\nurls = "{URL}"',
        f'[alerts]\nurls = [["{URL}"]]',
        f'[alerts]\nurls = [{{ "{URL}" = 1, name = "{URL}" }}]',
        f'[alerts]\nurls = []\nname = ["{URL}"]',
        f'[alerts]\nurls = ["a"]\n"{URL}" = 1',
        f'[alerts]\nurls = ["a"]\n{KEY} = 1',
        f'[alerts]\nurls = ["a"]\nkinds = ["{KEY}"]',
        f'[alerts]\nurls = ["a"]\ntimezone = "{KEY}"',
        f'[alerts]\nurls = ["a"]\ndigest_at = "{URL}"',
        f'[alerts]\nurls = ["a"]\nsilence_secs = "{URL}"',
        f'[[alerts]]\nurls = ["{URL}"]',
        f'[alerts]\nurls = [{URL}]',
        f'[alerts]\nurls = ["{URL}',
    ],
)  # fmt: skip
def test_no_part_of_a_url_is_shown(tmp_path: Path, table: str) -> None:
    for load, text in ((paper, PAPER), (collector, COLLECTOR)):
        with pytest.raises(InputError) as caught:
            load(tmp_path, text + table)
        told = str(caught.value) + repr(vars(caught.value))
        told += "".join(traceback.format_exception(caught.value))
        assert KEY not in told


def test_nothing_that_holds_it_shows_it(tmp_path: Path) -> None:
    config = paper(tmp_path, PAPER + ALERTS)
    assert KEY not in repr(config) + repr(config.table) + repr(load_paper(tmp_path / "paper.toml"))


def test_the_environment_is_asked_by_who_sends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ALERTS_URL", raising=False)
    config = paper(tmp_path, PAPER + ALERTS)
    with pytest.raises(
        InputError, match=r"paper\.toml:7: alerts: urls #2: .*ALERTS_URL is not set"
    ):
        config.urls()
    monkeypatch.setenv("ALERTS_URL", "json://b")
    assert config.urls() == [URL, "json://b"]


def test_long_names_elsewhere_in_the_file_are_shown_as_before(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="a strategy-with-a-long-name-and-1-digit"):
        paper(tmp_path, PAPER + "max_slippage = 1\n" + ALERTS)


def test_the_rest_of_a_file_may_be_wrong_for_a_test_of_the_alerts(tmp_path: Path) -> None:
    path = tmp_path / "any.toml"
    path.write_text('[rpc]\nendpoints = ["${NOT_SET_HERE}"]\n[collector]\nx = 1\n' + ALERTS)
    assert read_alerts(path).rules.kinds == COLLECTOR_KINDS
    path.write_text('[rpc]\nendpoints = ["${NOT_SET_HERE}"]\n' + ALERTS)
    assert read_alerts(path).rules.kinds == COLLECTOR_KINDS
    path.write_text(PAPER)
    with pytest.raises(InputError, match=r"there is no \[alerts\]"):
        read_alerts(path)


def test_the_schema_knows_it() -> None:
    schema = schema_of("paper")
    assert "alerts" in schema["properties"]
    file = {"alerts": {"urls": ["json://a"], "quiet_hours": "22:00-07:00"}, "strategy": []}
    assert [*problems(schema, file, schema)] == []
    wrong = {"alerts": {"urls": [], "silence": 3}, "strategy": []}
    assert len([*problems(schema, wrong, schema)]) == 2
