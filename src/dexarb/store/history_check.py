"""Is a history whole? Every entry is read, every segment replayed up to the next keyframe."""

from __future__ import annotations

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from dexarb.core.block import BlockHash, BlockUpdate
from dexarb.core.following import Follower, Move, MoveKind
from dexarb.core.market import MAX_REORG_DEPTH, Break, Entry, Keyframe, Market, PoolsChanged
from dexarb.errors import StoreError
from dexarb.store.branch import Branch
from dexarb.store.codec import header_of
from dexarb.store.history_reader import HistoryReader

_NOBODY_TRIED = -1


@dataclass(frozen=True, slots=True)
class HistoryCheck:
    """What `check` found; its fields are the keys of `dexarb history check --json`.

    ok: there are no gaps, duplicates, mismatches and problems. first_block, last_block: ends of the
    recorded branch, None where no block is recorded. blocks: those on the branch;
    dead_blocks: those that reorganisations and breaks took off, and dead: their numbers. gaps:
    block numbers that the branch lacks. duplicates: blocks that were recorded again while they
    were on the branch. pools: of the market at the end, of the last keyframe where that leads to
    none. logs: of all blocks. state_mismatches: pools that the replay brought to another state than
    the next keyframe has, or that a later entry put right. problems: whatever else is wrong, in
    words.

    Of the blocks on the branch: unproven, whose contents nobody could or did prove; consistent,
    proven to belong to a hash that one endpoint named; proven, to one that several did, where those
    who name a block name its ancestors. backfilled: fetched after their time.

    Ranges are of block numbers, both ends included.
    """

    ok: bool
    first_block: int | None
    last_block: int | None
    blocks: int
    dead_blocks: int
    gaps: list[tuple[int, int]]
    dead: list[tuple[int, int]]
    duplicates: int
    pools: int
    logs: int
    entries: int
    state_mismatches: int
    unproven: int
    consistent: int
    proven: int
    backfilled: int
    problems: list[str]


def check(folder: Path) -> HistoryCheck:
    """Read and replay a whole history, also one that is being written.

    Raises StoreError where there is none, or none that can be opened; damage inside it is reported
    in `problems`, and ends the reading.
    """
    reader = HistoryReader(folder)
    walk = _Walk()
    try:
        for entry in reader.entries(every_keyframe=True):
            walk.take(entry)
        reader.require_whole_end()
    except StoreError as error:
        walk.problems.append(str(error))
    return walk.result()


class _BranchBlocks:
    """Mutable: the recorded blocks on the branch, by ascending number, and the dead ones."""

    def __init__(self) -> None:
        self._numbers, self._witnesses, self._backfilled = array("q"), array("q"), array("b")
        self._hashes: list[BlockHash] = []
        self._dead: dict[int, set[BlockHash]] = {}

    def __len__(self) -> int:
        return len(self._numbers)

    def add(self, update: BlockUpdate) -> None:
        """Blocks from its number on are dead; one that died and came back is not."""
        block = update.block
        self.cut(block.number)
        self._dead.get(block.number, set()).discard(block.hash)
        self._numbers.append(block.number)
        self._witnesses.append(_NOBODY_TRIED if update.witnesses is None else update.witnesses)
        self._backfilled.append(update.backfilled)
        self._hashes.append(block.hash)

    def cut(self, number: int) -> None:
        """Take the blocks from this number on off the branch."""
        while self._numbers and self._numbers[-1] >= number:
            dead = self._dead.setdefault(self._numbers.pop(), set())
            dead.add(self._hashes.pop())
            self._witnesses.pop()
            self._backfilled.pop()

    def ends(self) -> tuple[int | None, int | None]:
        return (self._numbers[0], self._numbers[-1]) if self._numbers else (None, None)

    def gaps(self) -> list[tuple[int, int]]:
        stretches = merged(self._numbers)
        return [(before[1] + 1, after[0] - 1) for before, after in pairwise(stretches)]

    def dead(self) -> list[tuple[int, int]]:
        return merged(sorted(number for number, hashes in self._dead.items() if hashes))

    def backfilled(self) -> int:
        return sum(self._backfilled)

    def levels(self) -> tuple[int, int, int]:
        """How many are unproven, consistent and proven."""
        counts = [0, 0, 0]
        most = 0
        for witnesses in reversed(self._witnesses):
            most = max(most, witnesses)
            counts[min(most, 2) if witnesses > 0 else 0] += 1
        return counts[0], counts[1], counts[2]


