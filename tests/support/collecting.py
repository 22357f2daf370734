"""The collector in virtual time against nodes of a `TrueChain`, and whether its history is true."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, MutableMapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from msgspec import structs

from dexarb.amm.v3_events import SWAP
from dexarb.apps.collector import Collector
from dexarb.chain.rpc import Rpc
from dexarb.chain.transport.connect import Transport
from dexarb.core.block import BlockUpdate, Log, Transaction
from dexarb.core.following import Follower
from dexarb.core.market import Break, Entry, Keyframe, Market, PoolsChanged
from dexarb.store.follow import newest_market
from dexarb.store.history_check import HistoryCheck, check
from dexarb.store.history_reader import HistoryReader
from dexarb.store.history_writer import HistoryWriter
from tests.support.collector import collector_config
from tests.support.true_chain import V2_SWAP, TrueBlock, TrueChain
from tests.support.virtual_time import clock
from tests.support.worlds.small_chain import CHAIN_ID


def history_of(folder: Path) -> Path:
    return folder / "data" / "history" / str(CHAIN_ID)


class Collecting:
    """A collector at work. Blocks come once a second of the loop's time."""

    def __init__(self, chain: TrueChain, rpc: Rpc, writer: HistoryWriter, task: asyncio.Task[None]):
        self.chain, self.rpc, self.writer, self.task = chain, rpc, writer, task

    async def mine(self, blocks: int = 1, **options: Any) -> None:
        for _ in range(blocks):
            self.chain.mine(**options)
            await asyncio.sleep(1.0)

    async def reach(self, block: TrueBlock | None = None, within_s: float = 1_000.0) -> float:
        """Wait for the block (default: the chain's head) to be the newest recorded; how long."""
        wanted = (block or self.chain.head).hash
        begun = clock()
        while self.writer.last_block is None or self.writer.last_block.hash != wanted:
            if self.task.done():
                self.task.result()
            waited = clock() - begun
            assert waited < within_s, f"at {self.writer.last_block}, not {self.chain.head.number}"
            await asyncio.sleep(0.05)
        return clock() - begun


@contextlib.asynccontextmanager
async def collecting(
    folder: Path, chain: TrueChain, *transports: Transport, attempts: int = 3, **options: Any
) -> AsyncIterator[Collecting]:
    """The collector of the program with its own pauses; see `support.virtual_time`."""
    config = collector_config(folder, len(transports), **({"poll_ms": 200} | options))
    writer = HistoryWriter.open(
        config.history, chain_id=CHAIN_ID, chain="true",
        segment_blocks=config.settings.segment_blocks,
    )  # fmt: skip
    with writer:
        rpc = Rpc(list(transports), attempts=attempts, clock=clock, utc=clock)
        task = asyncio.create_task(Collector(config, rpc, writer).run())
        try:
            yield Collecting(chain, rpc, writer, task)
        finally:
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.result()


def entries(folder: Path) -> list[Entry]:
    return list(HistoryReader(history_of(folder)).entries(every_keyframe=True))


def recorded(folder: Path) -> list[BlockUpdate]:
    """The blocks of the history that are on its branch, in order."""
    branch: list[BlockUpdate] = []
    for entry in entries(folder):
        if isinstance(entry, BlockUpdate):
            while branch and branch[-1].block.number >= entry.block.number:
                branch.pop()
            branch.append(entry)
        elif isinstance(entry, Break):
            last = -1 if entry.fork_point is None else entry.fork_point.number
            while branch and branch[-1].block.number > last:
                branch.pop()
    return branch


def true_update(block: TrueBlock) -> BlockUpdate:
    """The block as it should be recorded, with the logs that change its pools."""
    topics = {pool.address: pool.topics for pool in block.pools.values()}
    found = [log for receipt in block.receipts for log in receipt["logs"]]
    logs = [
        Log(
            log["address"], tuple(bytes.fromhex(topic[2:]) for topic in log["topics"]),
            bytes.fromhex(log["data"][2:]), int(log["transactionIndex"], 16), place,
        )
        for place, log in enumerate(found)
        if bytes.fromhex(log["topics"][0][2:]) in topics.get(log["address"], ())
    ]  # fmt: skip
    transactions = [
        Transaction(
            index, receipt["transactionHash"], receipt["from"], receipt["to"],
            int(receipt["effectiveGasPrice"], 16), int(receipt["gasUsed"], 16),
            receipt["status"] == "0x1", int(receipt["type"], 16),
        )
        for index, receipt in enumerate(block.receipts)
    ]  # fmt: skip
    return BlockUpdate(0, block.block, tuple(logs), tuple(transactions))


