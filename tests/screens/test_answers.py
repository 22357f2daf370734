"""Every command shows what it found in the same two ways."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from rich.text import Text

from dexarb.screens.answer import Answer, show
from dexarb.screens.fills import answer as fills_of
from tests.support.command import Dexarb
from tests.support.recorded import record
from tests.support.scenes import BOLD, SHY, STRATEGIES, scene
from tests.support.traded import World, record_and_trade


@dataclass(frozen=True, slots=True)
class Refused(Answer):
    @property
    def exit_code(self) -> int:
        return 2

    def problems(self) -> Iterator[str]:
        yield "error: no"

    def as_json(self) -> dict[str, bool]:
        return {"ok": False}

    def render(self) -> Text:
        return Text("/a path/" + 40 * "long/", no_wrap=True, overflow="ignore")


@pytest.mark.parametrize("as_json", [False, True])
def test_problems_stand_apart_and_the_code_is_the_answers(
    as_json: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    assert show(Refused(), as_json=as_json) == 2
    out, err = capsys.readouterr()
    assert err == "error: no\n"
    assert out == ('{\n  "ok": false\n}\n' if as_json else "/a path/" + 40 * "long/" + "\n")


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return record_and_trade(tmp_path_factory.mktemp("answers"), *scene(), *STRATEGIES)


COMMANDS = (
    "status", "why", f"why {BOLD}", f"why {BOLD} {SHY}", "fills", "scan", "spreads", "rivals",
    "winners", "census", "verdict", "finalists show", "calibrate", "replay", "history check",
    "config check",
)  # fmt: skip


@pytest.mark.parametrize("words", COMMANDS)
def test_json_is_all_there_is_on_standard_output(world: World, dexarb: Dexarb, words: str) -> None:
    done = dexarb(*words.split(), "-c", world.config, "--json")
    # The scene's taker gets a little more than its pool gives: calibrating finds that.
    assert done.code == (words == "calibrate")
    assert isinstance(json.loads(done.out), dict)
    assert done.err == ""


def test_calibrating_is_told_to_people(tmp_path: Path, dexarb: Dexarb) -> None:
    first, updates = scene()
    done = dexarb("calibrate", record(tmp_path, first, updates[:3]))
    assert (done.code, done.err) == (0, "")
    assert "Blocks 101 to 103, 3 of them" in done.out
    assert done.out.endswith("No amount differs.\n")


def test_a_page_can_ask_without_showing(world: World) -> None:
    fills = fills_of(world.config, strategy=BOLD, last=1)
    assert [each["strategy"] for each in fills.as_json()["fills"]] == [BOLD]
