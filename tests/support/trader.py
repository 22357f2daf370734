"""The paper trader in the process, on a recorded world that goes on."""

from __future__ import annotations

from collections.abc import Iterator

from dexarb.alerts.alerts import Alerts
from dexarb.apps.end import PaperEnd
from dexarb.apps.trader import Trader
from dexarb.apps.watch import FileWatch
from dexarb.config.paper import load_paper
from dexarb.store.history_reader import HistoryReader
from dexarb.store.ledger_db import LedgerDb
from dexarb.trading.models.reality import REALITY, Reality
from tests.support.signals import ScriptedSignals
from tests.support.traded import World
from tests.support.worlds.small_chain import CHAIN_ID


def run_trader(
    world: World,
    happens: Iterator[object],
    reality: Reality = REALITY,
    alerts: Alerts | None = None,
) -> None:
    """happens: goes on whenever the trader is idle; at its end the trader is told to stop."""
    with LedgerDb.open(world.ledger, chain_id=CHAIN_ID, history=world.history) as ledger:
        watch, reader = FileWatch(world.config), HistoryReader(world.history)
        config, signals = load_paper(world.config), ScriptedSignals(happens)
        end = PaperEnd(reality)
        Trader(config, watch, reader, ledger, signals, reality, end, alerts=alerts).run()
