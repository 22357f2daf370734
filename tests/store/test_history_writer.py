"""What is appended is what is read, over segments, restarts, damage and full disks."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from dexarb.core.block import BlockUpdate
from dexarb.core.market import Keyframe, Market
from dexarb.errors import Locked, StoreError
from dexarb.store.codec import Entry
from dexarb.store.history_reader import HistoryReader
from dexarb.store.history_writer import HistoryWriter
from dexarb.store.segment import list_segments
from store import world


def open_writer(folder: Path, *, segment_blocks: int = 1000) -> HistoryWriter:
    return HistoryWriter.open(
        folder, chain_id=world.CHAIN_ID, chain="testnet", segment_blocks=segment_blocks
    )


def record(folder: Path, updates: Sequence[BlockUpdate], *, segment_blocks: int = 1000) -> None:
    """A whole collector's life: keyframe, blocks, rolls."""
    with open_writer(folder, segment_blocks=segment_blocks) as writer:
        writer.append_keyframe(world.first_keyframe())
        append_all(writer, Market(world.first_keyframe()), updates)


def append_all(writer: HistoryWriter, market: Market, updates: Sequence[BlockUpdate]) -> None:
    for update in updates:
        market.rewind(update.block.parent_hash)
        market.apply(update)
        writer.append(update)
        writer.roll_if_full(market.keyframe)


def blocks_of(entries: Sequence[Entry]) -> list[BlockUpdate]:
    return [replace(entry, seq=0) for entry in entries if isinstance(entry, BlockUpdate)]


def test_what_was_appended_is_read_in_order(tmp_path: Path) -> None:
    updates = world.first_updates(50)
    record(tmp_path, updates)
    entries = list(HistoryReader(tmp_path).entries())
    assert [entry.seq for entry in entries] == list(range(1, 52))
    assert entries[0] == replace(world.first_keyframe(), seq=1)
    assert blocks_of(entries) == updates


def test_dead_branches_are_recorded_too() -> None:
    numbers = [update.block.number for update in world.first_updates(50)]
    assert len(set(numbers)) < len(numbers)


