"""A bot on the embedded chain: executor, key, file, and blocks that hold what it sends."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from dexarb.core.sending import Signed
from dexarb.core.token import Address
from dexarb.demo.artifacts import contract
from dexarb.demo.mining import Mined, TransactionRequest
from dexarb.demo.relay import Relay
from dexarb.ends.executor_contract import deploy_data
from dexarb.ends.live.keys import new_key
from dexarb.errors import StoreError
from dexarb.store.journal import JournalReader
from dexarb.store.ledger_reader import read_only
from dexarb.study.totals import read_totals
from tests.support.live import Live, live

PASSWORD = "planted-pass-phrase"
ETHER = 10**18
STOCK_USD = 200_000

STRATEGY = """
[[strategy]]
name = "Live"
pairs = ["WETH/USDC", "WMATIC/USDC", "WBTC/WETH", "WBTC/USDC", "WMATIC/WETH"]
min_profit_usd = 0.01
min_expected_usd = -1000.0
max_trade_size_usd = 5000.0
max_slippage_percent = 100.0
max_gas_gwei = 1000
priority_fee_gwei = 60.0
deadline_blocks = 2
"""


class LiveBot:
    """Mutable: a chain with traders, a relay, and a bot that may be started and killed."""

    def __init__(self, run: Live, relay: Relay, executor: Address, operator: Address) -> None:
        self.run, self.relay, self.executor, self.operator = run, relay, executor, operator
        self.config = run.folder / "live.toml"
        self.journal = run.folder / "data" / "live" / "journal.sqlite"
        self.ledger = run.folder / "data" / "live" / "ledger.sqlite"
        self.said = run.folder / "bot.said"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        program = Path(sys.executable).with_name("dexarb-bot")
        with self.said.open("ab") as said:
            self._process = subprocess.Popen(
                [program, "--config", str(self.config), *options],
                stdout=said,
                stderr=said,
                env=os.environ | {"NO_COLOR": "1", "BOT_PASSWORD": PASSWORD},
            )

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process.wait()

    async def trading(self) -> None:
        """Wait until it has warmed up."""

        def is_trading() -> bool:
            if not self.running:
                raise AssertionError(self.said.read_text()[-3000:])
            try:
                return read_totals(self.ledger).is_trading
            except StoreError:
                return False

        await self.run.until(is_trading, "the bot to start")

    def stop(self) -> int:
        assert self._process is not None
        self._process.terminate()
        return self._process.wait(60)

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def seq(self) -> int:
        try:
            with read_only(self.ledger) as ledger:
                return ledger.seq
        except StoreError:
            return 0

    def _is_offered(self) -> bool:
        """Whether every signed transaction has been given to the relay, or refused by it."""
        try:
            with JournalReader.open_to_read(self.journal) as journal:
                offered = {each.hash for each in journal.offers()}
                return all(each.hash in offered for each in journal.signed())
        except StoreError:
            return False

    def signed(self) -> list[Signed]:
        with JournalReader.open_to_read(self.journal) as journal:
            return journal.signed()

    async def settled(self) -> None:
        """Wait until the bot has taken the newest block, and sent what it decided."""
        await self.run.collected()
        seq = self.run.state()["seq"]
        await self.run.until(
            lambda: self.seq() >= seq and self._is_offered(),
            f"entry {seq} at the bot\n{self.said.read_text()[-3000:]}",
        )

    async def block(self) -> Mined:
        """The next block, with what the bot has sent for it."""
        mined = await self.run.driver.step(guests=self.relay.take())
        if self.running:
            await self.settled()
        return mined


@asynccontextmanager
async def live_bot(
    folder: Path, *, seed: int = 1, strategy: str = STRATEGY
) -> AsyncIterator[LiveBot]:
    relay = Relay()
    async with live(folder, seed=seed) as run:
        key = folder / "keys" / "operator.json"
        operator = new_key(key, PASSWORD)
        world, miner = run.driver.world, run.driver._miner
        deployer = world.accounts.deployer
        data = deploy_data(deployer, [operator])
        created = await miner.mine(
            [TransactionRequest("executor", deployer, None, data, 4_000_000, 0)]
        )
        run.driver.follow(created)
        (executor,) = created.created()
        await run.rpc.call("anvil_setBalance", operator, hex(1_000 * ETHER))
        payments = []
        for plan in world.plan.tokens:
            token = world.tokens[plan.symbol]
            amount = round(STOCK_USD / plan.price_usd * 10**token.decimals)
            pay = contract("ERC20PresetFixedSupply")["transfer"].call(executor, amount)
            payments.append(TransactionRequest("stock", deployer, token.address, pay, 100_000, 0))
        run.driver.follow(await miner.mine(payments))
        relay.start()
        bot = LiveBot(run, relay, executor, operator)
        bot.config.write_text(bot_file(folder, key, executor, deployer, relay.url) + strategy)
        try:
            yield bot
        finally:
            if bot.running:
                bot.kill()
            relay.stop()


def bot_file(
    folder: Path, key: Path, executor: Address, owner: Address, way: str = "http://127.0.0.1:1"
) -> str:
    """live.toml without strategies."""
    general = {
        "state_file": "data/pool_state.json",
        "ledger_file": "data/live/ledger.sqlite",
        "log_dir": "logs",
        "metrics_interval_secs": 10,
        "max_state_age_secs": 600,
    }
    live_table = {
        "armed": True,
        "executor": executor,
        "owner": owner,
        "journal_file": "data/live/journal.sqlite",
        "collector": "collector.toml",
    }
    limits: dict[str, object] = {
        "daily_loss_usd": 100_000,
        "daily_gas_usd": 100_000,
        "max_reverts_in_a_row": 1_000,
        "max_open_usd": 100_000,
        "max_trade_usd": 10_000,
        "max_state_age_secs": 600,
    }
    tables: list[tuple[str, dict[str, object]]] = [
        ("[general]", general),
        ("[live]", live_table),
        ("[limits]", limits),
        ("[[lane]]", {"key_file": str(key.relative_to(folder)), "password_env": "BOT_PASSWORD"}),
        ("[[way]]", {"name": "relay", "url": way}),
    ]
    lines = [
        line
        for header, values in tables
        for line in ("", header, *(f"{name} = {json.dumps(each)}" for name, each in values.items()))
    ]
    return "\n".join(lines) + "\n"
