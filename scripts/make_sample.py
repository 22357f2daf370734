"""Records the history that comes with the program: `python scripts/make_sample.py`.

The embedded chain with its traders, from a fixed seed and a fixed time, so that the same program
records the same blocks. Closed segments alone, for a wheel of little size.
"""

from __future__ import annotations

import argparse
import asyncio
import shutil
from dataclasses import replace
from pathlib import Path

from dexarb.chain.rpc import Rpc
from dexarb.config.shipped_files import SAMPLE_HISTORY
from dexarb.demo.anvil import start_anvil
from dexarb.demo.arbitrageur import Insider
from dexarb.demo.driver import DEFAULT_SEED, Driver
from dexarb.demo.traders import Retail, Whale
from dexarb.store.compaction import close_segments
from dexarb.store.history_writer import LOCK_FILE, HistoryWriter

BLOCKS = 1_000
BEGINS = 1_767_225_600
"""2026-01-01 00:00 UTC; the chain is deployed from there on."""
BLOCK_S = 2
SEEN_AFTER_S = 0.5


async def record(folder: Path, seed: int, blocks: int) -> None:
    """folder: of the history, which is made anew."""
    shutil.rmtree(folder, ignore_errors=True)
    # In a block that begins with private orders no place is known, and so no profit: whoever looks
    # for the first time is to see a ranking. Everybody sends in public here.
    Retail.PRIVATE = Whale.PRIVATE = 0.0
    Insider.IS_PRIVATE = False
    with start_anvil(timestamp=BEGINS) as node:
        async with Rpc.connect(node.http_url) as rpc:
            driver = await Driver.start(rpc, seed=seed)
            profile = driver.market.profile
            with HistoryWriter.open(
                folder, chain_id=profile.chain_id, chain=profile.name, segment_blocks=blocks
            ) as writer:
                writer.append_keyframe(driver.market.keyframe())
                for _ in range(blocks):
                    mined = await driver.step(driver.market.block.timestamp + BLOCK_S)
                    block = replace(mined.block, seen_at=mined.block.timestamp + SEEN_AFTER_S)
                    writer.append(replace(mined.update, block=block))
                # A segment is closed when another has begun.
                writer.roll_if_full(driver.market.keyframe)
            close_segments(folder, driver.market.block.number, depth=-1)
    (folder / LOCK_FILE).unlink()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=SAMPLE_HISTORY)
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED)
    parser.add_argument("--blocks", type=int, default=BLOCKS)
    asked = parser.parse_args()
    asyncio.run(record(asked.folder, asked.seed, asked.blocks))
    files = [each for each in asked.folder.rglob("*") if each.is_file()]
    size = sum(each.stat().st_size for each in files)
    print(f"{asked.folder}: {asked.blocks} blocks, {size / 2**20:.2f} MiB")


if __name__ == "__main__":
    main()