def test_append_returns_the_block_with_its_seq(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        assert writer.last_seq == 0
        assert writer.last_block is None
        assert writer.append_keyframe(world.first_keyframe()).seq == 1
        update = world.first_updates(1)[0]
        assert writer.append(replace(update, seq=99)) == replace(update, seq=2)
        assert writer.last_seq == 2
        assert writer.last_block == (update.block.number, update.block.hash)


def test_a_full_segment_is_followed_by_one_that_continues(tmp_path: Path) -> None:
    updates = world.first_updates(50)
    record(tmp_path, updates, segment_blocks=10)
    reader = HistoryReader(tmp_path)
    names = [segment.path.name for segment in list_segments(tmp_path)]
    assert names == [f"{first:012d}.jsonl" for first in (1, 12, 23, 34, 45, 56)]
    entries = list(reader.entries(every_keyframe=True))
    assert [entry.seq for entry in entries] == list(range(1, 57))
    assert blocks_of(entries) == updates
    # Readers who follow need no keyframe but the first.
    assert [e.seq for e in reader.entries() if isinstance(e, Keyframe)] == [1]
    assert [e.seq for e in reader.entries(12, 14)] == [12, 13, 14]
    assert [e.seq for e in reader.entries(11, 14)] == [11, 13, 14]


def test_every_keyframe_is_the_market_of_its_block(tmp_path: Path) -> None:
    updates = world.first_updates(45)
    record(tmp_path, updates, segment_blocks=15)
    keyframes = [
        entry
        for entry in HistoryReader(tmp_path).entries(every_keyframe=True)
        if isinstance(entry, Keyframe)
    ]
    assert len(keyframes) == 4
    for count, keyframe in enumerate(keyframes):
        expected = world.market_after(updates[: 15 * count])
        assert keyframe.block == expected.block
        assert {pool.address: pool for pool in keyframe.pools} == expected.pools


def test_a_keyframe_that_starts_anew_is_shown_to_everyone(tmp_path: Path) -> None:
    updates = world.first_updates(20)
    record(tmp_path, updates)
    market = world.market_after(updates)
    with open_writer(tmp_path) as writer:
        writer.append_keyframe(market.keyframe())
    keyframes = [e for e in HistoryReader(tmp_path).entries() if isinstance(e, Keyframe)]
    assert [keyframe.seq for keyframe in keyframes] == [1, 22]


def test_a_restarted_writer_goes_on_where_it_stopped(tmp_path: Path) -> None:
    updates = world.first_updates(60)
    record(tmp_path, updates[:25], segment_blocks=10)
    with open_writer(tmp_path, segment_blocks=10) as writer:
        assert writer.recovered is None
        last = updates[24].block
        assert writer.last_block == (last.number, last.hash)
        append_all(writer, world.market_after(updates[:25]), updates[25:])
    assert blocks_of(list(HistoryReader(tmp_path).entries())) == updates


def test_last_seq_and_last_keyframe(tmp_path: Path) -> None:
    updates = world.first_updates(30)
    record(tmp_path, updates, segment_blocks=10)
    reader = HistoryReader(tmp_path)
    assert reader.last_seq == 34

    def seq(keyframe: Keyframe | None) -> int | None:
        return None if keyframe is None else keyframe.seq

    assert seq(reader.last_keyframe()) == 34
    assert seq(reader.last_keyframe(before_seq=34)) == 23
    assert seq(reader.last_keyframe(before_seq=2)) == 1
    assert seq(reader.last_keyframe(before_seq=1)) is None
    assert seq(reader.last_keyframe(before_block=world.START_BLOCK + 1)) == 1
    assert seq(reader.last_keyframe(before_block=world.START_BLOCK)) is None
    tenth = next(entry for entry in reader.entries(12, 12))
    assert seq(reader.last_keyframe(before_block=tenth.block.number + 1)) == 12


@pytest.mark.parametrize("segment_blocks", [7, 1000])
def test_the_recent_chain_is_the_branch_without_dead_blocks(
    tmp_path: Path, segment_blocks: int
) -> None:
    updates = world.first_updates(200)
    record(tmp_path, updates, segment_blocks=segment_blocks)
    expected: list[tuple[int, str]] = [
        (world.START_BLOCK, world.first_keyframe().block.hash),
    ]
    for update in updates:
        while expected[-1][1] != update.block.parent_hash:
            expected.pop()
        expected.append((update.block.number, update.block.hash))
    assert len(expected) > 128
    reader = HistoryReader(tmp_path)
    assert reader.recent_chain() == expected[-128:]
    assert reader.recent_chain(5) == expected[-5:]
    assert reader.recent_chain(10_000) == expected
    with open_writer(tmp_path) as writer:
        assert writer.recent_chain() == expected[-128:]


def test_the_recent_chain_has_no_holes(tmp_path: Path) -> None:
    updates = world.first_updates(10)
    record(tmp_path, updates)
    far = replace(updates[-1].block, number=9_000, hash="0x" + "fa" * 32, parent_hash="0x")
    with open_writer(tmp_path) as writer:
        writer.append_keyframe(replace(world.first_keyframe(), block=far))
    assert HistoryReader(tmp_path).recent_chain() == [(9_000, far.hash)]


def test_a_block_that_follows_nothing_known_is_refused(tmp_path: Path) -> None:
    updates = world.first_updates(5)
    with open_writer(tmp_path) as writer:
        with pytest.raises(StoreError, match="no keyframe yet"):
            writer.append(updates[0])
        writer.append_keyframe(world.first_keyframe())
        stranger = replace(updates[0].block, parent_hash="0x" + "99" * 32)
        with pytest.raises(StoreError, match="does not follow any"):
            writer.append(replace(updates[0], block=stranger))
        assert writer.append(updates[0]).seq == 2


def test_a_roll_at_another_block_is_refused(tmp_path: Path) -> None:
    with open_writer(tmp_path, segment_blocks=1) as writer:
        writer.append_keyframe(world.first_keyframe())
        writer.append(world.first_updates(1)[0])
        with pytest.raises(StoreError, match="cannot roll at block 5000"):
            writer.roll_if_full(world.first_keyframe)


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
        (b'{"schema":2,"chain_id":137,"chain":"x"}', "has schema 2, this program knows 1"),
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
    updates = world.first_updates(10)
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
    updates = world.first_updates(10)
    record(tmp_path, updates)
    path = only_segment(tmp_path)
    lines = path.read_bytes().splitlines(keepends=True)
    damaged = [*lines[:6], b"\0" * len(lines[6]) + b"\n", *lines[7:]]
    path.write_bytes(b"".join(damaged))
    with pytest.raises(StoreError, match="not a history entry"):
        list(HistoryReader(tmp_path).entries())
    with open_writer(tmp_path) as writer:
        assert writer.last_seq == 6
        append_all(writer, world.market_after(updates[:5]), updates[5:])
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
    updates = world.first_updates(10)
    record(tmp_path, updates)
    path = only_segment(tmp_path)
    lines = path.read_bytes().splitlines()
    line = json.loads(lines[8])
    edit(line)
    lines[8] = json.dumps(line).encode()
    path.write_bytes(b"\n".join(lines) + b"\n")
    with open_writer(tmp_path) as writer:
        assert writer.recovered is not None
        assert problem in writer.recovered
        assert writer.last_seq == 8
        append_all(writer, world.market_after(updates[:7]), updates[7:])
    assert blocks_of(list(HistoryReader(tmp_path).entries())) == updates


def test_a_segment_without_a_whole_keyframe_goes(tmp_path: Path) -> None:
    updates = world.first_updates(20)
    record(tmp_path, updates, segment_blocks=10)
    last = list_segments(tmp_path)[-1].path
    last.write_bytes(last.read_bytes()[:100])
    unfinished = tmp_path / "000000000099.jsonl.tmp"
    unfinished.write_bytes(b"{")
    with open_writer(tmp_path, segment_blocks=10) as writer:
        assert writer.last_seq == 22
        assert writer.roll_if_full(world.market_after(updates).keyframe)
    assert not unfinished.exists()
    assert HistoryReader(tmp_path).last_seq == 23
    assert blocks_of(list(HistoryReader(tmp_path).entries())) == updates


def test_a_reader_ahead_of_the_history_is_told(tmp_path: Path) -> None:
    record(tmp_path, world.first_updates(5))
    reader = HistoryReader(tmp_path)
    assert list(reader.entries(7)) == []
    with pytest.raises(StoreError, match="ends before entry 9"):
        list(reader.entries(9))
    with pytest.raises(StoreError, match="begins at entry 1"):
        list(reader.entries(0))


# -- a full disk ----------------------------------------------------------------------------------

FULL_DISK = """
import resource, signal, sys
from pathlib import Path
sys.path[:0] = sys.argv[2].split(":")
from store import world
from store.test_history_writer import open_writer
from dexarb.core.market import Market
from dexarb.errors import StoreError

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
folder, small = Path(sys.argv[1]), int(sys.argv[3])
unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
writer = open_writer(folder, segment_blocks=20)
writer.append_keyframe(world.first_keyframe())
market = Market(world.first_keyframe())
failures = 0
for update in world.first_updates(50):
    market.rewind(update.block.parent_hash)
    market.apply(update)
    for again in range(2):
        if again == 0:
            # As if the disk had room for a part of the next line only.
            room = max(path.stat().st_size for path in folder.glob("*.jsonl")) + small
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, unlimited[1]))
        try:
            writer.append(update)
        except StoreError as error:
            failures += 1
            assert "Free space" in str(error), error
            resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
        else:
            break
    resource.setrlimit(resource.RLIMIT_FSIZE, (50, unlimited[1]))
    try:
        rolled = writer.roll_if_full(market.keyframe)
    except StoreError:
        failures += 1
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
        rolled = writer.roll_if_full(market.keyframe)
    resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
writer.close()
print(failures)
"""


@pytest.mark.parametrize("room", [0, 700])
def test_a_full_disk_tears_no_line_and_stops_nothing_for_good(tmp_path: Path, room: int) -> None:
    paths = ":".join(path for path in sys.path if path)
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path), paths, str(room)],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert int(done.stdout) >= 15
    reader = HistoryReader(tmp_path)
    assert blocks_of(list(reader.entries())) == world.first_updates(50)
    assert reader.last_seq == 53
    assert not list(tmp_path.glob("*.tmp"))
