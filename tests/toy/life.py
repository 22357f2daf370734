"""The toy kind on a real chain: a vault beside the embedded chain's DEXes, collected and traded."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random

from dexarb.amm.abi import encode
from dexarb.apps.collector import Collector
from dexarb.chain.bootstrap.sync import reread
from dexarb.chain.rpc import Rpc
from dexarb.config.collector import load_collector
from dexarb.config.paper import load_paper
from dexarb.core.pool import Pool, PoolKey
from dexarb.core.token import Address
from dexarb.demo.anvil import start_anvil
from dexarb.demo.driver import Driver
from dexarb.demo.mining import Mined, TransactionRequest
from dexarb.demo.scene import Scene
from dexarb.demo.settings import Files, write_settings
from dexarb.errors import PoolError
from dexarb.store.history_reader import HistoryReader
from dexarb.store.history_writer import HistoryWriter
from dexarb.store.ledger_db import LedgerDb
from tests.amm.evm_world import selector
from tests.executor.attackers import compiled
from tests.support.sessions import paper_session

SOURCE = Path(__file__).parent / "vault.vy"
TOKENS = ("WETH", "USDC", "WMATIC")
FEE, SURGE = 300, 6_000
RESERVE_USD = 900_000.0
BLOCKS = 30
SEGMENT_BLOCKS = 15
WITHIN_S = 60.0

STRATEGIES = """
[[strategy]]
name = "Everything"
pairs = ["WETH/USDC", "WMATIC/USDC", "WMATIC/WETH"]
min_profit_usd = 0.5
max_trade_size_usd = 5000.0
max_gas_gwei = 1000
max_hops = 3
[[strategy]]
name = "Toys"
pairs = ["WETH/USDC", "WMATIC/USDC", "WMATIC/WETH"]
dexes = ["Toy", "QuickSwap"]
min_profit_usd = 0.5
max_trade_size_usd = 2000.0
max_gas_gwei = 1000
max_hops = 3
"""


class Fickle:
    """Pushes the vault's prices about, and back in the next block but one."""

    def __init__(self, vault: Address, sender: Address, reserves: Sequence[int]) -> None:
        self._vault, self._sender, self._reserves = vault, sender, reserves
        self._random = Random("fickle")
        self._pushed: deque[tuple[int, int]] = deque()

    def act(self, scene: Scene, pending: Sequence[TransactionRequest]) -> list[TransactionRequest]:
        del scene, pending
        swap = selector("swap(uint256,uint256,uint256,uint256)")
        if len(self._pushed) < 2:
            sold, bought = self._random.sample(range(3), 2)
            self._pushed.append((bought, sold))
        else:
            sold, bought = self._pushed.popleft()
        return [self.request(encode(swap, 1, sold, bought, self._reserves[sold] // 100))]

    def request(self, data: bytes) -> TransactionRequest:
        return TransactionRequest("fickle", self._sender, self._vault, data, 400_000, 40 * 10**9)

    def observe(self, mined: Mined) -> None:
        """He never looks back."""


@dataclass(frozen=True)
class Life:
    """What was collected. read: the pools as the chain had them at the end."""

    files: Files
    history: Path
    key: PoolKey
    read: dict[PoolKey, Pool | PoolError]


async def live(folder: Path) -> Life:
    """Some blocks of the embedded chain's traffic with a vault in it, under the collector."""
    with start_anvil(timestamp=int(time.time())) as node:
        async with Rpc.connect(node.ws_url) as rpc:
            driver = await Driver.start(rpc, seed=3)
            vault = await _vault(driver)
            files = write_settings(
                driver.world, folder, endpoint=node.ws_url, paper_config=_strategies(folder)
            )
            _with_vault(files, folder, vault)
            config = load_collector(files.collector)
            history = config.history
            with HistoryWriter.open(
                history, chain_id=driver.world.chain_id, chain="embedded",
                segment_blocks=SEGMENT_BLOCKS,
            ) as writer:  # fmt: skip
                collector = Collector(config, rpc, writer)
                task = asyncio.create_task(collector.run())
                try:
                    for _ in range(BLOCKS):
                        mined = await driver.step()
                        await _recorded(writer, mined, task)
                finally:
                    task.cancel()
                    await asyncio.wait([task])
                    await collector.finish()
                market = collector._market
                read = await reread(rpc, market.block, list(market.pools.values()))
    return Life(files, history, PoolKey(f"{vault}:1"), read)


async def _recorded(writer: HistoryWriter, mined: Mined, task: asyncio.Task[None]) -> None:
    """Wait until the collector has the block."""
    deadline = time.monotonic() + WITHIN_S
    while writer.last_block is None or writer.last_block.number < mined.block.number:
        if task.done():
            task.result()
        assert time.monotonic() < deadline, writer.last_block
        await asyncio.sleep(0.005)


async def _vault(driver: Driver) -> Address:
    """Create it, fill it at the fair prices, and let somebody trade there."""
    deployer = driver.world.accounts.deployer
    creation = TransactionRequest("vault", deployer, None, compiled(SOURCE), 4_000_000, 0)
    made = await _mined(driver, creation)
    (vault,) = made.created()
    tokens = [driver.world.tokens[name] for name in TOKENS]
    reserves = [
        int(RESERVE_USD / driver.usd[token.symbol]) * 10**token.decimals for token in tokens
    ]
    create = selector("create(address[3],uint256,uint256)")
    fill = selector("fill(uint256,uint256[3])")
    fickle = Fickle(vault, deployer, reserves)
    await _mined(
        driver,
        fickle.request(encode(create, *(token.address for token in tokens), FEE, SURGE)),
        fickle.request(encode(fill, 1, *reserves)),
    )
    driver._actors = (fickle, *driver._actors)
    return vault


async def _mined(driver: Driver, *requests: TransactionRequest) -> Mined:
    mined = await driver._miner.mine(requests)
    driver.follow(mined)
    return mined


def _strategies(folder: Path) -> Path:
    path = folder / "strategies.toml"
    path.write_text(STRATEGIES)
    return path


def _with_vault(files: Files, folder: Path, vault: Address) -> None:
    """All that a user has to write for it."""
    with (folder / "chain.toml").open("a") as chain:
        chain.write(
            f'\n[[dex]]\nname = "Toy"\nkind = "toy"\nfactory = "{vault}"\nfees_pips = [{FEE}]\n'
        )
    head, _, _ = files.collector.read_text().partition("[[pools]]")
    files.collector.write_text(
        f"{head}"
        '[[pools]]\ndexes = ["Toy"]\npairs = ["WETH/USDC", "WMATIC/WETH"]\n'
        '[[pools]]\ndexes = ["QuickSwap", "UniswapV3"]\npairs = ["WETH/USDC", "WMATIC/USDC"]\n'
    )


def trade(life: Life) -> None:
    """The paper trader's work on the whole history."""
    reader = HistoryReader(life.history)
    chain_id = reader.manifest.chain_id
    with LedgerDb.open(life.files.ledger, chain_id=chain_id, history=life.history) as ledger:
        session = paper_session(reader, ledger, max_state_age_s=1e9)
        for entry in reader.entries():
            session.take(entry)
            session.write()
            if not session.has_begun:
                tokens = session.engine.market.profile.tokens
                session.use(load_paper(life.files.paper).settings(tokens))
