"""Two processes and one history: kills, and a reader that follows."""

from __future__ import annotations

import itertools
import pickle
import random
from dataclasses import replace
from pathlib import Path

import pytest

from dexarb.core.block import BlockUpdate
from dexarb.core.market import Entry, Keyframe
from dexarb.store.history_check import check
from dexarb.store.history_reader import HistoryReader
from dexarb.store.history_writer import HistoryWriter
from dexarb.store.segment import list_segments
from tests.store.processes import run_until, script
from tests.store.test_history_writer import blocks_of, record
from tests.support.worlds import arrivals

BLOCKS, SEGMENT_BLOCKS, DEPTH = 300, 40, 20
BLOCKS_TO_BE_KILLED_IN = 700


def test_kill_9_at_any_moment_loses_nothing_that_was_written(tmp_path: Path) -> None:
    killed_again_and_again(tmp_path, kills=10, seed=20)


@pytest.mark.fuzz
@pytest.mark.parametrize("seed", range(10))
def test_a_hundred_kills_lose_nothing_that_was_written(tmp_path: Path, seed: int) -> None:
    killed_again_and_again(tmp_path, kills=10, seed=seed)


def killed_again_and_again(tmp_path: Path, *, kills: int, seed: int) -> None:
    random_ = random.Random(seed)
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    expected = arrivals.first_updates(BLOCKS_TO_BE_KILLED_IN)
    updates = pickled(tmp_path, expected)
    recorded = 0
    for _ in range(kills):
        said = run_until(
            "writer_process.py",
            *(killed, updates, SEGMENT_BLOCKS, DEPTH),
            lines=random_.randint(1, 28),
        )
        blocks = blocks_of(list(HistoryReader(killed).entries()))
        assert blocks == expected[: len(blocks)]
        # A process is faster than its killer, so the last ones may find everything written.
        assert not said or HistoryReader(killed).last_seq >= int(said[-1])
        assert len(blocks) >= recorded
        recorded = len(blocks)
    for folder in (killed, whole):
        run_until(
            "writer_process.py", folder, updates, SEGMENT_BLOCKS, DEPTH, lines=10 * len(expected)
        )
    assert contents(killed) == contents(whole)
    assert blocks_of(contents(whole)) == expected
    assert [s.path.name for s in list_segments(killed)] == [
        s.path.name for s in list_segments(whole)
    ]
    assert sum(segment.closed for segment in list_segments(whole)) >= 2
    found = check(killed)
    assert (found.ok, found.problems) == (True, [])


def pickled(folder: Path, updates: list[BlockUpdate]) -> Path:
    path = folder / "updates.pickle"
    path.write_bytes(pickle.dumps(updates))
    return path


def contents(folder: Path) -> list[Entry]:
    return list(HistoryReader(folder).entries(every_keyframe=True))


def test_a_reader_follows_a_writer_over_rolls_and_compaction(tmp_path: Path) -> None:
    made = pickled(tmp_path, arrivals.first_updates(BLOCKS))
    with script("writer_process.py", tmp_path, made, SEGMENT_BLOCKS, DEPTH) as process:
        assert process.stdout is not None
        process.stdout.readline()
        entries: list[Entry] = []
        last = arrivals.first_updates(BLOCKS)[-1].block.hash
        for entry in HistoryReader(tmp_path).follow(1, poll_s=0.001):
            entries.append(entry)
            if isinstance(entry, BlockUpdate) and entry.block.hash == last:
                break
        process.stdout.read()
    assert blocks_of(entries) == arrivals.first_updates(BLOCKS)
    assert [entry.seq for entry in entries if isinstance(entry, Keyframe)] == [1]


def test_a_slow_reader_keeps_reading_what_is_compacted_under_it(tmp_path: Path) -> None:
    updates = arrivals.first_updates(200)
    record(tmp_path, updates[:30], segment_blocks=SEGMENT_BLOCKS)
    slow = HistoryReader(tmp_path).entries()
    first = [next(slow) for _ in range(5)]
    made = pickled(tmp_path, updates)
    run_until("writer_process.py", tmp_path, made, SEGMENT_BLOCKS, DEPTH, lines=1000)
    assert list_segments(tmp_path)[0].closed
    assert blocks_of([*first, *slow]) == updates


def test_following_waits_for_the_rest_of_a_line(tmp_path: Path) -> None:
    updates = arrivals.first_updates(4)
    record(tmp_path, updates)
    path = list_segments(tmp_path)[0].path
    whole = path.read_bytes()
    path.write_bytes(whole[:-5])
    polls = 0

    def stop() -> bool:
        nonlocal polls
        polls += 1
        if polls == 20:
            path.write_bytes(whole)
        return polls > 10_000

    reader = HistoryReader(tmp_path)
    entries: list[Entry] = []
    for entry in reader.follow(1, poll_s=0.0001, stop=stop):
        entries.append(entry)
        if len(entries) == 4:
            assert polls < 20
        if len(entries) == 5:
            break
    assert polls >= 20
    assert blocks_of(entries) == updates


def test_following_ends_when_it_is_told_to(tmp_path: Path) -> None:
    record(tmp_path, arrivals.first_updates(4))
    reader = HistoryReader(tmp_path)
    calls = itertools.count()
    seen = list(reader.follow(1, poll_s=0.0001, stop=lambda: next(calls) > 20))
    assert len(seen) == 5
    assert list(reader.follow(1, stop=lambda: True)) == []


def test_a_pause_of_following_may_end_with_what_is_written(tmp_path: Path) -> None:
    updates = arrivals.first_updates(4)
    record(tmp_path, updates[:3])
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        with HistoryWriter.open(tmp_path, chain_id=arrivals.CHAIN_ID, chain="testnet") as writer:
            writer.append(updates[3])

    calls = itertools.count()
    seen = HistoryReader(tmp_path).follow(
        1, poll_s=0.25, stop=lambda: next(calls) > 20, pause=pause
    )
    assert blocks_of(list(itertools.islice(seen, 5))) == updates
    assert pauses == [0.25]


def test_following_a_history_without_entries_waits_for_the_first(tmp_path: Path) -> None:
    writer = HistoryWriter.open(tmp_path, chain_id=arrivals.CHAIN_ID, chain="testnet")
    polls = 0

    def stop() -> bool:
        nonlocal polls
        polls += 1
        if polls == 5:
            writer.append_keyframe(arrivals.first_keyframe())
        return False

    reader = HistoryReader(tmp_path)
    assert reader.last_seq == 0
    assert list(reader.keyframe_headers()) == []
    assert reader.recent_chain() == []
    assert list(reader.entries()) == []
    entry = next(reader.follow(1, poll_s=0.0001, stop=stop))
    assert entry == replace(arrivals.first_keyframe(), seq=1)
    writer.close()
