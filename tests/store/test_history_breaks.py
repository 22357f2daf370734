"""What is dead is broken off, and nothing stands twice."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from dexarb.core.block import BlockHash, BlockRef, BlockUpdate
from dexarb.core.market import Break, Keyframe, Market
from dexarb.errors import StoreError
from dexarb.store.branch import Branch
from dexarb.store.codec import LinkHeader
from dexarb.store.compaction import close_segments
from dexarb.store.follow import follow, newest_market, start
from dexarb.store.history_check import check
from dexarb.store.history_reader import HistoryReader
from dexarb.store.history_writer import MAX_REASON
from dexarb.store.segment import list_segments
from tests.store.test_history_writer import append_all, blocks_of, open_writer, record
from tests.support.worlds import arrivals

BLOCKS = arrivals.fork_behind(10**9, 300)
SEGMENT = 50


def ref(index: int) -> BlockRef:
    block = BLOCKS[index].block
    return BlockRef(block.number, block.hash)


def market_after(count: int) -> Market:
    return arrivals.market_after(BLOCKS[:count])


def mined(index: int) -> BlockHash:
    return BlockHash(f"0x{index:064x}")


def other_branch(above: int, count: int) -> tuple[Keyframe, list[BlockUpdate]]:
    """Blocks that fork off behind the block `above`: the market after the first, and the rest."""
    market = market_after(above)
    moved = [
        replace(
            update,
            block=replace(update.block, hash=mined(index), parent_hash=parent),
        )
        for index, update in enumerate(arrivals.fork_behind(10**9, 300)[above : above + count], 1)
        for parent in [BLOCKS[above - 1].block.hash if index == 1 else mined(index - 1)]
    ]
    market.apply(moved[0])
    return market.keyframe(), moved[1:]


def broken(folder: Path, recorded: int, above: int) -> list[BlockUpdate]:
    """A history whose branch breaks off behind a block and goes on elsewhere."""
    record(folder, BLOCKS[:recorded], segment_blocks=SEGMENT)
    keyframe, rest = other_branch(above, 20)
    with open_writer(folder, segment_blocks=SEGMENT) as writer:
        writer.append_break(ref(above - 1), "reorganised")
        writer.append_keyframe(keyframe)
        append_all(writer, Market(keyframe), rest)
    return rest


@pytest.mark.parametrize(("recorded", "above"), [(60, 55), (60, 45), (280, 60)])
@pytest.mark.parametrize("compacted", [False, True])
def test_blocks_behind_a_fork_point_leave_the_branch(
    tmp_path: Path, recorded: int, above: int, compacted: bool
) -> None:
    rest = broken(tmp_path, recorded, above)
    before = list(HistoryReader(tmp_path).entries(every_keyframe=True))
    if compacted:
        assert close_segments(tmp_path, 10**9)
    reader = HistoryReader(tmp_path)
    assert list(reader.entries(every_keyframe=True)) == before
    (told,) = (entry for entry in before if isinstance(entry, Break))
    assert list(reader.entries(told.seq, told.seq)) == [told]
    assert (told.fork_point, told.reason) == (ref(above - 1), "reorganised")
    assert reader.holds(ref(above - 1))
    assert reader.holds(ref(0))
    assert not reader.holds(ref(above))
    assert not reader.holds(replace_hash(ref(0)))
    assert reader.recent_chain(5)[-1] == (rest[-1].block.number, rest[-1].block.hash)
    found = check(tmp_path)
    first_dead, last_dead = BLOCKS[above].block.number, BLOCKS[recorded - 1].block.number
    assert found.dead == [(first_dead, last_dead)]
    assert found.blocks == above + len(rest)
    # The keyframe's own block is missing; nothing else is.
    assert found.gaps == [(first_dead, first_dead)]
    assert found.problems == []
    market = newest_market(reader)
    assert market.block == rest[-1].block


def replace_hash(of: BlockRef) -> BlockRef:
    return BlockRef(of.number, BlockHash("0x" + "ee" * 32))


def test_only_a_keyframe_can_follow_a_break_also_after_a_restart(tmp_path: Path) -> None:
    record(tmp_path, BLOCKS[:40])
    with open_writer(tmp_path) as writer:
        assert writer.append_break(ref(29), "why") == Break(42, ref(29), "why")
        assert writer.needs_keyframe
    with open_writer(tmp_path) as writer:
        assert (writer.recovered, writer.needs_keyframe) == (None, True)
        assert writer.last_block == ref(29)
        with pytest.raises(StoreError, match="no keyframe to go on from"):
            writer.append(BLOCKS[30])
        with pytest.raises(StoreError, match="nothing to break off"):
            writer.append_break(ref(9), "again")
        assert not writer.roll_if_full(market_after(30).keyframe)
        writer.append_keyframe(market_after(30).keyframe())
        assert not writer.needs_keyframe
        append_all(writer, market_after(30), BLOCKS[30:35])
    found = check(tmp_path)
    assert (found.ok, found.blocks) == (True, 35)
    # Blocks 31 to 35 came back; the others of the old branch did not.
    assert found.dead == [(BLOCKS[35].block.number, BLOCKS[39].block.number)]
    moves = [
        move.kind.name
        for move, _ in follow(HistoryReader(tmp_path), start(HistoryReader(tmp_path)).seq)
    ]
    assert moves == ["ANEW", *["APPLIED"] * 40, "BROKEN", "REPEATED", *["APPLIED"] * 5]


def test_a_break_without_a_fork_point_ends_all_that_is_recorded(tmp_path: Path) -> None:
    record(tmp_path, BLOCKS[:40])
    with open_writer(tmp_path) as writer:
        writer.append_break(None, "x" * 10_000)
        assert writer.last_block is None
        later = market_after(20).keyframe()
        writer.append_keyframe(later)
        assert not writer.holds(ref(0))
    reader = HistoryReader(tmp_path)
    (told,) = (entry for entry in reader.entries() if isinstance(entry, Break))
    assert len(told.reason) == MAX_REASON
    assert start(reader).block == later.block
    found = check(tmp_path)
    assert (found.blocks, found.dead) == (0, [(5_001, 5_040)])


def test_a_fork_point_that_is_not_on_the_branch_is_refused(tmp_path: Path) -> None:
    record(tmp_path, BLOCKS[:200], segment_blocks=SEGMENT)
    with open_writer(tmp_path) as writer:
        for stranger in (replace_hash(ref(2)), replace_hash(ref(190)), ref(210)):
            assert not writer.holds(stranger)
            with pytest.raises(StoreError, match="is not on its branch"):
                writer.append_break(stranger, "why")
        assert writer.holds(ref(2))
        assert writer.holds(ref(199))


def test_no_keyframe_comes_below_or_beside_the_own_head(tmp_path: Path) -> None:
    record(tmp_path, BLOCKS[:40])
    with open_writer(tmp_path) as writer:
        beside = replace(BLOCKS[39].block, hash=BlockHash("0x" + "be" * 32))
        for keyframe in (
            market_after(20).keyframe(),
            arrivals.first_keyframe(),
            replace(market_after(40).keyframe(), block=beside),
        ):
            with pytest.raises(StoreError, match="no keyframe can come"):
                writer.append_keyframe(keyframe)
        assert writer.last_seq == 41
        writer.append_keyframe(market_after(40).keyframe())
        writer.append_keyframe(market_after(45).keyframe())


def test_after_a_break_blocks_can_be_reorganised_as_deep_as_ever(tmp_path: Path) -> None:
    record(tmp_path, BLOCKS[:300], segment_blocks=SEGMENT)
    with open_writer(tmp_path) as writer:
        writer.append_break(ref(149), "why")
        writer.append_keyframe(market_after(150).keyframe())
        assert len(writer.recent_chain()) == 128
        fork = replace(BLOCKS[100].block, hash=BlockHash("0x" + "f0" * 32))
        writer.append(replace(BLOCKS[100], block=fork))
        assert writer.last_block == (fork.number, fork.hash)


def test_where_nothing_stands_the_newest_keyframe_is_where_to_wait(tmp_path: Path) -> None:
    record(tmp_path, BLOCKS[:120], segment_blocks=SEGMENT)
    with open_writer(tmp_path) as writer:
        writer.append_break(None, "another chain")
    reader = HistoryReader(tmp_path)
    assert start(reader).block == BLOCKS[99].block
    with pytest.raises(StoreError, match="does not lead to a market"):
        newest_market(reader)


def test_start_takes_the_newest_keyframe_that_is_deep_enough(tmp_path: Path) -> None:
    record(tmp_path, BLOCKS, segment_blocks=SEGMENT)
    reader = HistoryReader(tmp_path)
    number = arrivals.START_BLOCK
    assert start(reader).block.number == number + 150
    assert start(reader, before=0).block.number == number + 300
    assert start(reader, block=number + 120, before=30).block.number == number + 50
    assert start(reader, block=number + 20, before=30).block.number == number
    assert len(list_segments(tmp_path)) == 7


def test_a_keyframe_whose_block_died_and_came_back_is_no_start(tmp_path: Path) -> None:
    """What follows it forks off below it, so it leads to nothing, though its block stands."""
    one, two, three = BLOCKS[49], BLOCKS[50], BLOCKS[51]
    other = replace(one, block=replace(one.block, hash=BlockHash("0x" + "0e" * 32)))
    record(tmp_path, [*BLOCKS[:50], other, one, two, three], segment_blocks=SEGMENT)
    reader = HistoryReader(tmp_path)
    assert [header.seq for header in reader.keyframe_headers()][:1] == [52]
    assert start(reader, before=0).seq == 1
    assert newest_market(reader).block == three.block
    assert blocks_of(list(reader.entries()))[-1].block == three.block


def test_a_deep_branch_costs_reading_each_header_a_few_times(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(tmp_path, BLOCKS, segment_blocks=10)
    count = len(BLOCKS)
    follow, followed = Branch.follow, 0

    def counted(self: Branch, entry: LinkHeader | Break) -> bool:
        nonlocal followed
        followed += 1
        return follow(self, entry)

    monkeypatch.setattr(Branch, "follow", counted)
    tip = HistoryReader(tmp_path).branch(count).tip
    assert tip is not None
    assert tip.number == arrivals.START_BLOCK + count
    assert followed < 2 * count
