"""Histories of schema 2 and 3 (fixtures/README.md) are read, checked and continued."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dexarb.core.market import PoolsChanged
from dexarb.store.compaction import close_segments
from dexarb.store.follow import newest_market
from dexarb.store.history_check import check
from dexarb.store.history_reader import HistoryReader
from dexarb.store.segment import CHANGES_FILE, list_segments, read_manifest
from tests.store.test_history_writer import append_all, blocks_of, open_writer
from tests.support.worlds import arrivals
from tests.support.worlds.blocks import ref_of

FIXTURES = Path(__file__).parent / "fixtures"
LATER = arrivals.first_updates(60, seed=2, logs=2)
CHANGED = arrivals.with_changes(40, seed=2)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FIXTURES / "schema_2", tmp_path / "history"))


@pytest.fixture
def present(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FIXTURES / "schema_3", tmp_path / "history"))


def test_schema_2_is_read_and_checked(old: Path) -> None:
    found = check(old)
    assert (found.ok, found.problems, found.entries) == (True, [], 28)
    assert [segment.closed for segment in list_segments(old)] == [True, True, False]
    assert blocks_of(list(HistoryReader(old).entries())) == LATER[:24]
    assert newest_market(HistoryReader(old)).pools == arrivals.market_after(LATER[:24]).pools
    manifest = read_manifest(old)
    assert manifest is not None
    assert manifest.schema == 2


def test_schema_2_is_continued_and_pools_can_come_and_go_from_then_on(old: Path) -> None:
    lines = list_segments(old)[-1].path.read_bytes()
    market = arrivals.market_after(LATER[:24])
    with open_writer(old, segment_blocks=14) as writer:
        assert (writer.recovered, writer.last_seq) == (None, 28)
        for pools in ({"left": (arrivals.V3,)}, {"joined": (market.pools[arrivals.V3],)}):
            entry = PoolsChanged(0, ref_of(market), **pools)
            append_all(writer, market, [entry])
        append_all(writer, market, LATER[24:])
    manifest = read_manifest(old)
    assert manifest is not None
    assert (manifest.schema, manifest.crc_from, len(manifest.digests)) == (4, 1, 2)
    assert list_segments(old)[2].path.read_bytes().startswith(lines)
    before = list(HistoryReader(old).entries(every_keyframe=True))
    assert check(old).ok
    assert close_segments(old, 10**9)
    assert list(HistoryReader(old).entries(every_keyframe=True)) == before
    assert check(old).problems == []


def test_schema_3_is_read_checked_and_continued(present: Path) -> None:
    found = check(present)
    assert (found.ok, found.problems) == (True, [])
    assert [segment.closed for segment in list_segments(present)] == [True, False]
    assert (list_segments(present)[0].path / CHANGES_FILE).exists()
    reader = HistoryReader(present)
    recorded = [entry for entry in reader.entries() if not hasattr(entry, "profile")]
    assert sum(isinstance(entry, PoolsChanged) for entry in recorded) > 3
    market = arrivals.market_after(CHANGED[: len(recorded)])
    assert newest_market(reader).pools == market.pools
    with open_writer(present, segment_blocks=14) as writer:
        assert writer.recovered is None
        append_all(writer, market, CHANGED[len(recorded) :])
    assert check(present).ok
    assert newest_market(HistoryReader(present)).pools == arrivals.market_after(CHANGED).pools
