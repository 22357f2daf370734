"""The collector in the process, on nodes of a `TrueChain`."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from dexarb.alerts.alerts import Alerts
from dexarb.apps.collector import Collector
from dexarb.apps.retrying import Retrying
from dexarb.chain.rpc import Rpc
from dexarb.config.collector import CollectorConfig, load_collector
from dexarb.core.market import Market
from dexarb.core.pool import PoolKey
from dexarb.store.history_writer import HistoryWriter
from tests.support.true_chain import TrueBlock
from tests.support.true_contracts import FACTORIES
from tests.support.true_node import TrueNode, transport
from tests.support.worlds.small_chain import CHAIN_ID, USDC, WETH, WMATIC

QUICK = Retrying(0.002, 0.02)

_PROFILE = f"""
[chain]
chain_id = {CHAIN_ID}
name = "small"
ordering = "fee"
wrapped_native = "WMATIC"
numeraire = "USDC"
start_tokens = ["USDC", "WETH"]
[tokens]
WETH = "{WETH}"
USDC = "{USDC}"
WMATIC = "{WMATIC}"
[[dex]]
name = "QuickSwap"
kind = "uniswap_v2"
factory = "{FACTORIES["QuickSwap"]}"
fees_pips = [3000]
[[dex]]
name = "SushiSwap"
kind = "uniswap_v2"
factory = "{FACTORIES["SushiSwap"]}"
fees_pips = [3000]
[[dex]]
name = "UniswapV3"
kind = "uniswap_v3"
factory = "{FACTORIES["UniswapV3"]}"
fees_pips = [3000]
[[reference]]
token = "WETH"
dex = "SushiSwap"
fees_pips = [3000]
min_depth = 1000
[[reference]]
token = "WMATIC"
dex = "SushiSwap"
fees_pips = [3000]
min_depth = 1000
"""
_COLLECTOR = """
[collector]
chain = "chain.toml"
data_dir = "{0}/data"
state_file = "{0}/data/pool_state.json"
log_dir = "{0}/logs"
poll_interval_ms = {2}
segment_blocks = {3}
[rpc]
endpoints = [{1}]
[[pools]]
dexes = ["QuickSwap", "SushiSwap", "UniswapV3"]
pairs = ["WETH/USDC"]
[[pools]]
dexes = ["SushiSwap"]
pairs = ["WMATIC/USDC"]
"""


def collector_config(
    folder: Path, endpoints: int = 1, *, poll_ms: int = 10, segment_blocks: int = 1000
) -> CollectorConfig:
    (folder / "chain.toml").write_text(_PROFILE)
    names = ", ".join(f'"http://node{place}"' for place in range(endpoints))
    (folder / "collector.toml").write_text(
        _COLLECTOR.format(folder, names, poll_ms, segment_blocks)
    )
    return load_collector(folder / "collector.toml")


class Collecting:
    """collector is None while none runs; an error that ends it is raised where `running` ends.
    alerts: told by those that will."""

    def __init__(self, config: CollectorConfig, rpc: Rpc) -> None:
        self.config, self.rpc = config, rpc
        self.folder = config.history
        self.collector: Collector | None = None
        self.alerts: Alerts | None = None
        self.writer: HistoryWriter
        self.task: asyncio.Task[None]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Collector]:
        with HistoryWriter.open(self.folder, chain_id=CHAIN_ID, chain="small") as self.writer:
            self.collector = Collector(
                self.config,
                self.rpc,
                self.writer,
                retrying=QUICK,
                feed_pause_s=(0.002, 0.02),
                alerts=self.alerts,
            )
            self.task = asyncio.create_task(self.collector.run())
            try:
                yield self.collector
            finally:
                self.task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await self.task

    @property
    def state(self) -> dict[str, Any]:
        """What it says of itself."""
        assert self.collector is not None
        return self.collector._metrics()

    @property
    def market(self) -> Market | None:
        assert self.collector is not None
        return self.collector._recorder.market

    def doubt(self, *pools: str) -> None:
        """As if the self-check had found these to differ from the chain."""
        assert self.collector is not None
        self.collector._check._found.update(map(PoolKey, pools))

    async def until_at(self, block: TrueBlock) -> None:
        await self.until(lambda: self.market is not None and self.market.block.hash == block.hash)

    async def until(self, condition: Callable[[], bool], within_s: float = 10.0) -> None:
        async with asyncio.timeout(within_s):
            while not condition():
                await asyncio.sleep(0.002)


def collecting(folder: Path, *nodes: TrueNode) -> Collecting:
    transports = [transport(node, name=f"node{place}") for place, node in enumerate(nodes)]
    rpc = Rpc(transports, backoff_s=0.001, backoff_max_s=0.005)
    return Collecting(collector_config(folder, len(nodes)), rpc)
