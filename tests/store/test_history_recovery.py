"""One writer, one format, and what damage and full disks leave."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dexarb.core.market import Market
from dexarb.errors import Locked, StoreError
from dexarb.store.history_reader import HistoryReader
from dexarb.store.history_writer import HistoryWriter
from dexarb.store.segment import list_segments
from tests.store import lines
from tests.store.disks import no_room
from tests.store.test_history_writer import append_all, blocks_of, open_writer, record
from tests.support.worlds import arrivals

# -- one writer, one chain, one format ------------------------------------------------------------


def test_a_second_writer_is_told_who_the_first_one_is(tmp_path: Path) -> None:
    with open_writer(tmp_path):
        with pytest.raises(Locked) as caught:
            open_writer(tmp_path)
        assert caught.value.holder == os.getpid()
        assert caught.value.exit_code == 2
    open_writer(tmp_path).close()


def test_a_writer_that_fails_to_open_leaves_no_lock(tmp_path: Path) -> None:
    open_writer(tmp_path).close()
    with pytest.raises(StoreError, match="of chain 137, not of chain 1"):
        HistoryWriter.open(tmp_path, chain_id=1, chain="mainnet")
    open_writer(tmp_path).close()


@pytest.mark.parametrize(
    ("manifest", "problem"),
    [
        (b'{"schema":5,"chain_id":137,"chain":"x"}', "has schema 5, this program knows 1 to 4"),
        (b'{"schema":4,"chain_id":137,"chain":"x"}', "is damaged: it carries no crc"),
        (b'{"schema":3,"chain_id":137,"chain":"x"}', "is damaged: it carries no crc"),
        (b'{"schema":2,"chain_id":137,"chain":"x"}', "is damaged: it carries no crc"),
        (b'{"schema":1}', "not a history manifest"),
        (b'{"schema":1,"chain', "not a history manifest"),
        (b"[]", "not a history manifest"),
    ],
)
def test_an_unknown_format_is_not_touched(tmp_path: Path, manifest: bytes, problem: str) -> None:
    (tmp_path / "manifest.json").write_bytes(manifest)
    with pytest.raises(StoreError, match=problem):
        open_writer(tmp_path)
    with pytest.raises(StoreError, match=problem):
        HistoryReader(tmp_path)
    assert (tmp_path / "manifest.json").read_bytes() == manifest


def test_reading_where_nothing_is_says_what_to_start(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="Start data-collector"):
        HistoryReader(tmp_path / "nowhere")


# -- damage ---------------------------------------------------------------------------------------


def only_segment(folder: Path) -> Path:
    (segment,) = list_segments(folder)
    return segment.path


@pytest.mark.parametrize("cut", [1, 2, 300])
def test_a_torn_last_line_is_cut_off(tmp_path: Path, cut: int) -> None:
    updates = arrivals.first_updates(10)
    record(tmp_path, updates)
    path = only_segment(tmp_path)
    path.write_bytes(path.read_bytes()[:-cut])
    assert blocks_of(list(HistoryReader(tmp_path).entries())) == updates[:9]
    assert HistoryReader(tmp_path).last_seq == 10
    with open_writer(tmp_path) as writer:
        assert writer.recovered is not None
        assert "not written to its end" in writer.recovered
        assert writer.last_seq == 10
        writer.append(updates[9])
    assert blocks_of(list(HistoryReader(tmp_path).entries())) == updates
    assert not list(tmp_path.glob("*.cut"))


def test_lines_behind_a_damaged_one_are_cut_off_but_kept_aside(tmp_path: Path) -> None:
    updates = arrivals.first_updates(10)
    record(tmp_path, updates)
    path = only_segment(tmp_path)
    whole = path.read_bytes().splitlines(keepends=True)
    damaged = [*whole[:6], b"\0" * len(whole[6]) + b"\n", *whole[7:]]
    path.write_bytes(b"".join(damaged))
    with pytest.raises(StoreError, match="entry 7 is damaged: its crc does not fit"):
        list(HistoryReader(tmp_path).entries())
    with open_writer(tmp_path) as writer:
        assert writer.last_seq == 6
        append_all(writer, arrivals.market_after(updates[:5]), updates[5:])
    assert blocks_of(list(HistoryReader(tmp_path).entries())) == updates
    assert path.with_name(path.name + ".cut").read_bytes() == b"".join(damaged[6:])


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (lambda line: line["block"].update(parent_hash="0xdead"), "whose parent is not known"),
        (lambda line: line.update(seq=77), "entry 77 in a wrong place"),
        (lambda line: line.update(kind="keyframe", continues=True), "entry 9 in a wrong place"),
    ],
)
def test_lines_that_do_not_fit_are_cut_off(tmp_path: Path, edit: object, problem: str) -> None:
    assert callable(edit)
    updates = arrivals.first_updates(10)
    record(tmp_path, updates)
    lines.rewrite(only_segment(tmp_path), lambda entries: edit(entries[8]))
    with open_writer(tmp_path) as writer:
        assert writer.recovered is not None
        assert problem in writer.recovered
        assert writer.last_seq == 8
        append_all(writer, arrivals.market_after(updates[:7]), updates[7:])
    assert blocks_of(list(HistoryReader(tmp_path).entries())) == updates


def test_a_segment_without_a_whole_keyframe_goes(tmp_path: Path) -> None:
    updates = arrivals.first_updates(20)
    record(tmp_path, updates, segment_blocks=10)
    last = list_segments(tmp_path)[-1].path
    last.write_bytes(last.read_bytes()[:100])
    unfinished = tmp_path / "000000000099.jsonl.tmp"
    unfinished.write_bytes(b"{")
    with open_writer(tmp_path, segment_blocks=10) as writer:
        assert writer.last_seq == 22
        assert writer.roll_if_full(arrivals.market_after(updates).keyframe)
    assert not unfinished.exists()
    assert HistoryReader(tmp_path).last_seq == 23
    assert blocks_of(list(HistoryReader(tmp_path).entries())) == updates


def test_a_reader_ahead_of_the_history_is_told(tmp_path: Path) -> None:
    record(tmp_path, arrivals.first_updates(5))
    reader = HistoryReader(tmp_path)
    assert list(reader.entries(7)) == []
    with pytest.raises(StoreError, match="ends before entry 9"):
        list(reader.entries(9))
    with pytest.raises(StoreError, match="begins at entry 1"):
        list(reader.entries(0))


# -- a full disk ----------------------------------------------------------------------------------


@pytest.mark.parametrize("room", [0, 300])
def test_a_full_disk_tears_no_line_and_stops_nothing_for_good(tmp_path: Path, room: int) -> None:
    """With room for nothing, and for a part of a line."""
    updates = arrivals.first_updates(50)
    market = Market(arrivals.first_keyframe())
    writer = open_writer(tmp_path, segment_blocks=20)
    with no_room(room), pytest.raises(StoreError, match="Free space"):
        writer.append_keyframe(market.keyframe())
    writer.append_keyframe(market.keyframe())
    for update in updates:
        market.rewind(update.block.parent_hash)
        market.apply(update)
        size = list_segments(tmp_path)[-1].path.stat().st_size
        with no_room(size + room), pytest.raises(StoreError, match="Free space"):
            writer.append(update)
        assert list_segments(tmp_path)[-1].path.stat().st_size == size
        last_seq = writer.last_seq
        assert writer.append(update).seq == last_seq + 1
        if writer.last_seq in (21, 42):
            with no_room(room), pytest.raises(StoreError, match="Free space"):
                writer.roll_if_full(market.keyframe)
        writer.roll_if_full(market.keyframe)
    writer.close()
    reader = HistoryReader(tmp_path)
    assert blocks_of(list(reader.entries())) == updates
    assert reader.last_seq == 53
    assert not list(tmp_path.glob("*.tmp"))
    with open_writer(tmp_path) as reopened:
        assert reopened.recovered is None


def test_a_writer_closed_on_a_full_disk_leaves_whole_lines(tmp_path: Path) -> None:
    updates = arrivals.first_updates(5)
    record(tmp_path, updates[:4])
    writer = open_writer(tmp_path)
    size = list_segments(tmp_path)[-1].path.stat().st_size
    with no_room(size + 100), pytest.raises(StoreError):
        writer.append(updates[4])
    writer.close()
    assert blocks_of(list(HistoryReader(tmp_path).entries())) == updates[:4]
