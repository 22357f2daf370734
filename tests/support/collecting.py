"""The real collector in the test's process, against nodes of a `TrueChain`."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dexarb.apps.collect import Collector, history_folder
from dexarb.apps.config.collector import load_collector
from dexarb.chain.rpc import Rpc
from dexarb.chain.transport import Transport
from dexarb.core.block import BlockUpdate
from dexarb.core.market import Break, Entry, Keyframe, Market
from dexarb.store.follow import newest_market
from dexarb.store.history_check import HistoryCheck, check
from dexarb.store.history_reader import HistoryReader
from dexarb.store.history_writer import HistoryWriter
from support.small_chain import CHAIN_ID, USDC, WETH, WMATIC
from support.true_chain import TrueBlock, TrueChain
from support.true_contracts import FACTORIES
from support.virtual_time import clock

_CHAIN = f"""[chain]
chain_id = {CHAIN_ID}
name = "true"
ordering = "fee"
wrapped_native = "WMATIC"
numeraire = "USDC"
start_tokens = ["USDC", "WETH"]
default_priority_fee_gwei = 30
[tokens]
WETH = "{WETH}"
USDC = "{USDC}"
WMATIC = "{WMATIC}"
"""
_DEX = """[[dex]]
name = "{name}"
kind = "{kind}"
factory = "{factory}"
fees_pips = [3000]
"""
_REFERENCES = """[[reference]]
token = "WETH"
dex = "SushiSwap"
min_depth = 1000
[[reference]]
token = "WMATIC"
dex = "SushiSwap"
min_depth = 1000
"""


def configure(
    folder: Path, endpoints: Sequence[str] = ("http://node",), *, poll_ms: int = 200,
    segment_blocks: int = 1000,
) -> Path:  # fmt: skip
    """The collector's configuration for all pools of a `TrueChain`."""
    kinds = {"UniswapV3": "uniswap_v3"}
    dexes = [
        _DEX.format(name=name, kind=kinds.get(name, "uniswap_v2"), factory=factory)
        for name, factory in FACTORIES.items()
    ]
    (folder / "chain.toml").write_text(_CHAIN + "".join(dexes) + _REFERENCES)
    path = folder / "collector.toml"
    path.write_text(f"""[collector]
chain = "chain.toml"
data_dir = "{folder}/data"
state_file = "{folder}/pool_state.json"
log_dir = "{folder}/logs"
poll_interval_ms = {poll_ms}
segment_blocks = {segment_blocks}
[rpc]
endpoints = {json.dumps(list(endpoints))}
timeout_s = 3
[[pools]]
dexes = ["QuickSwap", "SushiSwap", "UniswapV3"]
pairs = ["WETH/USDC"]
[[pools]]
dexes = ["SushiSwap"]
pairs = ["WMATIC/USDC"]
""")
    return path


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
    config = load_collector(configure(folder, **options))
    writer = HistoryWriter.open(
        history_folder(config), chain_id=CHAIN_ID, chain="true",
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


def expected(block: TrueBlock) -> list[tuple[str, str, bytes]]:
    """The block's logs that change its pools: address, topic, data."""
    pools = block.pools
    return [
        (log["address"], log["topics"][0], bytes.fromhex(log["data"][2:]))
        for receipt in block.receipts
        for log in receipt["logs"]
        if log["address"] in pools
        and bytes.fromhex(log["topics"][0][2:]) in pools[log["address"]].topics
    ]


def false_blocks(folder: Path, chain: TrueChain) -> list[BlockUpdate]:
    """Recorded blocks, dead ones too, whose header or logs of the pools that are followed are not
    those of the chain."""
    followed: frozenset[str] = frozenset()
    found = []
    for entry in entries(folder):
        if isinstance(entry, Keyframe):
            followed = frozenset(pool.address for pool in entry.pools)
        elif isinstance(entry, BlockUpdate) and not _is_true(entry, followed, chain):
            found.append(entry)
    return found


def _is_true(update: BlockUpdate, followed: frozenset[str], chain: TrueChain) -> bool:
    true = chain.blocks.get(update.block.hash)
    if true is None or replace(update.block, seen_at=None) != true.block:
        return False
    said = [(log.address, "0x" + log.topics[0].hex(), log.data) for log in update.logs]
    return said == [log for log in expected(true) if log[0] in followed]


def assert_true(
    folder: Path, chain: TrueChain, *, unproven: int | None = 0, missing_pools: int = 0
) -> HistoryCheck:
    """What stands in the history is the chain, all of it and nothing else.

    missing_pools: so many may not be followed.
    """
    found = check(history_of(folder))
    assert found.ok, found
    branch = recorded(folder)
    canonical = [block.hash for block in chain.head.branch()][: len(branch)][::-1]
    assert [update.block.hash for update in branch] == canonical
    assert not false_blocks(folder, chain)
    assert_no_keyframe_below(folder)
    assert not false_keyframes(folder, chain)
    market = market_of(folder)
    assert market.block.hash == chain.head.hash
    assert len(market.pools) >= len(chain.head.pools) - missing_pools
    assert all(chain.head.pools[address] == pool for address, pool in market.pools.items())
    if unproven is not None:
        assert found.unproven <= unproven
    return found


def false_keyframes(folder: Path, chain: TrueChain) -> list[tuple[int, set[str]]]:
    """Blocks of keyframes, with the pools that they have in a state that never was."""
    found = []
    for entry in entries(folder):
        if isinstance(entry, Keyframe):
            true = chain.blocks[entry.block.hash].pools
            wrong = {pool.address for pool in entry.pools if true.get(pool.address) != pool}
            if wrong:
                found.append((entry.block.number, set[str](wrong)))
    return found


def market_of(folder: Path) -> Market:
    return newest_market(HistoryReader(history_of(folder)))


def assert_no_keyframe_below(folder: Path) -> None:
    """No keyframe of a block before the newest, unless a break said so."""
    newest = -1
    for entry in entries(folder):
        if isinstance(entry, Break):
            newest = -1 if entry.fork_point is None else entry.fork_point.number
        elif isinstance(entry, Keyframe):
            assert entry.block.number >= newest, f"a keyframe of {entry.block.number}"
            newest = entry.block.number
        else:
            newest = entry.block.number
