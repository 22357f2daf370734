"""Producers, types and traffic (schema 4): known from then on, unknown before."""

from __future__ import annotations

import shutil
from pathlib import Path

import msgspec
import pytest

from dexarb.core.block import BlockUpdate
from dexarb.errors import StoreError
from dexarb.store.codec import decode_traffic
from dexarb.store.compaction import close_segments
from dexarb.store.history_check import check
from dexarb.store.history_reader import HistoryReader
from dexarb.store.segment import list_segments, read_manifest
from tests.store.test_history_writer import append_all, blocks_of, open_writer, record
from tests.store.test_schema_2 import CHANGED, FIXTURES
from tests.support.worlds import arrivals

KNOWN = arrivals.with_traffic(arrivals.first_updates(60, seed=2, logs=2))


def entries_of(folder: Path) -> list[object]:
    return list(HistoryReader(folder).entries(every_keyframe=True))


def test_closing_keeps_what_is_known_of_all_pools(tmp_path: Path) -> None:
    record(tmp_path, KNOWN[:30], segment_blocks=14)
    before = entries_of(tmp_path)
    assert blocks_of(list(HistoryReader(tmp_path).entries())) == KNOWN[:30]
    assert close_segments(tmp_path, 10**9)
    assert entries_of(tmp_path) == before
    assert any(update.traffic is None for update in KNOWN[:30])


@pytest.mark.parametrize(("name", "count", "schema"), [("schema_1", 24, 1), ("schema_3", 30, 3)])
def test_an_older_history_goes_on_with_it(
    tmp_path: Path, name: str, count: int, schema: int
) -> None:
    history = Path(shutil.copytree(FIXTURES / name, tmp_path / "history"))
    arrived = CHANGED if schema == 3 else KNOWN
    blocks = [each for each in arrived[count:] if isinstance(each, BlockUpdate)]
    known = arrivals.with_traffic(blocks)
    following = iter(known)
    later = [next(following) if isinstance(each, BlockUpdate) else each for each in arrived[count:]]
    manifest = read_manifest(history)
    assert manifest is not None
    assert manifest.schema == schema
    with open_writer(history, segment_blocks=14) as writer:
        append_all(writer, arrivals.market_after(arrived[:count]), later)
    manifest = read_manifest(history)
    assert manifest is not None
    assert manifest.schema == 4
    before = entries_of(history)
    recorded = [each for each in before if isinstance(each, BlockUpdate)]
    old, new = recorded[: -len(known)], recorded[-len(known) :]
    assert {(each.producer, each.traffic) for each in old} == {(None, None)}
    assert {transaction.type for each in old for transaction in each.transactions} == {None}
    assert [(each.producer, each.traffic) for each in new] == [
        (each.producer, each.traffic) for each in known
    ]
    assert close_segments(history, 10**9)
    assert all(segment.closed for segment in list_segments(history)[:-1])
    assert entries_of(history) == before
    assert check(history).problems == []


def test_schema_4_is_read_checked_and_continued(tmp_path: Path) -> None:
    history = Path(shutil.copytree(FIXTURES / "schema_4", tmp_path / "history"))
    assert check(history).ok
    assert [segment.closed for segment in list_segments(history)] == [True, False]
    assert blocks_of(list(HistoryReader(history).entries())) == KNOWN[:24]
    with open_writer(history, segment_blocks=14) as writer:
        assert writer.recovered is None
        append_all(writer, arrivals.market_after(KNOWN[:24]), KNOWN[24:30])
    assert blocks_of(list(HistoryReader(history).entries())) == KNOWN[:30]


def test_traffic_that_is_none_names_its_place() -> None:
    traffic = KNOWN[0].traffic
    assert traffic is not None
    text = msgspec.json.encode(traffic).decode()
    assert decode_traffic(text, "here") == traffic
    for damaged in (text[:-1], text.replace("[0,1]", "[0,2]")):
        with pytest.raises(StoreError, match="traffic that is none") as caught:
            decode_traffic(damaged, "here")
        assert caught.value.path == "here"
