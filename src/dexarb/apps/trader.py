"""The trader: all strategies of a file on the history as it grows, reloadable, at either end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import structlog

from dexarb.alerts.alerts import Alerts
from dexarb.apps.clock_watch import ClockWatch
from dexarb.apps.end import End
from dexarb.apps.process import (
    Signals,
    keep_for_good,
)
from dexarb.apps.progress_log import ProgressLog
from dexarb.apps.sources import GrowingHistory
from dexarb.apps.stale_log import StaleLog
from dexarb.apps.stops_log import StopsLog
from dexarb.apps.supervisor import UNSUPERVISED, Supervisor
from dexarb.apps.trader_alerts import TraderAlerts
from dexarb.apps.trader_metrics import TraderMetrics
from dexarb.apps.trader_probes import TraderProbes, require_endpoints
from dexarb.apps.watch import FileWatch
from dexarb.config.alerts import AlertKind
from dexarb.config.difference import compare, reasons
from dexarb.config.facts import ChainFacts
from dexarb.config.paper import PaperConfig, load_paper
from dexarb.config.plugins import StrategyTypes
from dexarb.core.block import NO_ENTRY, Block, BlockUpdate
from dexarb.core.market import Entry
from dexarb.core.profile import own_names
from dexarb.core.token import Address
from dexarb.core.trade import Incident
from dexarb.errors import InputError, StoreError
from dexarb.screens.output import abridged
from dexarb.screens.tables import as_text, best, spread_table, strategy_table
from dexarb.store.history_reader import HistoryReader
from dexarb.store.ledger_db import LedgerDb
from dexarb.store.ledger_notes import METRICS, RELOAD, REPLAYED, TRADER, ReloadOutcome
from dexarb.store.trials import TrialKind, make_family, record_trial
from dexarb.study.session import Session
from dexarb.study.spreads import best_spreads
from dexarb.trading.models.reality import Reality
from dexarb.trading.seams import Step
from dexarb.trading.strategy import StrategySettings

T = TypeVar("T")
RETRY_S = 1.0
AFTER_RESTART = (
    "state_file",
    "ledger_file",
    "log_dir",
    "log_level",
    "log_format",
    "log_max_mb",
    "poll_interval_ms",
)
"""Keys of [general] that a reload does not change."""
LOGGED_STRATEGIES = 20
"""In the log's table; where there are more, those with the most profit."""

_log = structlog.get_logger("paper-trading")


