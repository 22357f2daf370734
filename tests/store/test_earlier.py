"""Segments before a history's first: they take lower numbers, and whoever reads begins there."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from dexarb.core.block import BlockRef, BlockUpdate
from dexarb.core.market import Keyframe, Market, PoolsChanged
from dexarb.errors import Locked, StoreError
from dexarb.store.compaction import close_segments
from dexarb.store.earlier import EarlierWriter
from dexarb.store.follow import first_keyframe
from dexarb.store.history_check import check
from dexarb.store.history_reader import HistoryReader
from dexarb.store.history_writer import HistoryWriter
from dexarb.store.segment import list_segments
from tests.store.test_backup import back_up, source
from tests.support.recorded import record
from tests.support.worlds.random_chain import RandomChain

BLOCKS, LATE = 40, 24


class Told:
    """One chain, and the history of a collector that came late to it."""

    def __init__(self, folder: Path, seed: int = 1) -> None:
        chain = RandomChain(seed)
        self.frames = [chain.first]
        market = Market(chain.first)
        self.updates = [chain.mine() for _ in range(BLOCKS)]
        for update in self.updates:
            market.apply(update)
            self.frames.append(market.keyframe())
        self.history = record(folder, self.frames[LATE], self.updates[LATE:])
        self.whole = record(folder / "whole", chain.first, self.updates)

    def put(self, first: int, last: int) -> None:
        """The blocks behind the first up to the last, as they are counted here."""
        with EarlierWriter(self.history) as writer:
            writer.put(self.frames[first], self.updates[first:last])


@pytest.fixture
def told(tmp_path: Path) -> Told:
    return Told(tmp_path)


def blocks(folder: Path) -> list[str]:
    return [
        entry.block.hash
        for entry in HistoryReader(folder).entries()
        if isinstance(entry, BlockUpdate)
    ]


def test_they_are_read_as_if_they_had_always_been_there(told: Told) -> None:
    told.put(10, LATE)
    told.put(0, 10)
    found = check(told.history)
    assert found.ok, found
    assert blocks(told.history) == blocks(told.whole)
    seqs = [entry.seq for entry in HistoryReader(told.history).entries(every_keyframe=True)]
    assert seqs == list(range(1 - LATE - 2, BLOCKS - LATE + 2))
    assert [segment.path.name for segment in list_segments(told.history)] == [
        "-00000000025", "-00000000014", "000000000001.jsonl",
    ]  # fmt: skip
    first = first_keyframe(HistoryReader(told.history))
    assert first.pools == told.frames[0].pools


def test_the_collector_goes_on_and_closes_its_own(told: Told) -> None:
    with HistoryWriter.open(told.history, chain_id=1, chain="random", segment_blocks=4) as writer:
        told.put(10, LATE)
        assert writer.last_seq == BLOCKS - LATE + 1
        writer.roll_if_full(lambda: told.frames[BLOCKS])
        close_segments(told.history, 10**9)
        told.put(0, 10)
    with HistoryWriter.open(told.history, chain_id=1, chain="random") as writer:
        assert writer.last_block == (told.updates[-1].block.number, told.updates[-1].block.hash)
    assert check(told.history).ok
    assert blocks(told.history) == blocks(told.whole)


def test_a_copy_has_them_and_knows_whether_they_are_whole(told: Told, tmp_path: Path) -> None:
    told.put(5, LATE)
    back_up(tmp_path / "copy", source(told.history))
    copy = tmp_path / "copy" / "history" / told.history.name
    assert check(copy).ok
    assert blocks(copy) == blocks(told.history)
    (first, *_) = list_segments(copy)
    for name in ("blocks.parquet", "keyframe.json"):
        whole = (first.path / name).read_bytes()
        flipped = bytes([whole[-20] ^ 1])
        (first.path / name).write_bytes(whole[:-20] + flipped + whole[-19:])
        assert not check(copy).ok
        (first.path / name).write_bytes(whole)
    digests = copy / "earlier.json"
    digests.write_bytes(digests.read_bytes().replace(b"-000", b"-001", 1))
    assert "earlier.json" in check(copy).problems[0]


def test_pools_join_in_them(told: Told) -> None:
    missing = told.frames[4].pools[0]
    few = Keyframe(0, told.frames[4].block, told.frames[4].profile, told.frames[4].tokens,
                   told.frames[4].pools[1:])  # fmt: skip
    joined = next(p for p in told.frames[9].pools if p.key == missing.key)
    ref = told.updates[8].block
    entries: list[BlockUpdate | PoolsChanged] = [*told.updates[4:9]]
    entries.append(PoolsChanged(0, BlockRef(ref.number, ref.hash), joined=(joined,)))
    entries += told.updates[9:LATE]
    with EarlierWriter(told.history) as writer:
        writer.put(few, entries)
    assert check(told.history).ok


def test_one_writer_at_a_time_and_never_before_what_was_pruned(told: Told) -> None:
    with EarlierWriter(told.history), pytest.raises(Locked):
        EarlierWriter(told.history)
    with HistoryWriter.open(told.history, chain_id=1, chain="random", segment_blocks=4) as writer:
        writer.roll_if_full(lambda: told.frames[BLOCKS])
    first, _ = list_segments(told.history)
    first.path.unlink()
    with pytest.raises(StoreError, match="has been pruned"):
        EarlierWriter(told.history)


def test_a_kill_at_any_moment_leaves_all_or_nothing(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before each of the renames and removals that it takes."""
    before = blocks(told.history)
    for moment in range(40):
        left = moment

        def dying(real: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any, **options: Any) -> Any:
                nonlocal left
                left -= 1
                if left < 0:
                    raise KeyboardInterrupt
                return real(*arguments, **options)

            return call

        with monkeypatch.context() as patched:
            patched.setattr(Path, "rename", dying(Path.rename))
            patched.setattr(shutil, "rmtree", dying(shutil.rmtree))
            patched.setattr(os, "fsync", dying(os.fsync))
            try:
                told.put(10, LATE)
            except KeyboardInterrupt:
                whole = blocks(told.history)
            else:
                break
        if whole != before:
            break
    assert moment >= 8
    assert len(blocks(told.history)) == len(before) + LATE - 10
    told.put(0, 10)
    assert check(told.history).ok
    assert blocks(told.history) == blocks(told.whole)
    assert not list(told.history.glob("*.tmp"))
