"""paper-trading: a trader as a program, from its configuration to its end."""

from __future__ import annotations

import os
import time
from pathlib import Path

import structlog

from dexarb.alerts.alerts import Alerts
from dexarb.apps.end import PaperEnd
from dexarb.apps.process import Signals, keep_files_private, name_process, start_logging
from dexarb.apps.supervisor import Supervisor
from dexarb.apps.trader import Trader
from dexarb.apps.trader_probes import require_endpoints
from dexarb.apps.watch import FileWatch
from dexarb.config.paper import PaperConfig, load_paper
from dexarb.errors import StoreError
from dexarb.store.history_reader import HistoryReader
from dexarb.store.ledger_db import LedgerDb
from dexarb.store.snapshot import State, read_state
from dexarb.study.warm_up import warm_up
from dexarb.trading.models.reality import REALITY

WAIT_S = 0.1
LOG_AGAIN_S = 10.0

_log = structlog.get_logger("paper-trading")


def run(config_path: Path) -> int:
    """Trade on paper until SIGINT or SIGTERM. Returns the exit code."""
    name_process("paper-trading")
    keep_files_private()
    signals = Signals()
    watch = FileWatch(config_path)
    config = load_paper(config_path)
    require_endpoints(config.probe)
    log = general = config.general
    start_logging("paper_trading", log.log_level, log.log_dir, log.log_format, log.log_max_mb)
    supervisor = Supervisor(os.environ)
    alerts = Alerts("paper-trading", config.alerts, [general.ledger_file.parent])
    warm_up()  # the first block must not wait for the compiler
    supervisor.ready("waiting for data-collector")
    with alerts:
        return _trade(config, watch, signals, supervisor, alerts)


def _trade(
    config: PaperConfig,
    watch: FileWatch,
    signals: Signals,
    supervisor: Supervisor,
    alerts: Alerts,
) -> int:
    """Once there is a history. Returns the exit code."""
    general = config.general
    state = wait_for_state(general.state_file, signals, supervisor)
    if state is None:
        return 0
    supervisor.status("replaying what the ledger knows")
    reader = HistoryReader(state.history)
    if _is_hollow(general.ledger_file):
        remedy = "If there were books in it, stop, and bring back a copy"
        _log.warning("ledger.hollow", ledger=str(general.ledger_file), remedy=remedy)
    with LedgerDb.open(
        general.ledger_file, chain_id=state.chain_id, history=state.history
    ) as ledger:
        end = PaperEnd(REALITY)
        Trader(config, watch, reader, ledger, signals, REALITY, end, supervisor, alerts).run()
        supervisor.stopping()
    return 0


def _is_hollow(ledger: Path) -> bool:
    """A file without a byte: a new ledger is begun in it, which somebody may not expect."""
    return ledger.exists() and not ledger.stat().st_size


def wait_for_state(path: Path, signals: Signals, supervisor: Supervisor) -> State | None:
    """The collector may start later than we do; None: stopped while waiting."""
    logged_at = 0.0
    while not signals.stopping:
        try:
            return read_state(path)
        except StoreError as error:
            if time.monotonic() - logged_at >= LOG_AGAIN_S:
                logged_at = time.monotonic()
                _log.info("waiting", problem=str(error))
        supervisor.ping()
        time.sleep(WAIT_S)
    return None
