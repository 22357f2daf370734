"""Following a recorded history: where to start, and what each entry means.

Nobody else chooses a keyframe: one whose block died leads to nothing, however many entries follow.
"""

from __future__ import annotations

from collections.abc import Iterator

from dexarb.core.block import BlockRef
from dexarb.core.following import Follower, Move
from dexarb.core.market import MAX_REORG_DEPTH, Keyframe, Market
from dexarb.errors import StoreError
from dexarb.store.branch import Branch
from dexarb.store.codec import LinkHeader
from dexarb.store.history_reader import HistoryReader


def start(
    reader: HistoryReader, *, block: int | None = None, before: int = MAX_REORG_DEPTH
) -> Keyframe:
    """The newest keyframe that still stands and lies at least `before` blocks below a block.

    block: the one to be reached; None: the newest, so that by default whoever starts there can take
    back the last 128. Where no keyframe lies so deep, the oldest that still stands and from which
    the block can be reached. Where none stands, as between a break and the keyframe that follows
    it, the newest of all. Raises StoreError for a history without one.
    """
    branch = reader.branch(1)
    tip = branch.tip
    wanted = block if block is not None else tip.number if tip else 0
    for keyframe in reader.keyframe_headers():
        if keyframe.number <= wanted - before and _stands(reader, keyframe, branch):
            return reader.keyframe(keyframe.seq)
    newest_first = list(reader.keyframe_headers())
    for keyframe in reversed(newest_first):
        if keyframe.number <= wanted and _stands(reader, keyframe, branch):
            return reader.keyframe(keyframe.seq)
    if not newest_first:
        raise StoreError(reader.folder, "has no keyframe yet", "Wait for the collector's first")
    return reader.keyframe(newest_first[0].seq)


def first_keyframe(reader: HistoryReader) -> Keyframe:
    """Where the history begins. Raises StoreError where it has no keyframe yet."""
    first = next(reader.entries(), None)
    if not isinstance(first, Keyframe):
        raise StoreError(reader.folder, "has no keyframe yet", "Wait for the collector's first")
    return first


def follow(
    reader: HistoryReader, first_seq: int, to_seq: int | None = None
) -> Iterator[tuple[Move, Market | None]]:
    """Every entry from a keyframe on with what it meant, and the market behind it, the same object
    as long as it goes on; None while it is lost. Raises StoreError."""
    follower = Follower()
    for entry in reader.entries(first_seq, to_seq):
        move = follower.take(entry)
        yield move, follower.market


def market_behind(reader: HistoryReader, seq: int, block: BlockRef) -> Market:
    """The market behind entry seq, which stands at this block. Raises StoreError where no keyframe
    that the history still has leads there."""
    return _way_to(reader, seq, block)[1]


def keyframe_before(reader: HistoryReader, seq: int, block: BlockRef) -> int:
    """The seq of the keyframe that `market_behind` begins at. Raises StoreError."""
    return _way_to(reader, seq, block)[0]


def _way_to(reader: HistoryReader, seq: int, block: BlockRef) -> tuple[int, Market]:
    headers = reader.keyframe_headers(before_seq=seq + 1) if seq <= reader.last_seq else ()
    for header in headers:
        market: Market | None = None
        for _, now in follow(reader, header.seq, seq):
            market = now
        if market is not None and market.block.hash == block.hash:
            return header.seq, market
        if header.number <= block.number - MAX_REORG_DEPTH:
            break  # that one cannot have died since: it is another history, or parts are lost
    raise StoreError(
        reader.folder,
        f"does not lead to block {block.hash} of entry {seq} any more",
        "Bring the segments back that were taken out of it",
    )


def newest_market(reader: HistoryReader) -> Market:
    """The market that the history leads to, able to take back 128 blocks. Raises StoreError."""
    market: Market | None = None
    for _, now in follow(reader, start(reader).seq):
        market = now
    if market is None:
        raise StoreError(reader.folder, "does not lead to a market: its last entries do not fit")
    return market


def _stands(reader: HistoryReader, keyframe: LinkHeader, branch: Branch) -> bool:
    """Whether no entry since has taken the keyframe's block off the branch.

    branch: its last blocks, which are not read again where they reach down to the keyframe.

    One that died and came back counts as dead: what follows the keyframe does not lead to it.
    """
    tip, oldest = branch.tip, branch.oldest
    if tip is None or tip.number < keyframe.number:
        return False
    if oldest is None or oldest.number > keyframe.number:
        branch = reader.branch_down_to(keyframe.number)
    return any(header.hash == keyframe.hash and header.seq <= keyframe.seq for header in branch)