class Trader:
    """Follows a history until stopped. A bad configuration or a full disk never ends it."""

    def __init__(
        self,
        config: PaperConfig,
        watch: FileWatch,
        reader: HistoryReader,
        ledger: LedgerDb,
        signals: Signals,
        reality: Reality,
        end: End,
        supervisor: Supervisor = UNSUPERVISED,
        alerts: Alerts | None = None,
        load: Callable[[Path], PaperConfig] = load_paper,
        pause: Callable[[float], object] = time.sleep,
    ) -> None:
        """watch: of the configuration's file, begun before it was read. end: of that reality.
        load: reads the file again. pause: between two looks at the history, see
        HistoryReader.follow.

        Raises ConfigError for the ledger of a replay, whose blocks nobody lived through."""
        if ledger.note(REPLAYED) is not None:
            problem = f"{ledger.path} is the ledger of a replay"
            remedy = "Name another file: a new ledger is begun there"
            raise config.file.error(("general", "ledger_file"), problem, remedy)
        self._supervisor = supervisor
        self._alerts = alerts or Alerts("paper-trading")
        self._told = TraderAlerts(self._alerts)
        self._config = config
        self._watch = watch
        self._reader = reader
        self._ledger = ledger
        self._signals = signals
        self._end = end
        self._load = load
        self._pause = pause
        self._types = StrategyTypes()
        self._session = Session(
            reader,
            ledger,
            executor=end.executor,
            door=end.door,
            reality=reality,
            max_state_age_s=float(config.general.max_state_age_secs),
            factories=self._types,
            on_way=self._on_way,
        )
        # A new ledger starts with the first block that arrives live; a known one where it ended.
        known = self._session.ledger_seq
        self._trade_from = (reader.last_seq if known == NO_ENTRY else known) + 1
        self._live_from = reader.last_seq + 1
        self._adopted = False
        self._measured = TraderMetrics(self._session, reality.gas)
        self._progress = ProgressLog()
        self._logged_at = time.monotonic()
        self._stops = StopsLog()
        self._stale = StaleLog()
        self._clock = ClockWatch()
        self._probes = TraderProbes(self._session, ledger)
        last = ledger.note(RELOAD)
        self._reloads = last.number if last else 0

    def run(self) -> None:
        """Replay what the ledger knows, warm up to the end of the history, then trade.

        Raises ConfigErrors where the strategies do not fit the chain.
        """
        session = self._session
        if session.ledger_seq != NO_ENTRY:
            _log.info(
                "resume",
                ledger=str(self._ledger.path),
                entry=session.ledger_seq,
                from_entry=session.from_seq,
            )
        if session.changed_models:
            changed = ", ".join(session.changed_models)
            _log.warning("reality changed", models=changed, from_entry=session.ledger_seq + 1)
        here = str(self._config.file.path.resolve())
        self._persist(lambda: self._ledger.put_note(TRADER, here))
        poll_s = self._config.general.poll_interval_ms / 1000
        source = GrowingHistory(self._reader, session.from_seq, poll_s, self._idle, self._pause)
        for entry in source.entries():
            self._adopt_when_due()
            self._take(entry)
            if not self._adopted:
                self._progress.catching_up(entry.seq, self._trade_from - 1)
            self._progress.came()  # behind it: a full disk is no silence
        if self._adopted:
            self._log_tables()
            self._leave_checkpoint()
            self._probes.use(None)
        _log.info("stop", entry=session.ledger_seq)

    def _leave_checkpoint(self) -> None:
        """So that whoever goes on need not do again what has been done."""
        try:
            self._session.pause()
        except StoreError as error:
            _log.warning("checkpoint", problem=str(error), remedy="The next start takes longer")
        lacking = self._session.without_state
        if lacking:
            remedy = "The next start shows them all blocks again: see docs/strategies.md, state()"
            _log.warning("checkpoint", without_state=abridged(lacking), remedy=remedy)

    def _take(self, entry: Entry) -> None:
        session = self._session
        step = session.take(entry)
        self._alerts.beat()
        if step is None or not self._adopted:
            return
        engine = session.engine
        self._progress.goes_on(engine.market.block, is_lost=engine.is_lost)
        self._log_failures(step.incidents)
        is_live = isinstance(entry, BlockUpdate) and entry.seq >= self._live_from
        self._tell_alerts(step, is_live=is_live)
        if is_live:
            self._stale.tell(step.block, stale=step.stale)
            self._judge_clock(step.block)
            self._probes.put(step)
        seen_at = step.block.seen_at
        if seen_at and not step.stale and entry.seq >= self._live_from:
            self._measured.latency.add(time.time() - seen_at)
        self._end.stepped(session, entry, step, is_live=is_live)
        self._persist(session.write)

    def _on_way(self, entry: Entry) -> None:
        """To the state at which a deep fork can be undone."""
        self._supervisor.ping()
        self._progress.catching_up(entry.seq, self._session.ledger_seq)

    def _tell_alerts(self, step: Step, *, is_live: bool) -> None:
        stops = self._stops.tell(self._session)
        if stops is not None:
            self._told.stopped(stops, step.block.number)
        self._told.filled(step.fills, self._session.settings)
        if is_live:
            self._alerts.block(step.block.number, step.block.timestamp)

    def _idle(self) -> bool:
        """Between entries, and while waiting for one: what else there is to do. True: stop."""
        self._supervisor.ping()
        self._adopt_when_due()
        if self._adopted:
            self._probes.take()
            if self._signals.take_reload():
                self._reload("SIGHUP")
            elif self._config.general.watch_config and self._watch.has_changed():
                self._reload("watch")
            if time.monotonic() - self._logged_at >= self._config.general.metrics_interval_secs:
                self._log_tables()
            self._progress.waits(float(self._config.general.max_state_age_secs))
            self._end.idle(self._session)
        return self._signals.stopping

    def _judge_clock(self, block: Block) -> None:
        """Blocks are as old as the chain's clock says: where ours is surely wrong, the limit moves
        with it from the next entry on, which the ledger notes as it does any other limit."""
        if block.seen_at is None or not self._clock.note(block.seen_at, block.timestamp):
            return
        self._session.max_state_age_s = self._state_age_s()
        if self._clock.offset_s is None:
            _log.info("clock.over")
        else:
            made_up = "blocks are judged by the chain's" if self._clock.surely_s else "nothing"
            off_by_s, remedy = self._clock.offset_s, self._clock.remedy
            _log.warning("clock", is_off_by_s=off_by_s, made_up_for_by=made_up, remedy=remedy)

    def _state_age_s(self) -> float:
        return float(self._config.general.max_state_age_secs) + self._clock.surely_s

    # -- strategies ---------------------------------------------------------------------------

    def _adopt_when_due(self) -> None:
        """Take up the strategies of the file with the first entry that is ours to trade on."""
        next_seq = self._session.next_seq
        if self._adopted or next_seq is None or next_seq < self._trade_from:
            return
        settings = self._settings(self._config)
        difference = compare(self._session.settings, settings)
        if not difference.is_empty:
            self._session.use(settings)
        self._probes.use(self._config.probe)
        self._adopted = True
        self._register(settings)
        self._told.know(self._session.engine.ledger)
        keep_for_good()
        for warning in self._config.warnings(self._facts()):
            _log.warning("config", warning=str(warning))
        self._note_metrics()
        _log.info("trading", strategies=len(settings), from_entry=next_seq)
        self._supervisor.status(f"{len(settings):,} strategies from entry {next_seq} on")

    def _register(self, settings: Sequence[StrategySettings]) -> None:
        """What is tried from now on, for whoever calls one of them the best."""
        market = self._session.engine.market
        try:
            record_trial(
                self._reader.folder,
                TrialKind.LIVE,
                [each.hash for each in settings],
                first_block=market.block.number,
                last_block=None,
                at=int(time.time()),
                family=make_family(market.profile.chain_id, market.pools),
            )
        except StoreError as error:
            _log.warning("register of trials", problem=str(error), remedy="Verdicts know less")

    def _settings(self, config: PaperConfig) -> tuple[StrategySettings, ...]:
        """Raises ConfigErrors."""
        market = self._session.engine.market
        tip_floor = market.profile.tip_floor(market.block.number)
        return config.settings(self._tokens, self._types, tip_floor=tip_floor)

    @property
    def _tokens(self) -> Mapping[str, Address]:
        return self._session.engine.market.profile.tokens

    def _facts(self) -> ChainFacts:
        market = self._session.engine.market
        return ChainFacts.of_pools(market.profile, market.pools.values(), market.block.number)

    def _reload(self, asked_by: str) -> None:
        """Read the file again. Anything wrong with it: say so, and go on as before."""
        self._reloads += 1
        path = self._config.file.path
        self._watch.read()
        begun = ReloadOutcome(
            self._reloads, asked_by, str(path), at=time.time(), clock=time.monotonic()
        )
        try:
            outcome = self._take_up(self._load(path), begun)
        except InputError as error:
            outcome = replace(begun, errors=reasons(error))
            _log.error("reload.refused", problem=str(error), strategies="unchanged")
        took_ms = round((time.monotonic() - begun.clock) * 1000, 1)
        done = replace(outcome, took_ms=took_ms)
        self._persist(lambda: self._ledger.put_note(RELOAD, done))

    def _take_up(self, config: PaperConfig, begun: ReloadOutcome) -> ReloadOutcome:
        """Trade by another file from the next entry on. Raises InputError and changes nothing."""
        session = self._session
        settings = self._settings(config)
        require_endpoints(config.probe)
        difference = compare(session.settings, settings, session.engine.ledger.rows.keys())
        has_other_alerts = self._alerts.use(config.alerts)
        warnings = [str(warning) for warning in config.warnings(self._facts())]
        warnings += [
            f"general: {key} takes effect after a restart"
            for key in AFTER_RESTART
            if getattr(config.general, key) != getattr(self._config.general, key)
        ]
        changes = difference.lines(own_names(self._tokens))
        if has_other_alerts:
            self._told.again()
            changes.append("alerts change")
        for line in changes:
            _log.info("reload", change=line)
        for line in warnings:
            _log.warning("reload", warning=line)
        self._config = config
        session.max_state_age_s = self._state_age_s()
        self._probes.use(config.probe)
        if not difference.is_empty:
            session.use(settings)
            keep_for_good()
            self._register(settings)
        counts = difference.counts()
        _log.info("reload.done", strategies=len(settings), from_entry=session.next_seq, **counts)
        return replace(
            begun,
            warnings=tuple(warnings),
            changes=tuple(changes),
            counts=counts,
            from_entry=session.next_seq,
        )

    # -- the log ------------------------------------------------------------------------------

    def _log_tables(self) -> None:
        """Both tables into the log: what the strategies made, and why not more."""
        self._logged_at = time.monotonic()
        self._note_metrics()
        market = self._session.engine.market
        rows = self._ledger.totals()
        self._told.stand(rows, len(self._session.settings), market.block.number)
        # Laying out thousands of rows would take longer than many a block.
        shown = best(rows, LOGGED_STRATEGIES)
        count = f"{len(shown)} of {len(rows):,} " if len(shown) < len(rows) else ""
        title = f"{count}strategies at block {market.block.number}"
        self._supervisor.status(f"block {market.block.number}, {len(rows):,} strategies")
        _log.info(f"{title}\n{as_text(strategy_table(shown))}")
        spreads = as_text(spread_table(best_spreads(market.pools.values()), market))
        _log.info(f"spreads\n{spreads}", block_to_decision_ms=self._measured.latency.quantiles())

    def _log_failures(self, incidents: Sequence[Incident]) -> None:
        """Own strategies that raised: they are out, the others go on."""
        if incidents:
            names = {each.hash: each.name for each in self._session.settings}
            for incident in incidents:
                name = names.get(incident.strategy, incident.strategy)
                _log.error("strategy.failed", strategy=name, problem=incident.problem.strip())
            self._told.failed(incidents, names)

    def _note_metrics(self) -> None:
        metrics = self._measured.metrics()
        self._persist(lambda: self._ledger.put_note(METRICS, metrics))

    def _persist(self, write: Callable[[], T]) -> T | None:
        """Write until the disk takes it: trading waits, the collector goes on, nothing is lost."""
        ledger, is_waiting = str(self._ledger.path), False
        while True:
            try:
                written = write()
            except StoreError as error:
                _log.error("ledger.waiting", problem=str(error))
                self._alerts.is_so(AlertKind.DISK, ledger, str(error))
                is_waiting = True
            else:
                if is_waiting:
                    self._alerts.is_so(AlertKind.DISK, ledger, None)
                return written
            if self._signals.stopping:
                return None
            self._supervisor.ping()
            time.sleep(RETRY_S)
