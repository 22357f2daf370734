"""Is a history whole? Every entry is read, every segment replayed up to the next keyframe."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from dexarb.core.block import BlockUpdate
from dexarb.core.market import MAX_REORG_DEPTH, Keyframe, Market
from dexarb.errors import MarketError, PoolError, StoreError
from dexarb.store.branch import Branch
from dexarb.store.codec import Header
from dexarb.store.history_reader import HistoryReader


@dataclass(frozen=True, slots=True)
class HistoryCheck:
    """What `check` found; its fields are the keys of `dexarb history check --json`.

    ok: nothing below is wrong. first_block, last_block: ends of the recorded branch, None where
    no block is recorded. blocks: those on the branch; dead_blocks: those that reorganisations took
    off. gaps: block numbers that the branch lacks, both ends included. duplicates: blocks that
    were recorded again while they were on the branch. pools: of the last keyframe. logs: of all
    blocks. state_mismatches: pools that the replay brought to another state than the next
    keyframe has. problems: whatever else is wrong, in words.
    """

    ok: bool
    first_block: int | None
    last_block: int | None
    blocks: int
    dead_blocks: int
    gaps: list[tuple[int, int]]
    duplicates: int
    pools: int
    logs: int
    entries: int
    state_mismatches: int
    problems: list[str]


def check(folder: Path) -> HistoryCheck:
    """Read and replay a whole history, also one that is being written.

    Raises StoreError where there is none; damage inside it is reported in `problems`, and ends
    the reading.
    """
    reader = HistoryReader(folder)
    walk = _Walk()
    try:
        for entry in reader.entries(every_keyframe=True):
            walk.entries += 1
            if isinstance(entry, Keyframe):
                walk.keyframe(entry)
            else:
                walk.block(entry)
    except StoreError as error:
        walk.problems.append(str(error))
    return walk.result()


class _Walk:
    """What reading has come to. stretches: unbroken runs of recorded numbers on the branch."""

    def __init__(self) -> None:
        self.entries = 0
        self.problems: list[str] = []
        self._market: Market | None = None
        self._branch = Branch(limit=MAX_REORG_DEPTH + 1)
        self._stretches: list[tuple[int, int]] = []
        self._recorded = self._duplicates = self._logs = self._pools = self._mismatches = 0

    def keyframe(self, keyframe: Keyframe) -> None:
        block, market, tip = keyframe.block, self._market, self._branch.tip
        self._pools = len(keyframe.pools)
        if tip is not None and tip.hash != block.hash:
            self._cut(block.number)
        self._branch.follow(
            Header(keyframe.seq, block.number, block.hash, block.parent_hash, True, False)
        )
        if market is not None and market.block.hash == block.hash:
            differing = sum(
                pool.address in market.pools and market.pools[pool.address].state() != pool.state()
                for pool in keyframe.pools
            )
            self._mismatches += differing
            if not differing and market.pools.keys() == {pool.address for pool in keyframe.pools}:
                return  # it agrees, and remembers more blocks than a new market would
        self._market = Market(keyframe)

    def block(self, update: BlockUpdate) -> None:
        block, tip = update.block, self._branch.tip
        self._recorded += 1
        self._logs += len(update.logs)
        if tip is not None and block.parent_hash != tip.hash and self._branch.holds(block.hash):
            self._duplicates += 1
        if not self._branch.follow(
            Header(update.seq, block.number, block.hash, block.parent_hash, False, True)
        ):
            self.problems.append(f"block {block.number} (entry {update.seq}) has an unknown parent")
            self._market = None
            return
        self._cut(block.number)
        if self._stretches and self._stretches[-1][1] == block.number - 1:
            self._stretches[-1] = (self._stretches[-1][0], block.number)
        else:
            self._stretches.append((block.number, block.number))
        self._replay(update)

    def result(self) -> HistoryCheck:
        stretches = self._stretches
        blocks = sum(last - first + 1 for first, last in stretches)
        gaps = [(before[1] + 1, after[0] - 1) for before, after in pairwise(stretches)]
        return HistoryCheck(
            ok=not (gaps or self._duplicates or self._mismatches or self.problems),
            first_block=stretches[0][0] if stretches else None,
            last_block=stretches[-1][1] if stretches else None,
            blocks=blocks,
            dead_blocks=self._recorded - blocks - self._duplicates,
            gaps=gaps,
            duplicates=self._duplicates,
            pools=self._pools,
            logs=self._logs,
            entries=self.entries,
            state_mismatches=self._mismatches,
            problems=self.problems,
        )

    def _cut(self, number: int) -> None:
        """Take the numbers from this one on off the stretches."""
        while self._stretches and self._stretches[-1][1] >= number:
            first, _ = self._stretches.pop()
            if first < number:
                self._stretches.append((first, number - 1))

    def _replay(self, update: BlockUpdate) -> None:
        """After an error the replay goes on at the next keyframe."""
        if self._market is None:
            return
        try:
            self._market.rewind(update.block.parent_hash)
            self._market.apply(update)
        except (MarketError, PoolError) as error:
            self.problems.append(f"block {update.block.number} (entry {update.seq}): {error}")
            self._market = None
