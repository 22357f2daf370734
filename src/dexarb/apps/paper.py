"""paper-trading: all strategies of a file on the history as it grows, reloadable by SIGHUP."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import structlog

from dexarb.apps.config.paper import PaperConfig, load_paper
from dexarb.apps.latency import Latency
from dexarb.apps.process import Signals, name_process, start_logging
from dexarb.apps.reload import compare
from dexarb.apps.session import Session
from dexarb.apps.standing import METRICS
from dexarb.apps.tables import as_text, spread_table, strategy_table
from dexarb.ends.sources import GrowingHistory
from dexarb.errors import InputError, StoreError
from dexarb.report.spreads import best_spreads
from dexarb.search.scan import warm_up
from dexarb.store.history_reader import HistoryReader
from dexarb.store.ledger_db import LedgerDb
from dexarb.store.snapshot import State, read_state
from dexarb.trading.engine import Entry
from dexarb.trading.screen import warm_up as warm_up_deciding

T = TypeVar("T")
WAIT_S = 0.1
RETRY_S = 1.0
TELL_AGAIN_S = 10.0

_log = structlog.get_logger("paper-trading")


class PaperTrader:
    """Follows a history until stopped. A bad configuration or a full disk never ends it."""

    def __init__(
        self, config: PaperConfig, reader: HistoryReader, ledger: LedgerDb, signals: Signals
    ) -> None:
        self._config = config
        self._reader = reader
        self._ledger = ledger
        self._signals = signals
        self._session = Session(
            reader, ledger, max_state_age_s=float(config.general.max_state_age_secs)
        )
        # A new ledger starts with the first block that arrives live; a known one where it ended.
        self._trade_from = (self._session.ledger_seq or reader.last_seq) + 1
        self._live_from = reader.last_seq + 1
        self._adopted = False
        self._latency = Latency()
        self._told_at = time.monotonic()

    def run(self) -> None:
        """Replay what the ledger knows, warm up to the end of the history, then trade.

        Raises ConfigErrors where the strategies do not fit the chain.
        """
        session = self._session
        if session.ledger_seq:
            _log.info("resume", ledger=str(self._ledger.path), entry=session.ledger_seq)
        poll_s = self._config.general.poll_interval_ms / 1000
        source = GrowingHistory(self._reader, session.from_seq, poll_s, self._idle)
        for entry in source.entries():
            self._adopt_when_due()
            self._take(entry)
        if self._adopted:
            self._tell()
        _log.info("stop", entry=session.ledger_seq)

    def _take(self, entry: Entry) -> None:
        session = self._session
        step = session.take(entry)
        if step is None or not self._adopted:
            return
        for incident in step.incidents:
            _log.error(
                "strategy.failed", strategy=incident.strategy, problem=incident.problem.strip()
            )
        seen_at = step.block.seen_at
        if seen_at and not step.stale and entry.seq >= self._live_from:
            self._latency.add(time.time() - seen_at)
        self._persist(session.write)

    def _idle(self) -> bool:
        """Between entries, and while waiting for one: what else there is to do. True: stop."""
        self._adopt_when_due()
        if self._adopted:
            if self._signals.take_reload():
                self._reload()
            if time.monotonic() - self._told_at >= self._config.general.metrics_interval_secs:
                self._tell()
        return self._signals.stopping

    # -- strategies ---------------------------------------------------------------------------

    def _adopt_when_due(self) -> None:
        """Take up the strategies of the file with the first entry that is ours to trade on."""
        next_seq = self._session.next_seq
        if self._adopted or next_seq is None or next_seq < self._trade_from:
            return
        settings = self._config.settings(self._session.engine.market.profile.tokens)
        difference = compare(self._session.settings, settings)
        if not difference.is_empty:
            self._session.use(settings)
        self._adopted = True
        self._note_metrics()
        _log.info("trading", strategies=len(settings), from_entry=next_seq)

    def _reload(self) -> None:
        """Read the file again. Anything wrong with it: say so, and go on as before."""
        path = self._config.file.path
        try:
            config = load_paper(path)
            settings = config.settings(self._session.engine.market.profile.tokens)
        except InputError as error:
            _log.error("reload.refused", problem=str(error), strategies="unchanged")
            return
        difference = compare(self._session.settings, settings)
        for line in difference.lines():
            _log.info("reload", change=line)
        fixed = ("state_file", "ledger_file", "log_dir", "log_level", "poll_interval_ms")
        for key in fixed:
            if getattr(config.general, key) != getattr(self._config.general, key):
                _log.warning("reload", change=f"general: {key} takes effect after a restart")
        self._config = config
        self._session.max_state_age_s = float(config.general.max_state_age_secs)
        if not difference.is_empty:
            self._session.use(settings)
        _log.info(
            "reload.done",
            strategies=len(settings),
            unchanged=difference.unchanged,
            from_entry=self._session.next_seq,
        )

    # -- telling ------------------------------------------------------------------------------

    def _tell(self) -> None:
        """Both tables into the log: what the strategies made, and why not more."""
        self._told_at = time.monotonic()
        self._note_metrics()
        market = self._session.engine.market
        rows = self._ledger.standings()
        _log.info(f"strategies at block {market.block.number}\n{as_text(strategy_table(rows))}")
        spreads = as_text(spread_table(best_spreads(market.pools.values()), market))
        _log.info(f"spreads\n{spreads}", block_to_decision_ms=self._latency.quantiles())

    def _note_metrics(self) -> None:
        metrics = {"block_to_decision_ms": self._latency.quantiles()}
        self._persist(lambda: self._ledger.put_notes({METRICS: json.dumps(metrics)}))

    def _persist(self, write: Callable[[], T]) -> T | None:
        """Write until the disk takes it: trading waits, the collector goes on, nothing is lost."""
        while True:
            try:
                return write()
            except StoreError as error:
                _log.error("ledger.waiting", problem=str(error))
            if self._signals.stopping:
                return None
            time.sleep(RETRY_S)


def run(config_path: Path) -> int:
    """Trade on paper until SIGINT or SIGTERM. Returns the exit code."""
    name_process("paper-trading")
    signals = Signals()
    config = load_paper(config_path)
    general = config.general
    start_logging("paper_trading", general.log_level, general.log_dir)
    warm_up()  # the first block must not wait for the compiler
    warm_up_deciding()
    state = _wait_for_state(general.state_file, signals)
    if state is None:
        return 0
    reader = HistoryReader(state.history)
    with LedgerDb.open(
        general.ledger_file, chain_id=state.chain_id, history=state.history
    ) as ledger:
        PaperTrader(config, reader, ledger, signals).run()
    return 0


def _wait_for_state(path: Path, signals: Signals) -> State | None:
    """The collector may start later than we do; None: stopped while waiting."""
    told_at = 0.0
    while not signals.stopping:
        try:
            return read_state(path)
        except StoreError as error:
            if time.monotonic() - told_at >= TELL_AGAIN_S:
                told_at = time.monotonic()
                _log.info("waiting", problem=str(error))
        time.sleep(WAIT_S)
    return None
