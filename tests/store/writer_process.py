"""A collector without a chain: appends the world's blocks to a history, wherever it stands.

Usage: writer_process.py FOLDER UPDATES SEGMENT_BLOCKS DEPTH. UPDATES is a pickled list of them:
making them anew would take every process a second. Says the seq of every entry on standard output
once it is written. Segments deeper than DEPTH blocks are closed while it goes on.
"""

from __future__ import annotations

import os
import pickle
import sys
import threading
from pathlib import Path

from dexarb.core.block import BlockUpdate
from dexarb.core.market import Market
from dexarb.store.compaction import close_segments
from dexarb.store.history_reader import HistoryReader
from dexarb.store.history_writer import HistoryWriter
from tests.support.worlds import arrivals


def main(folder: Path, updates: list[BlockUpdate], segment_blocks: int, depth: int) -> None:
    writer = HistoryWriter.open(
        folder, chain_id=arrivals.CHAIN_ID, chain="testnet", segment_blocks=segment_blocks
    )
    if not writer.last_seq:
        say(writer.append_keyframe(arrivals.first_keyframe()).seq)
    recorded = sum(isinstance(e, BlockUpdate) for e in HistoryReader(folder).entries())
    market: Market = arrivals.market_after(updates[:recorded])
    # A roll that the kill prevented.
    writer.roll_if_full(market.keyframe)
    compaction = threading.Thread()
    for update in updates[recorded:]:
        market.rewind(update.block.parent_hash)
        market.apply(update)
        say(writer.append(update).seq)
        if writer.roll_if_full(market.keyframe) and not compaction.is_alive():
            compaction = threading.Thread(
                target=close_segments, args=(folder, market.block.number), kwargs={"depth": depth}
            )
            compaction.start()
    if compaction.ident:
        compaction.join()
    close_segments(folder, market.block.number, depth=depth)
    writer.close()


def say(seq: int) -> None:
    os.write(1, f"{seq}\n".encode())


if __name__ == "__main__":
    made = pickle.loads(Path(sys.argv[2]).read_bytes())
    main(Path(sys.argv[1]), made, *map(int, sys.argv[3:]))