def false_blocks(folder: Path, chain: TrueChain) -> list[BlockUpdate]:
    """Recorded blocks, dead ones too, whose header or logs of the pools that are followed are not
    those of the chain."""
    follower = Follower()
    found = []
    for entry in entries(folder):
        follower.take(entry)
        followed = frozenset(follower.market.pools) if follower.market is not None else frozenset()
        if isinstance(entry, BlockUpdate) and not _is_true(entry, followed, chain):
            found.append(entry)
    return found


def _is_true(update: BlockUpdate, followed: frozenset[str], chain: TrueChain) -> bool:
    true = chain.blocks.get(update.block.hash)
    if true is None or replace(update.block, seen_at=None) != true.block:
        return False
    said = true_update(true)
    logs = tuple(log for log in said.logs if log.address in followed)
    # Places of logs that were asked for alone are the node's, others count over the block.
    plain = [structs.replace(log, log_index=0) for log in update.logs]
    if plain != [structs.replace(log, log_index=0) for log in logs]:
        return False
    if not update.has_receipts:
        return update.transactions == () and update.traffic is None
    return update.transactions == said.transactions and _swaps(update) == _true_swaps(true)


def _swaps(update: BlockUpdate) -> Counter[str] | None:
    if update.traffic is None:
        return None
    return Counter({each.emitter: each.count for each in update.traffic.swaps})


def _true_swaps(block: TrueBlock) -> Counter[str]:
    """Of all pools, followed or not."""
    events = {"0x" + topic.hex() for topic in (V2_SWAP, SWAP)}
    logs = [log for receipt in block.receipts for log in receipt["logs"]]
    return Counter(log["address"] for log in logs if log["topics"][0] in events)


def assert_true(
    folder: Path,
    chain: TrueChain,
    *,
    unproven: int = 0,
    unproven_and_false: int = 0,
    missing_pools: int = 0,
) -> HistoryCheck:
    """What stands in the history is the chain, all of it and nothing else.

    So many blocks may be unproven, so many of these false, and so many pools not be followed.
    """
    found = check(history_of(folder))
    assert found.ok, found
    branch = recorded(folder)
    canonical = [block.hash for block in chain.head.branch()][: len(branch)][::-1]
    assert [update.block.hash for update in branch] == canonical
    false = false_blocks(folder, chain)
    assert all(update.witnesses == 0 for update in false)
    assert len(false) <= unproven_and_false
    assert_no_keyframe_below(folder)
    assert unproven_and_false or not false_states(folder, chain)
    market = market_of(folder)
    assert market.block.hash == chain.head.hash
    assert len(market.pools) >= len(chain.head.pools) - missing_pools
    assert all(chain.head.pools[address] == pool for address, pool in market.pools.items())
    assert found.unproven <= unproven
    return found


def false_states(folder: Path, chain: TrueChain) -> list[tuple[int, set[str]]]:
    """Blocks at which pools came in, with those that came in a state that never was."""
    found = []
    for entry in entries(folder):
        if isinstance(entry, Keyframe | PoolsChanged):
            true = chain.blocks[entry.block.hash].pools
            pools = entry.pools if isinstance(entry, Keyframe) else entry.joined
            wrong = {pool.key for pool in pools if true.get(pool.key) != pool}
            if wrong:
                found.append((entry.block.number, set[str](wrong)))
    return found


def market_of(folder: Path) -> Market:
    return newest_market(HistoryReader(history_of(folder)))


def assert_no_keyframe_below(folder: Path) -> None:
    """No keyframe of a block before the newest, unless a break said so; no pools change there."""
    newest = -1
    for entry in entries(folder):
        if isinstance(entry, Break):
            newest = -1 if entry.fork_point is None else entry.fork_point.number
        elif isinstance(entry, Keyframe):
            assert entry.block.number >= newest, f"a keyframe of {entry.block.number}"
        elif isinstance(entry, PoolsChanged):
            assert entry.block.number == newest, f"pools change at {entry.block.number}"
        if isinstance(entry, Keyframe | BlockUpdate):
            newest = entry.block.number


def events(said: Sequence[MutableMapping[str, Any]], name: str) -> list[MutableMapping[str, Any]]:
    """What was logged under a name."""
    return [entry for entry in said if entry["event"] == name]
