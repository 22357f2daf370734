"""A bot of ours on the embedded chain: its executor, key and file, and a relay to the builder."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dexarb.apps.live.errands import name_own
from dexarb.chain.rpc import Rpc
from dexarb.core.token import Address
from dexarb.demo.artifacts import contract
from dexarb.demo.driver import Driver
from dexarb.demo.mining import TransactionRequest
from dexarb.demo.relay import Relay
from dexarb.demo.settings import MARK
from dexarb.ends.executor_contract import deploy_data
from dexarb.ends.live.keys import OWNER_ONLY, new_key
from dexarb.store.files import disk_errors

ETHER = 10**18
GAS_ETHER = 1_000
STOCK_USD = 20_000
"""Of every token."""
GAS = 4_000_000
KEY_FILES = ("operator.json", "operator_2.json", "operator_3.json", "operator_4.json")

STRATEGY = """
[[strategy]]
name = "Live"
pairs = ["WETH/USDC", "WMATIC/USDC", "WBTC/WETH", "WBTC/USDC", "WMATIC/WETH"]
min_profit_usd = 1.0
max_trade_size_usd = 5000.0
max_slippage_percent = 100.0      # the gas is spent by then: a small gain beats a revert
max_gas_gwei = 1000
priority_fee_gwei = 60.0
deadline_blocks = 2
"""


@dataclass(frozen=True, slots=True)
class DemoBot:
    """Where everything of it lies on the disk and on the chain."""

    config: Path
    journal: Path
    ledger: Path
    keys: tuple[Path, ...]
    executor: Address
    operators: tuple[Address, ...]


LIMITS = {
    "daily_loss_usd": 100,
    "daily_gas_usd": 50,
    "max_reverts_in_a_row": 50,
    "max_trade_usd": 5_100,
    "max_open_usd": 20_000,
}


async def settle_in(
    driver: Driver,
    rpc: Rpc,
    folder: Path,
    relay: Relay,
    *,
    strategy: str = STRATEGY,
    limits: Mapping[str, object] = LIMITS,
    max_state_age_secs: int = 10,
    lanes: int = 1,
) -> DemoBot:
    """Make the bot's keys, deploy its executor and fund it, and write live.toml into a folder that
    has the settings of a run, whose chain's file names them as ours from then on. Raises RpcError,
    TransportError, ConfigError, StoreError, MissingTool."""
    password = folder / "keys" / "password"
    keys = tuple(folder / "keys" / name for name in KEY_FILES[:lanes])
    with disk_errors(password, "cannot be written"):
        password.parent.mkdir(parents=True, exist_ok=True)
        for key in keys:
            key.unlink(missing_ok=True)
        password.touch(mode=OWNER_ONLY)
        password.chmod(OWNER_ONLY)
        password.write_text(secrets.token_hex(16))
    operators = tuple(new_key(key, password.read_text()) for key in keys)
    owner = driver.world.accounts.deployer
    executor = await _deploy(driver, owner, operators)
    for operator in operators:
        await rpc.call("anvil_setBalance", operator, hex(GAS_ETHER * ETHER))
    bot = DemoBot(
        folder / "live.toml",
        folder / "data" / "live" / "journal.sqlite",
        folder / "data" / "live" / "ledger.sqlite",
        keys,
        executor,
        operators,
    )
    text = bot_file(executor, owner, relay.url, limits, max_state_age_secs, lanes)
    bot.config.write_text(text + strategy)
    name_own(folder / "chain.toml", (executor, *operators))
    return bot


async def _deploy(driver: Driver, owner: Address, operators: Sequence[Address]) -> Address:
    world = driver.world
    data = deploy_data(owner, operators)
    made = await driver.mine([TransactionRequest("executor", owner, None, data, GAS, 0)])
    (executor,) = made.created()
    payments = []
    for plan in world.plan.tokens:
        token = world.tokens[plan.symbol]
        amount = round(STOCK_USD / plan.price_usd * 10**token.decimals)
        pay = contract("ERC20PresetFixedSupply")["transfer"].call(executor, amount)
        payments.append(TransactionRequest("stock", owner, token.address, pay, 100_000, 0))
    await driver.mine(payments)
    return executor


def bot_file(
    executor: Address,
    owner: Address,
    way: str,
    limits: Mapping[str, object] = LIMITS,
    max_state_age_secs: int = 10,
    lanes: int = 1,
) -> str:
    """live.toml without strategies."""
    tables: list[tuple[str, Mapping[str, object]]] = [
        (
            "[general]",
            {
                "state_file": "data/pool_state.json",
                "ledger_file": "data/live/ledger.sqlite",
                "log_dir": "logs",
                "metrics_interval_secs": 10,
                "max_state_age_secs": max_state_age_secs,
            },
        ),
        (
            "[live]",
            {
                "armed": True,
                "executor": executor,
                "owner": owner,
                "journal_file": "data/live/journal.sqlite",
                "collector": "collector.toml",
                # A chain this young has no evidence of anybody's chances.
                "min_expected_usd": -1000,
            },
        ),
        *(
            ("[[lane]]", {"key_file": f"keys/{name}", "password_file": "keys/password"})
            for name in KEY_FILES[:lanes]
        ),
        ("[[way]]", {"name": "relay", "url": way}),
        ("[limits]", {**limits, "max_state_age_secs": max_state_age_secs}),
    ]
    lines = [MARK + "."]
    for header, values in tables:
        lines += ["", header, *(f"{key} = {json.dumps(each)}" for key, each in values.items())]
    return "\n".join(lines) + "\n"
