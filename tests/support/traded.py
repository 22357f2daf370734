"""A small recorded world on disk: history, state file, configuration, and the trader's ledger.

Everything in it was made by the parts that make it in real life; only the chain is hand-made.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from msgspec import structs

from dexarb.config.paper import load_paper
from dexarb.core.block import BlockUpdate
from dexarb.core.market import Keyframe
from dexarb.core.pool import Pool
from dexarb.core.token import Address
from dexarb.store.history_reader import HistoryReader
from dexarb.store.ledger_db import LedgerDb
from dexarb.store.ledger_rows import StrategyRow
from dexarb.trading.strategy import StrategySettings
from tests.support.recorded import record
from tests.support.sessions import paper_session
from tests.support.worlds.blocks import GWEI, transaction
from tests.support.worlds.events import state_log
from tests.support.worlds.small_chain import CHAIN_ID

STRATEGY = """
[[strategy]]
name = "{name}"
pairs = ["{pair}"]
min_profit_usd = {min_profit_usd}
max_trade_size_usd = {size_usd}
max_gas_gwei = 1000
"""


def strategy(
    name: str, *, pair: str = "WETH/USDC", min_profit_usd: float = 1.0, size_usd: float = 2000.0
) -> str:
    """A table of the configuration."""
    return STRATEGY.format(name=name, pair=pair, min_profit_usd=min_profit_usd, size_usd=size_usd)


@dataclass(frozen=True)
class World:
    """Where it is."""

    folder: Path

    @property
    def config(self) -> Path:
        return self.folder / "paper_trading.toml"

    @property
    def ledger(self) -> Path:
        return self.folder / "data" / "ledger.sqlite"

    @property
    def state(self) -> Path:
        return self.folder / "data" / "pool_state.json"

    @property
    def history(self) -> Path:
        return self.folder / "data" / "history" / str(CHAIN_ID)


def configure(folder: Path, *strategies: str) -> World:
    """The configuration alone: nothing has been collected or traded yet."""
    world = World(folder)
    paths = {"state_file": world.state, "ledger_file": world.ledger}
    lines = [f'{key} = "{path.relative_to(folder)}"\n' for key, path in paths.items()]
    general = "".join(["[general]\n", *lines])
    world.config.write_text(general + "".join(strategies))
    return world


def record_and_trade(
    folder: Path, first: Keyframe, updates: Sequence[BlockUpdate], *strategies: str
) -> World:
    """A history of these entries, the state at its end, and the ledger of who traded on it."""
    world = configure(folder, *strategies)
    record(folder / "data", first, updates)
    trade(world)
    return world


def trade(world: World) -> None:
    """Trade on the whole history with the strategies of the configuration."""
    reader = HistoryReader(world.history)
    with LedgerDb.open(world.ledger, chain_id=CHAIN_ID, history=world.history) as ledger:
        session = paper_session(reader, ledger)
        for entry in reader.entries():
            session.take(entry)
            session.write()
            if not session.has_begun:
                session.use(load_paper(world.config).settings(session.engine.market.profile.tokens))


def row_of(settings: StrategySettings) -> StrategyRow:
    """A strategy as the trader writes it into the ledger."""
    parameters = settings.as_json()
    del parameters["name"]
    return StrategyRow(settings.hash, settings.name, json.dumps(parameters), 0)


def in_one_transaction(
    update: BlockUpdate, *pools: Pool, priority_fee: int = 0, to: Address | None = None
) -> BlockUpdate:
    """The block, with one transaction that brings all these pools to these states."""
    logs = tuple(structs.replace(state_log(pool), log_index=n) for n, pool in enumerate(pools))
    paid = transaction(0, effective_gas_price=30 * GWEI + priority_fee, to=to)
    return replace(update, logs=logs, transactions=(paid,))


def failed(update: BlockUpdate, to: Address) -> BlockUpdate:
    """The block, with one more transaction that failed."""
    index = len(update.transactions)
    more = transaction(index, to=to, succeeded=False)
    return replace(update, transactions=(*update.transactions, more))
