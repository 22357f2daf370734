"""dexarb alerts test: what came of a message to each target, and the exit code."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.alerts.files import alerts_table
from tests.support.command import Dexarb
from tests.support.mailbox import mailbox
from tests.support.traded import configure, strategy

SECRET = "k3yOfTheService"


def test_each_target_gets_one_message(tmp_path: Path, dexarb: Dexarb) -> None:
    world = configure(tmp_path, strategy("eager"))
    with mailbox() as box, mailbox() as other:
        table = alerts_table(box.url(SECRET), other.url(SECRET), more='name = "attic"')
        world.config.write_text(world.config.read_text() + table)
        said = dexarb("alerts", "test", "-c", world.config)
        assert (said.code, said.err) == (0, "")
        assert "json #1 ok, " in said.words
        assert "json #2 ok, " in said.words
        assert "Told will be: silence, head_lag, disk, strategy_stopped, loss_limit" in said.words
        assert box.titles == other.titles == ["attic: test"]
        assert dexarb("alerts", "test", "-c", world.config, "--json").json["ok"]


def test_one_that_fails_and_one_that_hangs_are_told(tmp_path: Path, dexarb: Dexarb) -> None:
    config = tmp_path / "any.toml"
    with mailbox() as well, mailbox() as broken, mailbox() as slow:
        broken.status = 500
        slow.gate.clear()
        urls = [box.url(SECRET) for box in (well, broken, slow)]
        config.write_text(alerts_table(*urls))
        said = dexarb("alerts", "test", "-c", config, "--timeout", "0.3")
    assert said.code == 3
    assert "json #1 ok" in said.words
    assert "json #2 failed: " in said.words
    assert "500" in said.words
    assert "json #3 failed: no answer within 0.3 s" in said.words
    assert SECRET not in said.out + said.err


def test_a_target_that_is_none_is_a_wrong_configuration(
    tmp_path: Path, dexarb: Dexarb, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = tmp_path / "any.toml"
    monkeypatch.delenv("NO_SUCH_URL", raising=False)
    for table, told in (
        (alerts_table(f"nonsense://{SECRET}"), "any.toml:2: alerts: urls #1: no URL of a service"),
        (alerts_table("${NO_SUCH_URL}"), "NO_SUCH_URL is not set"),
        ("", "there is no [alerts]"),
    ):
        config.write_text(table)
        said = dexarb("alerts", "test", "-c", config)
        assert said.code == 2
        assert told in said.err
        assert SECRET not in said.err
