"""Histories of the embedded chain, and others made of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from dexarb.chain.rpc import Rpc
from dexarb.core.block import BlockUpdate
from dexarb.core.market import Entry, Keyframe
from dexarb.demo.anvil import CHAIN_ID, start_anvil
from dexarb.demo.driver import Driver
from dexarb.store.history_reader import HistoryReader
from dexarb.store.history_writer import HistoryWriter
from tests.truth.lab import GENESIS

SEGMENT_BLOCKS = 40
WITHIN_S = 300.0

Change = Callable[[BlockUpdate], BlockUpdate]


def record(
    folder: Path, seed: int, blocks: int, *, other_seed_after: int | None = None
) -> HistoryReader:
    """What a collector writes of so many blocks of traffic.

    other_seed_after: from that block on, counted from the first, everybody decides otherwise.
    """

    async def play() -> None:
        with start_anvil(timestamp=GENESIS) as node:
            async with Rpc.connect(node.ws_url) as rpc:
                driver = await Driver.start(rpc, seed=seed)
                with _open(folder) as writer:
                    writer.append_keyframe(driver.market.keyframe())
                    for number in range(blocks):
                        if number == other_seed_after:
                            fresh = Driver(
                                driver.world,
                                driver._miner,
                                driver.market,
                                driver.everywhere,
                                seed + 1,
                            )
                            driver._actors = fresh._actors
                        writer.append((await driver.step()).update)
                        writer.roll_if_full(driver.market.keyframe)

    asyncio.run(asyncio.wait_for(play(), WITHIN_S))
    return HistoryReader(folder)


def rewrite(folder: Path, entries: Iterable[Entry]) -> HistoryReader:
    """A history of these entries."""
    with _open(folder) as writer:
        for entry in entries:
            if isinstance(entry, Keyframe):
                writer.append_keyframe(entry)
            elif isinstance(entry, BlockUpdate):
                writer.append(entry)
    return HistoryReader(folder)


def changed(
    reader: HistoryReader, after_seq: int, change: Change, to_seq: int | None = None
) -> Iterator[Entry]:
    """The entries of a history, those behind after_seq as `change` makes them."""
    for entry in reader.entries(to_seq=to_seq):
        is_later = isinstance(entry, BlockUpdate) and entry.seq > after_seq
        yield change(entry) if is_later and isinstance(entry, BlockUpdate) else entry


def _open(folder: Path) -> HistoryWriter:
    return HistoryWriter.open(
        folder, chain_id=CHAIN_ID, chain="embedded", segment_blocks=SEGMENT_BLOCKS
    )
