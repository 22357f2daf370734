"""A history of schema 1 (fixtures/README.md) is read, checked and continued."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dexarb.errors import StoreError
from dexarb.store import checksum
from dexarb.store.compaction import close_segments
from dexarb.store.follow import newest_market
from dexarb.store.history_check import check
from dexarb.store.history_reader import HistoryReader
from dexarb.store.segment import list_segments, read_manifest
from tests.store.test_history_writer import append_all, blocks_of, open_writer
from tests.support.worlds import arrivals

FIXTURE = Path(__file__).parent / "fixtures" / "schema_1"
RECORDED = 24
LATER = arrivals.first_updates(60, seed=2, logs=2)


@pytest.fixture
def old(tmp_path: Path) -> Path:
    return Path(shutil.copytree(FIXTURE, tmp_path / "history"))


def test_it_is_read_and_checked(old: Path) -> None:
    found = check(old)
    assert found.ok
    assert (found.first_block, found.last_block, found.blocks) == (5_001, 5_021, 21)
    assert (found.dead, found.dead_blocks) == ([(5_011, 5_013)], 3)
    assert (found.unproven, found.consistent, found.proven, found.backfilled) == (21, 0, 0, 0)
    blocks = blocks_of(list(HistoryReader(old).entries()))
    assert len(blocks) == RECORDED
    assert {update.witnesses for update in blocks} == {None}
    market = newest_market(HistoryReader(old))
    assert market.pools == arrivals.market_after(LATER[:RECORDED]).pools
    assert {path.name for path in old.iterdir()} == {path.name for path in FIXTURE.iterdir()}


def test_it_is_continued_and_its_lines_stay_as_they_are(old: Path) -> None:
    lines = (old / "000000000016.jsonl").read_bytes()
    with open_writer(old, segment_blocks=14) as writer:
        assert writer.recovered is None
        assert writer.last_seq == 26
        append_all(writer, arrivals.market_after(LATER[:RECORDED]), LATER[RECORDED:])
    manifest = read_manifest(old)
    assert manifest is not None
    assert (manifest.schema, manifest.crc_from, manifest.digests) == (4, 27, {})
    assert (old / "000000000016.jsonl").read_bytes().startswith(lines)
    before = list(HistoryReader(old).entries(every_keyframe=True))
    assert check(old).ok
    assert close_segments(old, 10**9)
    assert list(HistoryReader(old).entries(every_keyframe=True)) == before
    assert [segment.closed for segment in list_segments(old)].count(False) == 1
    found = check(old)
    assert (found.ok, found.problems) == (True, [])
    assert found.unproven > 0 < found.proven


def test_the_first_new_line_vouches_for_the_old_ones_before_it(old: Path) -> None:
    with open_writer(old) as writer:
        append_all(writer, arrivals.market_after(LATER[:RECORDED]), LATER[RECORDED : RECORDED + 1])
    path = old / "000000000016.jsonl"
    data = path.read_bytes()
    path.write_bytes(data.replace(b'"gas_limit":30000000', b'"gas_limit":30000001', 1))
    with pytest.raises(StoreError, match="entry 27 is damaged"):
        list(HistoryReader(old).entries())


def test_a_new_line_whose_crc_is_gone_is_no_old_one(old: Path) -> None:
    with open_writer(old) as writer:
        append_all(writer, arrivals.market_after(LATER[:RECORDED]), LATER[RECORDED : RECORDED + 1])
    path = old / "000000000016.jsonl"
    path.write_bytes(path.read_bytes().replace(b',"crc":"', b',"crb":"'))
    with pytest.raises(StoreError, match="entry 27 is damaged: its crc does not fit"):
        list(HistoryReader(old).entries())


def test_lines_lost_with_the_power_after_the_upgrade_are_replaced_by_ones_with_a_crc(
    old: Path,
) -> None:
    open_writer(old).close()
    path = old / "000000000016.jsonl"
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[:-2]))
    with open_writer(old) as writer:
        append_all(writer, arrivals.market_after(LATER[: RECORDED - 2]), LATER[RECORDED - 2 : 40])
    manifest = read_manifest(old)
    assert manifest is not None
    assert manifest.crc_from == 25
    assert all(checksum.is_sealed(line) for line in path.read_bytes().splitlines()[9:])
    assert blocks_of(list(HistoryReader(old).entries()))[RECORDED - 2 :] == LATER[RECORDED - 2 : 40]
