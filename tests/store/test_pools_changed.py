"""Pools that come and go, on disk: an entry like any other, in open segments and in closed ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dexarb.core.block import BlockHash, BlockRef, BlockUpdate
from dexarb.core.market import Entry, Keyframe, PoolsChanged
from dexarb.core.pool import PoolKey
from dexarb.errors import StoreError
from dexarb.store import closed_segment
from dexarb.store.compaction import close_segments
from dexarb.store.follow import follow, newest_market, start
from dexarb.store.history_check import check
from dexarb.store.history_reader import HistoryReader
from dexarb.store.segment import CHANGES_FILE, find_segment, list_segments
from tests.store import lines
from tests.store.disks import no_room
from tests.store.test_history_writer import append_all, open_writer, record
from tests.support.worlds import arrivals
from tests.support.worlds.blocks import TRADER

BLOCKS = 100


def plain(entries: list[Entry]) -> list[Entry]:
    """Without seqs and keyframes."""
    return [replace(entry, seq=0) for entry in entries if not isinstance(entry, Keyframe)]


def leaving(market_block: BlockRef) -> PoolsChanged:
    return PoolsChanged(0, market_block, left=(arrivals.V3,))


@pytest.mark.parametrize("compacted", [False, True])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_what_was_appended_is_read_in_order(tmp_path: Path, seed: int, compacted: bool) -> None:
    made = arrivals.with_changes(BLOCKS, seed)
    changes = [entry for entry in made if isinstance(entry, PoolsChanged)]
    assert len(changes) > 20
    record(tmp_path, made, segment_blocks=20)
    before = list(HistoryReader(tmp_path).entries(every_keyframe=True))
    if compacted:
        assert len(close_segments(tmp_path, 10**9)) == 5
    reader = HistoryReader(tmp_path)
    entries = list(reader.entries(every_keyframe=True))
    assert entries == before
    assert [entry.seq for entry in entries] == list(range(1, len(entries) + 1))
    assert plain(entries) == made
    assert reader.last_seq == len(entries)
    for first, last in ((1, 5), (20, 24), (21, 22), (30, 97)):
        assert list(reader.entries(first, last, every_keyframe=True)) == before[first - 1 : last]
    market = arrivals.market_after(made)
    found = newest_market(reader)
    assert (found.block, found.pools) == (market.block, market.pools)
    told = check(tmp_path)
    assert (told.ok, told.problems) == (True, [])
    assert (told.pools, told.entries) == (len(market.pools), len(entries))


def test_a_reader_that_starts_at_any_keyframe_comes_to_the_same_market(tmp_path: Path) -> None:
    made = arrivals.with_changes(BLOCKS, 4)
    record(tmp_path, made, segment_blocks=10)
    reader = HistoryReader(tmp_path)
    market = arrivals.market_after(made)
    for number in range(arrivals.START_BLOCK + 10, market.block.number, 10):
        first = start(reader, block=number, before=0)
        *_, (_, followed) = follow(reader, first.seq)
        assert followed is not None
        assert (followed.block, followed.pools) == (market.block, market.pools)


def test_the_branch_does_not_move(tmp_path: Path) -> None:
    made = arrivals.with_changes(BLOCKS)
    blocks = [entry for entry in made if isinstance(entry, BlockUpdate)]
    record(tmp_path / "a", made, segment_blocks=20)
    record(tmp_path / "b", blocks, segment_blocks=20)
    one, other = HistoryReader(tmp_path / "a"), HistoryReader(tmp_path / "b")
    assert one.recent_chain(1000) == other.recent_chain(1000)
    close_segments(tmp_path / "a", 10**9)
    assert one.recent_chain(1000) == other.recent_chain(1000)


def test_a_follower_hears_of_it_at_once(tmp_path: Path) -> None:
    made = arrivals.with_changes(10, 5)
    first = next(number for number, e in enumerate(made) if isinstance(e, PoolsChanged))
    record(tmp_path, made[:first])
    stopped = False
    with open_writer(tmp_path) as writer:
        source = HistoryReader(tmp_path).follow(first + 1, stop=lambda: stopped)
        assert replace(next(source), seq=0) == made[first - 1]
        stored = writer.append_pools_changed(made[first])  # type: ignore[arg-type]
        assert (stored.seq, writer.last_seq) == (first + 2, first + 2)
        assert next(source) == stored
        stopped = True


# -- writing ---------------------------------------------------------------------------------------


def test_pools_change_at_the_last_block_and_nowhere_else(tmp_path: Path) -> None:
    updates = arrivals.fork_behind(10**9, 30)
    with (
        open_writer(tmp_path) as writer,
        pytest.raises(StoreError, match="no keyframe to go on from"),
    ):
        writer.append_pools_changed(leaving(BlockRef(0, BlockHash("0x"))))
    record(tmp_path, updates)
    with open_writer(tmp_path) as writer:
        before = writer.recent_chain(2)[0]
        for stranger in (before, BlockRef(before.number + 1, before.hash)):
            with pytest.raises(StoreError, match="no pools can change"):
                writer.append_pools_changed(leaving(stranger))
        assert writer.last_seq == 31
        writer.append_break(before, "why")
        with pytest.raises(StoreError, match="no keyframe to go on from"):
            writer.append_pools_changed(leaving(before))


def test_a_full_disk_writes_nothing_of_it(tmp_path: Path) -> None:
    updates = arrivals.first_updates(10)
    record(tmp_path, updates)
    with open_writer(tmp_path) as writer:
        last = writer.last_block
        assert last is not None
        entry = PoolsChanged(0, last, arrivals.TOKENS, (), (arrivals.V3,))
        with no_room(100), pytest.raises(StoreError, match="appended"):
            writer.append_pools_changed(entry)
        assert writer.last_seq == 11
        assert writer.append_pools_changed(entry).seq == 12
    assert check(tmp_path).ok


def test_a_history_that_is_closed_and_opened_at_every_entry_has_the_same_segments(
    tmp_path: Path,
) -> None:
    made = arrivals.with_changes(40)
    record(tmp_path / "whole", made, segment_blocks=7)
    with open_writer(tmp_path / "cut", segment_blocks=7) as writer:
        writer.append_keyframe(arrivals.first_keyframe())
    for count, entry in enumerate(made):
        with open_writer(tmp_path / "cut", segment_blocks=7) as writer:
            assert writer.recovered is None
            append_all(writer, arrivals.market_after(made[:count]), [entry])
    names = [
        [segment.path.name for segment in list_segments(tmp_path / each)]
        for each in ("whole", "cut")
    ]
    assert names[0] == names[1]
    for name in names[0]:
        assert (tmp_path / "whole" / name).read_bytes() == (tmp_path / "cut" / name).read_bytes()


def cuts(data: bytes) -> Iterator[int]:
    """Places behind the first line: around every newline, and some within lines."""
    first = data.index(b"\n") + 1
    for place in range(first, len(data)):
        if data[place : place + 1] == b"\n":
            yield from (place - 1, place, place + 1)
    yield from range(first + 500, len(data), 1_777)


def test_a_torn_line_is_cut_off_and_written_again(tmp_path: Path) -> None:
    made = arrivals.with_changes(8, 3)
    assert sum(isinstance(entry, PoolsChanged) for entry in made) >= 2
    record(tmp_path, made)
    path = list_segments(tmp_path)[0].path
    data = path.read_bytes()
    for place in cuts(data):
        path.write_bytes(data[:place])
        kept = data[:place].count(b"\n") - 1
        with open_writer(tmp_path) as writer:
            assert writer.last_seq == kept + 1
            append_all(writer, arrivals.market_after(made[:kept]), made[kept:])
        assert path.read_bytes() == data


def test_what_stands_at_another_block_is_cut_off_by_the_next_writer(tmp_path: Path) -> None:
    updates = arrivals.fork_behind(10**9, 10)
    record(tmp_path, updates)
    with open_writer(tmp_path) as writer:
        assert writer.last_block is not None
        writer.append_pools_changed(leaving(writer.last_block))
    path = list_segments(tmp_path)[0].path
    before = {"number": updates[8].block.number, "hash": updates[8].block.hash}
    lines.rewrite(path, lambda entries: entries[-1].update(block=before))
    assert "the market is at 5010" in check(tmp_path).problems[0]
    with open_writer(tmp_path) as writer:
        assert writer.recovered is not None
        assert "whose block is not known" in writer.recovered
        assert writer.last_seq == 11
    assert check(tmp_path).ok


# -- closed segments -------------------------------------------------------------------------------


def test_a_closed_segment_keeps_the_lines_as_they_were(tmp_path: Path) -> None:
    record(tmp_path, arrivals.with_changes(40), segment_blocks=20)
    data = list_segments(tmp_path)[0].path.read_bytes().splitlines(keepends=True)
    (closed, *_) = close_segments(tmp_path, 10**9)
    kept = (closed / CHANGES_FILE).read_bytes().splitlines(keepends=True)
    assert kept == [line for line in data if line.startswith(b'{"kind":"pools"')]
    assert kept


def test_a_segment_without_changes_has_no_file_of_them(tmp_path: Path) -> None:
    record(tmp_path, arrivals.first_updates(40), segment_blocks=20)
    (closed, *_) = close_segments(tmp_path, 10**9)
    assert not (closed / CHANGES_FILE).exists()


def test_lines_stay_if_a_change_does_not_read_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(tmp_path, arrivals.with_changes(40), segment_blocks=20)
    entries = closed_segment.entries

    def without_changes(folder: Path) -> Iterator[closed_segment.Raw]:
        yield from (raw for raw in entries(folder) if isinstance(raw, BlockUpdate))

    monkeypatch.setattr(closed_segment, "entries", without_changes)
    with pytest.raises(StoreError, match="does not read back as it was"):
        close_segments(tmp_path, 10**9)
    assert not any(segment.closed for segment in list_segments(tmp_path))


@pytest.mark.parametrize("damage", ["lost", "emptied", "a line less", "another pool"])
def test_damage_to_the_changes_of_a_closed_segment_is_found(tmp_path: Path, damage: str) -> None:
    record(tmp_path, arrivals.with_changes(40), segment_blocks=20)
    (closed, *_) = close_segments(tmp_path, 10**9)
    path = closed / CHANGES_FILE
    kept = path.read_bytes()
    if damage == "lost":
        path.unlink()
    elif damage == "emptied":
        path.write_bytes(b"")
    elif damage == "a line less":
        path.write_bytes(b"".join(kept.splitlines(keepends=True)[:-1]))
    else:
        path.write_bytes(kept.replace(b'"0xa', b'"0xb', 1))
    assert not path.exists() or path.read_bytes() != kept
    found = check(tmp_path)
    assert not found.ok
    assert "digest differs" in found.problems[0]


def test_a_segment_killed_while_it_was_closed_is_closed_again(tmp_path: Path) -> None:
    record(tmp_path, arrivals.with_changes(40), segment_blocks=20)
    before = list(HistoryReader(tmp_path).entries(every_keyframe=True))
    data = list_segments(tmp_path)[0].path.read_bytes()
    close_segments(tmp_path, 10**9)
    (tmp_path / "000000000001.jsonl").write_bytes(data)  # killed before the lines were removed
    (tmp_path / "000000000001" / CHANGES_FILE).write_bytes(b"")
    assert list(HistoryReader(tmp_path).entries(every_keyframe=True)) == before
    open_writer(tmp_path).close()
    segment = find_segment(tmp_path, 1)
    assert segment is not None
    assert not segment.closed
    assert close_segments(tmp_path, 10**9)
    assert list(HistoryReader(tmp_path).entries(every_keyframe=True)) == before


# -- the check -------------------------------------------------------------------------------------


def test_a_state_that_is_put_right_counts_as_a_mismatch(tmp_path: Path) -> None:
    made = arrivals.with_changes(BLOCKS, 2, corrections=True)
    corrected = sum(len(e.corrected) for e in made if isinstance(e, PoolsChanged))
    assert corrected
    record(tmp_path, made)
    found = check(tmp_path)
    assert (found.ok, found.state_mismatches, found.problems) == (False, corrected, [])


def test_pools_that_cannot_change_so_are_a_problem(tmp_path: Path) -> None:
    record(tmp_path, arrivals.first_updates(5))
    with open_writer(tmp_path) as writer:
        assert writer.last_block is not None
        writer.append_pools_changed(PoolsChanged(0, writer.last_block, left=(PoolKey(TRADER),)))
    found = check(tmp_path)
    assert found.problems == [f"entry 7: pool {TRADER} leaves the market and is not there"]
