"""Histories on disk, made from entries at hand."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from dexarb.core.block import BlockUpdate
from dexarb.core.market import Keyframe, Market, PoolsChanged
from dexarb.store.history_writer import HistoryWriter
from dexarb.store.snapshot import StateWriter


def record(
    folder: Path,
    first: Keyframe,
    updates: Iterable[BlockUpdate | PoolsChanged],
    *,
    segment_blocks: int = 1000,
) -> Path:
    """A collector's files in `folder` after these entries; returns the history's own folder."""
    history = folder / "history" / str(first.profile.chain_id)
    market = Market(first)
    with HistoryWriter.open(
        history,
        chain_id=first.profile.chain_id,
        chain=first.profile.name,
        segment_blocks=segment_blocks,
    ) as writer:
        writer.append_keyframe(first)
        for update in updates:
            if isinstance(update, PoolsChanged):
                market.change(update)
                writer.append_pools_changed(update)
                continue
            market.rewind(update.block.parent_hash)
            market.apply(update)
            writer.append(update)
            writer.roll_if_full(market.keyframe)
        StateWriter(folder / "pool_state.json", history).write(market, writer.last_seq, now=True)
    return history
