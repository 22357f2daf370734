"""What is appended is what is read, over segments and restarts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from dexarb.core.block import BlockHash, BlockUpdate
from dexarb.core.market import Entry, Keyframe, Market, PoolsChanged
from dexarb.errors import StoreError
from dexarb.store.history_reader import HistoryReader
from dexarb.store.history_writer import HistoryWriter
from dexarb.store.segment import list_segments
from tests.support.worlds import arrivals


def open_writer(folder: Path, *, segment_blocks: int = 1000) -> HistoryWriter:
    return HistoryWriter.open(
        folder, chain_id=arrivals.CHAIN_ID, chain="testnet", segment_blocks=segment_blocks
    )


def record(
    folder: Path, updates: Sequence[BlockUpdate | PoolsChanged], *, segment_blocks: int = 1000
) -> None:
    """A whole collector's life: keyframe, blocks, pools that come and go, rolls."""
    with open_writer(folder, segment_blocks=segment_blocks) as writer:
        writer.append_keyframe(arrivals.first_keyframe())
        append_all(writer, Market(arrivals.first_keyframe()), updates)


def append_all(
    writer: HistoryWriter, market: Market, updates: Sequence[BlockUpdate | PoolsChanged]
) -> None:
    for update in updates:
        if isinstance(update, PoolsChanged):
            market.change(update)
            writer.append_pools_changed(update)
            continue
        market.rewind(update.block.parent_hash)
        market.apply(update)
        writer.append(update)
        writer.roll_if_full(market.keyframe)


def blocks_of(entries: Sequence[Entry]) -> list[BlockUpdate]:
    return [replace(entry, seq=0) for entry in entries if isinstance(entry, BlockUpdate)]


def test_what_was_appended_is_read_in_order(tmp_path: Path) -> None:
    updates = arrivals.first_updates(50)
    record(tmp_path, updates)
    entries = list(HistoryReader(tmp_path).entries())
    assert [entry.seq for entry in entries] == list(range(1, 52))
    assert entries[0] == replace(arrivals.first_keyframe(), seq=1)
    assert blocks_of(entries) == updates


def test_dead_branches_are_recorded_too() -> None:
    numbers = [update.block.number for update in arrivals.first_updates(50)]
    assert len(set(numbers)) < len(numbers)


def test_append_returns_the_block_with_its_seq(tmp_path: Path) -> None:
    with open_writer(tmp_path) as writer:
        assert writer.last_seq == 0
        assert writer.last_block is None
        assert writer.append_keyframe(arrivals.first_keyframe()).seq == 1
        update = arrivals.first_updates(1)[0]
        assert writer.append(replace(update, seq=99)) == replace(update, seq=2)
        assert writer.last_seq == 2
        assert writer.last_block == (update.block.number, update.block.hash)


def test_a_full_segment_is_followed_by_one_that_continues(tmp_path: Path) -> None:
    updates = arrivals.first_updates(50)
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
    updates = arrivals.first_updates(45)
    record(tmp_path, updates, segment_blocks=15)
    keyframes = [
        entry
        for entry in HistoryReader(tmp_path).entries(every_keyframe=True)
        if isinstance(entry, Keyframe)
    ]
    assert len(keyframes) == 4
    for count, keyframe in enumerate(keyframes):
        expected = arrivals.market_after(updates[: 15 * count])
        assert keyframe.block == expected.block
        assert {pool.key: pool for pool in keyframe.pools} == expected.pools


def test_a_keyframe_that_starts_anew_is_shown_to_everyone(tmp_path: Path) -> None:
    updates = arrivals.first_updates(20)
    record(tmp_path, updates)
    market = arrivals.market_after(updates)
    with open_writer(tmp_path) as writer:
        writer.append_keyframe(market.keyframe())
    keyframes = [e for e in HistoryReader(tmp_path).entries() if isinstance(e, Keyframe)]
    assert [keyframe.seq for keyframe in keyframes] == [1, 22]


def test_a_restarted_writer_goes_on_where_it_stopped(tmp_path: Path) -> None:
    updates = arrivals.first_updates(60)
    record(tmp_path, updates[:25], segment_blocks=10)
    with open_writer(tmp_path, segment_blocks=10) as writer:
        assert writer.recovered is None
        last = updates[24].block
        assert writer.last_block == (last.number, last.hash)
        append_all(writer, arrivals.market_after(updates[:25]), updates[25:])
    assert blocks_of(list(HistoryReader(tmp_path).entries())) == updates


