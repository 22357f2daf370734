"""A ledger without a byte is not silently a new one."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from dexarb.apps import paper
from tests.support.recorded import record
from tests.support.signals import ScriptedSignals
from tests.support.traded import configure, strategy
from tests.support.worlds.small_chain import SmallChain, keyframe


@pytest.fixture(autouse=True)
def _process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """What a program does to its own process is undone."""
    monkeypatch.setattr(paper, "start_logging", lambda *_: None)
    monkeypatch.setattr(paper, "Signals", lambda: ScriptedSignals(iter([None])))
    before = os.umask(0o022)
    yield
    os.umask(before)


@pytest.mark.parametrize("is_hollow", [True, False])
def test_it_is_told(tmp_path: Path, is_hollow: bool) -> None:
    world = configure(tmp_path, strategy("one"))
    record(tmp_path / "data", keyframe(), [SmallChain(keyframe()).mine()])
    if is_hollow:
        world.ledger.touch()
    with capture_logs() as logs:
        assert paper.run(world.config) == 0
    told = [line["ledger"] for line in logs if line["event"] == "ledger.hollow"]
    assert told == ([str(world.ledger)] if is_hollow else [])
    assert world.ledger.stat().st_size
