"""What takes long says how far it is and how long it will take, on a terminal and nowhere else."""

from __future__ import annotations

import re

import pytest

from tests.support.command import Dexarb
from tests.support.scenes import BOLD, SHY, STRATEGIES, scene
from tests.support.traded import World, record_and_trade

READING = (
    ("spreads", "reading history"),
    ("rivals", "reading history"),
    ("winners", "reading history"),
    ("census", "reading history"),
    ("backruns", "reading history"),
    ("map", "reading history"),
    ("calibrate", "calibrating"),
    (f"why|{BOLD}|{SHY}", "deciding again"),
)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return record_and_trade(tmp_path_factory.mktemp("progress"), *scene(), *STRATEGIES)


@pytest.mark.parametrize(("command", "what"), READING)
def test_reading_a_history_shows_how_far_it_is_and_the_time_left(
    world: World, dexarb: Dexarb, monkeypatch: pytest.MonkeyPatch, command: str, what: str
) -> None:
    asked = (*command.split("|"), "-c", world.config, "--json")
    quiet = dexarb(*asked)
    assert what not in quiet.err
    monkeypatch.setenv("FORCE_COLOR", "1")  # rich takes what it writes to for a terminal
    shown = dexarb(*asked)
    bar = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.err)
    assert re.search(rf"{what} .* +\d+% +(\d+:\d\d:\d\d|-:--:--)", bar), bar
    assert (shown.code, shown.out) == (quiet.code, quiet.out)
