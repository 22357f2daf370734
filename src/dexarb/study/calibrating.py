"""Do our integers give what others really got: every swap of a history judged, and summed.

See docs/truth.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from dexarb.core.block import BlockHash, BlockUpdate
from dexarb.core.following import Move, MoveKind
from dexarb.core.market import MAX_REORG_DEPTH, Break, Keyframe, Market
from dexarb.errors import PoolError
from dexarb.store.follow import first_keyframe, follow, start
from dexarb.store.history_reader import HistoryReader
from dexarb.study.calibration import judge_block
from dexarb.study.calibration_sums import Calibration, Disagreement
from dexarb.study.order_meter import Order, OrderStudy
from dexarb.study.recent import RunningSums
from dexarb.study.study import Died


class Followed(NamedTuple):
    """A block as it was followed: market behind it, or None and why a pool refused its events."""

    update: BlockUpdate
    market: Market | None
    error: PoolError | None = None


class Calibrations(NamedTuple):
    """Of the blocks that stand, and of those that died: a swap there is a check like any other.
    order: of the tips, in those that stand."""

    standing: Calibration
    died: Calibration
    order: Order

    @property
    def whole(self) -> Calibration:
        """Of all blocks, what differs by block."""
        found = Calibration()
        for each in (self.standing, self.died):
            found.fold(each)
        found.differences.sort(key=lambda each: (each.block, each.transaction))
        return found


class CalibrationStudy:
    """A study of followed blocks. What was judged in a block that died is kept apart.

    depth: so many of the newest blocks can still die.
    """

    def __init__(self, depth: int = MAX_REORG_DEPTH) -> None:
        self._standing = RunningSums(Calibration, depth)
        self._died = Calibration()
        self._order = OrderStudy(depth)

    def add(self, seen: Followed) -> None:
        """The block that the market has just applied, or the reason why it could not."""
        self._standing.add(seen.update.block.hash, _judged(seen))
        self._order.add(seen.update)

    def rewind(self, block_hash: BlockHash) -> None:
        self._order.rewind(block_hash)
        for judged in self._standing.rewind(block_hash):
            self._died.fold(judged)

    def answer(self) -> Calibrations:
        died = Calibration()
        died.fold(self._died)
        return Calibrations(self._standing.total(), died, self._order.answer())


def _judged(seen: Followed) -> Calibration:
    update, market, found = seen.update, seen.market, Calibration()
    block = update.block
    if market is None:
        problem = f"events cannot follow: {seen.error}"
        found.differences.append(Disagreement(block.number, -1, problem))
        return found
    found.blocks, found.first_block, found.last_block = 1, block.number, block.number
    transactions = {each.index: each for each in update.transactions}
    for judged in judge_block(market, update):
        found.add(block, judged, transactions.get(judged.index))
    schedule = market.profile.gas_schedule(block.number).name
    for index in (update.traffic and update.traffic.transfers) or ():
        sent = transactions.get(index)
        if sent is not None and sent.to in market.tokens and sent.gas_used:
            found.transfers.add(block.number, schedule, sent.to, sent.gas_used)
    return found


def beginning(reader: HistoryReader, first_block: int | None) -> Keyframe:
    """From where the block can be judged; None: the history's beginning. Raises StoreError."""
    if first_block is None:
        return first_keyframe(reader)
    return start(reader, block=first_block - 1, before=0)


def followed(
    reader: HistoryReader, first: Keyframe, first_block: int | None, last_block: int | None
) -> Iterator[Followed | Died]:
    """The blocks from first_block to last_block that arrived after a keyframe, both included;
    None: the history's ends. Raises StoreError."""
    for move, market in follow(reader, first.seq):
        entry = move.entry
        if move.rewound_to is not None and (last_block is None or _fork(move) < last_block):
            yield Died(move.rewound_to)
        if not isinstance(entry, BlockUpdate):
            continue
        number = entry.block.number
        if number < (first_block or 0) or (last_block is not None and number > last_block):
            continue
        if isinstance(move.error, PoolError):
            yield Followed(entry, None, move.error)
        elif market is not None and move.kind is MoveKind.APPLIED:
            yield Followed(entry, market)


def _fork(move: Move) -> int:
    """The number of the block that the market was taken back to."""
    entry = move.entry
    if isinstance(entry, BlockUpdate):
        return entry.block.number - 1
    point = entry.fork_point if isinstance(entry, Break) else entry.block
    return point.number if point is not None else 0
