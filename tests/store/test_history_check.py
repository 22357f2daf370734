"""What `check` finds, on histories that are whole and on ones that are not."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dexarb.core.block import BlockHash, BlockRef, BlockUpdate
from dexarb.core.market import Market
from dexarb.core.pool import PoolKey
from dexarb.errors import StoreError
from dexarb.store.codec import encode_block, encode_keyframe
from dexarb.store.compaction import close_segments
from dexarb.store.history_check import check
from dexarb.store.segment import LINES_SUFFIX, list_segments, segment_name
from tests.store import lines
from tests.store.test_history_writer import append_all, open_writer, record
from tests.support.worlds import arrivals


def branch_of(updates: list[BlockUpdate]) -> list[BlockUpdate]:
    branch: list[BlockUpdate] = []
    for update in updates:
        while branch and branch[-1].block.hash != update.block.parent_hash:
            branch.pop()
        branch.append(update)
    return branch


@pytest.mark.parametrize("compacted", [False, True])
def test_a_whole_history_is_ok(tmp_path: Path, compacted: bool) -> None:
    updates = arrivals.first_updates(100)
    record(tmp_path, updates, segment_blocks=20)
    if compacted:
        assert close_segments(tmp_path, 10**9)
    branch = branch_of(updates)
    found = check(tmp_path)
    assert found.ok
    assert (found.first_block, found.last_block) == (
        arrivals.START_BLOCK + 1,
        branch[-1].block.number,
    )
    assert found.blocks == len(branch)
    assert found.dead_blocks == 100 - len(branch) > 0
    assert (found.gaps, found.duplicates, found.problems) == ([], 0, [])
    assert found.pools == 3
    assert found.logs == sum(len(update.logs) for update in updates)
    assert found.entries == 106
    assert found.state_mismatches == 0


def test_a_history_without_blocks_is_ok(tmp_path: Path) -> None:
    record(tmp_path, [])
    found = check(tmp_path)
    assert found.ok
    assert (found.first_block, found.last_block, found.blocks, found.pools) == (None, None, 0, 3)


def test_a_gap_is_named_by_its_ends(tmp_path: Path) -> None:
    updates = [u for u in arrivals.first_updates(60) if u in branch_of(arrivals.first_updates(60))]
    record(tmp_path, updates[:10])
    later = arrivals.market_after(updates[:15])
    with open_writer(tmp_path) as writer:
        writer.append_keyframe(later.keyframe())
        append_all(writer, later, updates[15:20])
    found = check(tmp_path)
    assert not found.ok
    # The keyframe's own block counts as missing: its logs are not in the history.
    assert found.gaps == [(updates[10].block.number, updates[14].block.number)]
    assert found.blocks == 15
    assert (found.first_block, found.last_block) == (
        updates[0].block.number,
        updates[19].block.number,
    )


def forked(update: BlockUpdate, number: int, parent: BlockHash) -> BlockUpdate:
    """The same contents under another hash, on top of `parent`."""
    own = BlockHash(f"0xf0{number:062x}")
    return replace(update, block=replace(update.block, hash=own, parent_hash=parent))


def test_a_reorganisation_behind_a_gap_changes_what_is_behind_it_alone(tmp_path: Path) -> None:
    """5,001 to 5,010; a keyframe at 5,013; 5,014 to 5,020, of which the last three are replaced by
    four."""
    updates = arrivals.fork_behind(10**9, 21)
    record(tmp_path, updates[:10])
    later = arrivals.market_after(updates[:13])
    parent = updates[16].block.hash
    branch: list[BlockUpdate] = []
    for number, update in enumerate(updates[17:21], start=5_018):
        branch.append(forked(update, number, parent))
        parent = branch[-1].block.hash
    with open_writer(tmp_path) as writer:
        writer.append_keyframe(later.keyframe())
        append_all(writer, later, updates[13:20])
        append_all(writer, later, branch)
    found = check(tmp_path)
    assert (found.ok, found.problems) == (False, [])
    assert found.gaps == [(5_011, 5_013)]
    assert (found.first_block, found.last_block) == (5_001, 5_021)
    assert (found.blocks, found.dead_blocks, found.duplicates) == (10 + 4 + 4, 3, 0)
    assert found.dead == [(5_018, 5_020)]
    assert (found.entries, found.state_mismatches, found.pools) == (1 + 10 + 1 + 7 + 4, 0, 3)
    stands = [*updates[:10], *updates[13:17], *branch]
    assert found.backfilled == sum(each.backfilled for each in stands)
    assert found.unproven + found.consistent + found.proven == 18


@pytest.mark.parametrize("own", ["0x" + "00" * 32, "0x" + "ff" * 32])
def test_a_keyframe_below_the_head_takes_the_blocks_from_there_on_off(
    tmp_path: Path, own: str
) -> None:
    """As collectors of format 1 could append one after a deep reorganisation, without a break."""
    updates = arrivals.fork_behind(10**9, 10)
    record(tmp_path, updates)
    market = arrivals.market_after(updates[:6])
    parent = BlockHash(own)
    block = replace(market.block, hash=parent)
    behind = [encode_keyframe(replace(market.keyframe(), seq=12, block=block), continues=False)]
    for seq, update in enumerate(updates[6:8], start=13):
        made = replace(forked(update, update.block.number, parent), seq=seq)
        behind.append(encode_block(made))
        parent = made.block.hash
    lines.write(tmp_path / (segment_name(12) + LINES_SUFFIX), behind)
    found = check(tmp_path)
    assert found.problems == []
    assert found.gaps == [(5_006, 5_006)]
    assert (found.first_block, found.last_block) == (5_001, 5_008)
    assert (found.blocks, found.dead_blocks, found.duplicates) == (5 + 2, 5, 0)
    assert found.dead == [(5_006, 5_010)]


def test_a_break_in_front_of_a_gap_takes_the_gap_away(tmp_path: Path) -> None:
    """What was missing is dead as well, and missing is what the new branch lacks."""
    updates = arrivals.fork_behind(10**9, 20)
    record(tmp_path, updates[:10])
    later = arrivals.market_after(updates[:13])
    with open_writer(tmp_path) as writer:
        writer.append_keyframe(later.keyframe())
        append_all(writer, later, updates[13:15])
        eighth = updates[7].block
        writer.append_break(BlockRef(eighth.number, eighth.hash), "reorganised")
        again = arrivals.market_after(updates[:9])
        writer.append_keyframe(again.keyframe())
        append_all(writer, again, updates[9:12])
    found = check(tmp_path)
    assert (found.gaps, found.problems) == ([(5_009, 5_009)], [])
    assert (found.first_block, found.last_block) == (5_001, 5_012)
    # 5,010 died and came back.
    assert (found.blocks, found.dead_blocks) == (8 + 3, 2 + 2)
    assert found.dead == [(5_009, 5_009), (5_014, 5_015)]


def test_a_block_recorded_twice_is_a_duplicate_and_one_that_came_back_is_not(
    tmp_path: Path,
) -> None:
    one, two = (u for u in arrivals.first_updates(2))
    other = replace(two, block=replace(two.block, hash=BlockHash("0x" + "0e" * 32)))
    record(tmp_path, [one, two, other, two])
    found = check(tmp_path)
    assert (found.ok, found.duplicates, found.blocks, found.dead_blocks) == (True, 0, 2, 2)
    assert found.dead == [(two.block.number, two.block.number)]
    with open_writer(tmp_path) as writer, pytest.raises(StoreError, match="already"):
        writer.append(two)

    def again(entries: lines.Lines) -> None:
        """As collectors of schema 1 could."""
        entries += [{**entries[4], "seq": 6}, {**entries[1], "seq": 7}]

    lines.rewrite(list_segments(tmp_path)[0].path, again)
    found = check(tmp_path)
    assert (found.ok, found.duplicates, found.blocks) == (False, 2, 2)
    assert found.dead_blocks == 2


def test_new_pools_at_a_block_are_no_mismatch(tmp_path: Path) -> None:
    updates = arrivals.first_updates(30)
    fewer = replace(arrivals.first_keyframe(), pools=arrivals.pools()[:2])
    with open_writer(tmp_path) as writer:
        writer.append_keyframe(fewer)
        append_all(writer, Market(fewer), updates[:20])
        market = arrivals.market_after(updates[:20])
        writer.append_keyframe(market.keyframe())
        append_all(writer, market, updates[20:])
    found = check(tmp_path)
    assert found.ok, found
    assert found.pools == 3


def edit_line(folder: Path, segment: int, line: int, edit: Callable[[Any], object]) -> None:
    """The crcs fit again afterwards: as if the collector had written it so."""
    lines.rewrite(list_segments(folder)[segment].path, lambda entries: edit(entries[line]))


def test_pools_that_differ_from_the_replay_are_counted(tmp_path: Path) -> None:
    record(tmp_path, arrivals.first_updates(60), segment_blocks=20)
    edit_line(tmp_path, 1, 0, lambda e: e["pools"][0]["state"].update(reserve0="12345"))
    found = check(tmp_path)
    # Once where it was changed; from then on the replay goes on with the keyframe's pool, which
    # the next Sync puts right.
    assert (found.ok, found.state_mismatches, found.problems) == (False, 1, [])


def test_a_lost_log_is_a_mismatch(tmp_path: Path) -> None:
    updates = arrivals.first_updates(40)
    record(tmp_path, updates, segment_blocks=20)
    last = max(
        index
        for index, update in enumerate(updates[:20], start=1)
        if any(PoolKey(log.address) == arrivals.V2_ONE for log in update.logs)
    )
    edit_line(
        tmp_path,
        0,
        last,
        lambda e: e.update(logs=[log for log in e["logs"] if log["address"] != arrivals.V2_ONE]),
    )
    assert check(tmp_path).state_mismatches == 1


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (lambda e: e["block"].update(parent_hash="0x12"), "unknown parent"),
        (lambda e: e.pop("logs"), "not a history entry"),
        (lambda e: e.update(seq=3), "entry 3 in the place of entry 8"),
        (lambda e: e["logs"][0].update(data="0x00"), "malformed"),
    ],
)
def test_damage_is_told(tmp_path: Path, edit: Callable[[Any], object], problem: str) -> None:
    updates = arrivals.first_updates(30)
    record(tmp_path, updates)
    assert updates[6].logs
    edit_line(tmp_path, 0, 7, edit)
    found = check(tmp_path)
    assert not found.ok
    assert problem in found.problems[0]


def test_a_segment_that_is_missing_is_told(tmp_path: Path) -> None:
    record(tmp_path, arrivals.first_updates(60), segment_blocks=20)
    list_segments(tmp_path)[1].path.unlink()
    found = check(tmp_path)
    assert not found.ok
    assert "no segment starts at entry 22, though there are later ones" in found.problems[0]


def test_no_history_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="holds no history"):
        check(tmp_path)
