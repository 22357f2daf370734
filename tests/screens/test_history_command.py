"""dexarb history check: for people and for machines."""

from __future__ import annotations

from pathlib import Path

import pytest

from dexarb.store.history_writer import HistoryWriter
from dexarb.store.segment import list_segments
from tests.support.command import Dexarb
from tests.support.recorded import record
from tests.support.worlds import arrivals

HISTORY = Path("history") / str(arrivals.CHAIN_ID)


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names of files are told as they were given, and these fit on a line."""
    monkeypatch.chdir(tmp_path)


def test_it_tells_what_is_dead_and_how_well_the_rest_is_known(dexarb: Dexarb) -> None:
    updates = arrivals.fork_behind(6, 12)
    record(Path(), arrivals.first_keyframe(), updates)
    found = dexarb("history", "check", HISTORY, "--json").json
    assert found["ok"]
    assert (found["blocks"], found["dead"]) == (12, [[5_006, 5_006]])
    # Witnesses are none, 0, 1, 2, ... by number; 5,011 and the blocks before it have two.
    levels = ("unproven", "consistent", "proven")
    assert [found[key] for key in levels] == [6, 0, 6]
    assert found["backfilled"] == sum(u.backfilled for u in updates if u.block.number != 5_006)
    said = dexarb("history", "check", HISTORY)
    assert (said.code, "whole" in said.words) == (0, True)
    assert "dead 5,006" in said.words
    assert "gaps none" in said.words


def test_gaps_and_damage_are_told_with_exit_code_1(dexarb: Dexarb) -> None:
    updates = arrivals.fork_behind(10**9, 20)
    record(Path(), arrivals.first_keyframe(), updates[:5])
    with HistoryWriter.open(HISTORY, chain_id=arrivals.CHAIN_ID, chain="testnet") as writer:
        writer.append_keyframe(arrivals.market_after(updates[:10]).keyframe())
        writer.append(updates[10])
    said = dexarb("history", "check", HISTORY)
    assert (said.code, "gaps 5,006 to 5,010" in said.words) == (1, True)
    path = list_segments(HISTORY)[0].path
    path.write_bytes(path.read_bytes().replace(b"12000000", b"12000001", 1))
    said = dexarb("history", "check", HISTORY)
    assert said.code == 1
    assert "entry 1 is damaged: its crc does not fit" in said.words