def merged(numbers: Iterable[int]) -> list[tuple[int, int]]:
    """Ascending numbers as unbroken runs."""
    runs: list[tuple[int, int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1] = (runs[-1][0], number)
        else:
            runs.append((number, number))
    return runs


class _Walk:
    """What reading has come to."""

    def __init__(self) -> None:
        self.problems: list[str] = []
        self._follower = Follower()
        self._branch = Branch(limit=MAX_REORG_DEPTH + 1)
        self._standing = _BranchBlocks()
        self._entries = self._recorded = self._duplicates = self._logs = self._pools = 0
        self._mismatches = 0

    def take(self, entry: Entry) -> None:
        self._entries += 1
        before = self._follower.market
        move = self._follower.take(entry)
        if isinstance(entry, Keyframe):
            self._keyframe(entry, before, move)
        elif isinstance(entry, Break):
            self._branch.follow(entry)
            self._standing.cut(0 if entry.fork_point is None else entry.fork_point.number + 1)
        elif isinstance(entry, PoolsChanged):
            self._change(entry, move)
        else:
            self._block(entry, move)

    def _keyframe(self, keyframe: Keyframe, before: Market | None, move: Move) -> None:
        block, tip = keyframe.block, self._branch.tip
        self._pools = len(keyframe.pools)
        if tip is not None and tip.hash != block.hash:
            self._standing.cut(block.number)
        self._branch.follow(header_of(keyframe.seq, block, is_keyframe=True, continues=False))
        if move.kind is MoveKind.RESTATED and before is not None:
            in_both = before.pools.keys() & {pool.key for pool in keyframe.pools}
            self._mismatches += len(move.touched & in_both)

    def _change(self, entry: PoolsChanged, move: Move) -> None:
        if move.error is not None:
            self.problems.append(f"entry {entry.seq}: {move.error}")
        else:
            self._mismatches += len(entry.corrected)

    def _block(self, update: BlockUpdate, move: Move) -> None:
        block, tip = update.block, self._branch.tip
        self._recorded += 1
        self._logs += len(update.logs)
        where = f"block {block.number} (entry {update.seq})"
        if tip is not None and block.parent_hash != tip.hash and self._branch.holds(block.hash):
            self._duplicates += 1
            return
        if not self._branch.follow(header_of(update.seq, block, is_keyframe=False)):
            self.problems.append(f"{where} has an unknown parent")
            return
        self._standing.add(update)
        if move.error is not None:
            self.problems.append(f"{where}: {move.error}")

    def result(self) -> HistoryCheck:
        standing = self._standing
        first, last = standing.ends()
        gaps = standing.gaps()
        unproven, consistent, proven = standing.levels()
        market = self._follower.market
        return HistoryCheck(
            ok=not (gaps or self._duplicates or self._mismatches or self.problems),
            first_block=first,
            last_block=last,
            blocks=len(standing),
            dead_blocks=self._recorded - len(standing) - self._duplicates,
            gaps=gaps,
            dead=standing.dead(),
            duplicates=self._duplicates,
            pools=self._pools if market is None else len(market.pools),
            logs=self._logs,
            entries=self._entries,
            state_mismatches=self._mismatches,
            unproven=unproven,
            consistent=consistent,
            proven=proven,
            backfilled=standing.backfilled(),
            problems=self.problems,
        )
