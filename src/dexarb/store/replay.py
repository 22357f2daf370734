"""The market that a history leads to."""

from __future__ import annotations

from dexarb.core.market import MAX_REORG_DEPTH, Keyframe, Market
from dexarb.errors import MarketError, PoolError, StoreError
from dexarb.store.codec import Entry
from dexarb.store.history_reader import HistoryReader


def advance(market: Market | None, entry: Entry) -> Market | None:
    """The market after one more entry of its history: moved on, or begun anew by a keyframe.

    None after events that cannot follow, until the next keyframe.
    """
    if isinstance(entry, Keyframe):
        if market is not None and entry.block.hash == market.block.hash:
            same_pools = market.pools.keys() == {pool.address for pool in entry.pools}
            return market if same_pools and entry.profile == market.profile else Market(entry)
        return Market(entry)
    if market is not None:
        try:
            market.rewind(entry.block.parent_hash)
            market.apply(entry)
        except (MarketError, PoolError):
            return None
    return market


def start_seq(reader: HistoryReader, depth: int = MAX_REORG_DEPTH) -> int:
    """Where to start reading so that the last `depth` blocks can be taken back at the end.

    Raises StoreError for a history without a keyframe.
    """
    chain = reader.recent_chain(1)
    keyframe = reader.last_keyframe(before_block=chain[-1][0] - depth) if chain else None
    if keyframe is not None:
        return keyframe.seq
    first = next(reader.entries(), None)
    if not isinstance(first, Keyframe):
        raise StoreError(reader.folder, "has no keyframe yet", "Wait for the collector's first")
    return first.seq


def rebuild(reader: HistoryReader, to_seq: int | None = None) -> Market:
    """The market after the last entry, or after entry to_seq, able to rewind 128 blocks.

    Raises StoreError.
    """
    if to_seq is None:
        first = start_seq(reader)
    else:
        keyframe = reader.last_keyframe(before_seq=max(1, to_seq - MAX_REORG_DEPTH))
        first = keyframe.seq if keyframe else 1
    market: Market | None = None
    for entry in reader.entries(first, to_seq):
        market = advance(market, entry)
    if market is None:
        raise StoreError(reader.folder, "does not lead to a market: its last entries do not fit")
    return market