def test_last_seq_and_the_keyframes(tmp_path: Path) -> None:
    updates = arrivals.first_updates(30)
    record(tmp_path, updates, segment_blocks=10)
    reader = HistoryReader(tmp_path)
    assert reader.last_seq == 34

    assert [each.seq for each in reader.keyframe_headers()] == [34, 23, 12, 1]
    assert [each.seq for each in reader.keyframe_headers(before_seq=23)] == [12, 1]
    assert reader.keyframe(23).block == arrivals.market_after(updates[:20]).block
    with pytest.raises(StoreError, match="entry 24 is not a keyframe"):
        reader.keyframe(24)


@pytest.mark.parametrize("segment_blocks", [7, 1000])
def test_the_recent_chain_is_the_branch_without_dead_blocks(
    tmp_path: Path, segment_blocks: int
) -> None:
    updates = arrivals.first_updates(200)
    record(tmp_path, updates, segment_blocks=segment_blocks)
    expected: list[tuple[int, str]] = [
        (arrivals.START_BLOCK, arrivals.first_keyframe().block.hash),
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
    updates = arrivals.first_updates(10)
    record(tmp_path, updates)
    far = replace(
        updates[-1].block,
        number=9_000,
        hash=BlockHash("0x" + "fa" * 32),
        parent_hash=BlockHash("0x"),
    )
    with open_writer(tmp_path) as writer:
        writer.append_keyframe(replace(arrivals.first_keyframe(), block=far))
    assert HistoryReader(tmp_path).recent_chain() == [(9_000, far.hash)]


def test_a_block_that_follows_nothing_known_is_refused(tmp_path: Path) -> None:
    updates = arrivals.first_updates(5)
    with open_writer(tmp_path) as writer:
        with pytest.raises(StoreError, match="no keyframe to go on from"):
            writer.append(updates[0])
        writer.append_keyframe(arrivals.first_keyframe())
        stranger = replace(updates[0].block, parent_hash=BlockHash("0x" + "99" * 32))
        with pytest.raises(StoreError, match="does not follow any"):
            writer.append(replace(updates[0], block=stranger))
        assert writer.append(updates[0]).seq == 2


def test_a_roll_at_another_block_is_refused(tmp_path: Path) -> None:
    with open_writer(tmp_path, segment_blocks=1) as writer:
        writer.append_keyframe(arrivals.first_keyframe())
        writer.append(arrivals.first_updates(1)[0])
        with pytest.raises(StoreError, match="cannot roll at block 5000"):
            writer.roll_if_full(arrivals.first_keyframe)


def test_a_number_that_no_chain_has_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    first = arrivals.first_updates(1)[0]
    with open_writer(tmp_path) as writer:
        writer.append_keyframe(arrivals.first_keyframe())
        for block in (
            replace(first.block, timestamp=2**160),
            replace(first.block, base_fee_per_gas=2**64),
            replace(first.block, gas_used=-1),
        ):
            with pytest.raises(StoreError, match="cannot hold a block with"):
                writer.append(replace(first, block=block))
        assert writer.append(first).seq == 2


# -- the disk --------------------------------------------------------------------------------------


def test_what_was_appended_is_synced_when_it_is_due_and_before_the_next_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without, nothing but a power failure would tell. What is counted is the size of the file when
    the disk takes it."""
    clock = 100.0
    synced: list[int] = []
    fdatasync = os.fdatasync

    def counted(fd: int) -> None:
        synced.append(os.fstat(fd).st_size)
        fdatasync(fd)

    monkeypatch.setattr("dexarb.store.history_writer.time.monotonic", lambda: clock)
    monkeypatch.setattr("dexarb.store.history_writer.os.fdatasync", counted)
    sizes: list[int] = []
    with HistoryWriter.open(
        tmp_path, chain_id=arrivals.CHAIN_ID, chain="testnet", sync_every_s=3.0
    ) as writer:
        writer.append_keyframe(arrivals.first_keyframe())
        (segment,) = list_segments(tmp_path)
        assert synced == [segment.path.stat().st_size]  # it is whole before it has its name
        for update, now in zip(
            arrivals.first_updates(6), (100.0, 102.9, 103.0, 105.9, 106.1, 106.2), strict=True
        ):
            clock = now
            sizes.append(segment.path.stat().st_size)
            writer.append(update)
        assert synced[1:] == [sizes[2], sizes[4]]
        writer.sync()
        assert synced[3:] == [segment.path.stat().st_size]
        market = arrivals.market_after(arrivals.first_updates(6))
        writer.append_keyframe(market.keyframe())
        first, second = list_segments(tmp_path)
        # The segment that ends, and the new one.
        assert synced[4:] == [first.path.stat().st_size, second.path.stat().st_size]
    assert synced[6:] == [second.path.stat().st_size]  # on closing
