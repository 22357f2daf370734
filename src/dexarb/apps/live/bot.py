"""dexarb-bot: a trader with the live end, or in rehearsal, as a program from start to end."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from getpass import getpass
from pathlib import Path

import structlog

from dexarb.alerts.alerts import Alerts
from dexarb.apps.collect import Beside
from dexarb.apps.end import End
from dexarb.apps.live.alerts import BotAlerts
from dexarb.apps.live.end import LiveEnd
from dexarb.apps.live.rehearsal import RehearsalEnd
from dexarb.apps.paper import wait_for_state
from dexarb.apps.process import (
    Signals,
    keep_files_private,
    keep_memory_private,
    name_process,
    start_logging,
)
from dexarb.apps.supervisor import Supervisor
from dexarb.apps.trader import Trader
from dexarb.apps.watch import FileWatch
from dexarb.config.collector import CollectorConfig, load_collector
from dexarb.config.live import MAY_TRADE, Lane, LiveConfig, load_live
from dexarb.config.paper import PaperConfig
from dexarb.config.paths import rehearsal_ledger
from dexarb.core.sending import Control, ControlKind
from dexarb.ends.live.keys import Password, Signer, address_in, open_key
from dexarb.ends.live.sender import Sender
from dexarb.errors import InputError, Locked, StoreError
from dexarb.store.follow import start
from dexarb.store.history_reader import HistoryReader
from dexarb.store.journal import Journal
from dexarb.store.ledger_copy import copy_ledger
from dexarb.store.ledger_db import LedgerDb
from dexarb.store.ledger_notes import SENDS, UNPROVEN
from dexarb.store.ledger_reader import read_only
from dexarb.study.warm_up import warm_up
from dexarb.trading.models.reality import REALITY

_log = structlog.get_logger("dexarb-bot")


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says. live: send, where the file says `armed` as well. unproven: trade
    strategies that carry no verdict. canary: stop after so many included trades."""

    live: bool = False
    unproven: bool = False
    canary: int | None = None


def run(config_path: Path, asked: Asked) -> int:
    """Trade until SIGINT or SIGTERM. Returns the exit code. Raises ConfigError, InputError,
    OutsideError."""
    name_process("dexarb-bot")
    keep_files_private()
    keep_memory_private()
    signals = Signals()
    watch = FileWatch(config_path)
    config = load_live(config_path)
    collector = load_collector(config.collector)
    general = config.paper.general
    start_logging(
        "dexarb_bot", general.log_level, general.log_dir, general.log_format, general.log_max_mb
    )
    if asked.live and not config.armed:
        raise InputError(
            f"{config_path} does not say `armed = true` in [live], so nothing is sent. Without"
            " --live the bot rehearses"
        )
    supervisor = Supervisor(os.environ)
    with ExitStack() as stack:
        alerts = stack.enter_context(
            Alerts("dexarb-bot", config.paper.alerts, [general.ledger_file.parent])
        )
        signers = [_signer(each) for each in config.lanes] if asked.live else []
        journal = stack.enter_context(
            Journal.open(config.journal_file, chain_id=collector.chain.chain.chain_id)
        )
        warm_up()  # the first block must not wait for the compiler
        pause = stack.enter_context(_collecting(collector))
        supervisor.ready("waiting for blocks")
        state = wait_for_state(general.state_file, signals, supervisor)
        if state is None:
            return 0
        reader = HistoryReader(state.history)
        unproven = _unproven(config, reader) if asked.live else []
        if unproven and not asked.unproven:
            raise InputError(
                f"{', '.join(unproven)}: no verdict CANARY or PROMOTE for these parameters. Promote"
                " them (dexarb promote NAME), or say --unproven, which all screens then show"
            )
        books = books_of(general.ledger_file, journal, live=asked.live)
        ledger = stack.enter_context(
            LedgerDb.open(books, chain_id=state.chain_id, history=state.history)
        )
        ledger.put_note(UNPROVEN, tuple(unproven))
        end: End
        if asked.live:
            ledger.put_note(SENDS, True)
            end = stack.enter_context(
                _live(config, collector, journal, signers, ledger, asked, alerts)
            )
        else:
            end = stack.enter_context(_rehearsing(config, collector, journal))
        trader = Trader(
            config.paper, watch, reader, ledger, signals, REALITY, end, supervisor, alerts,
            _reloaded, pause,
        )  # fmt: skip
        trader.run()
        supervisor.stopping()
    return 0


def books_of(ledger: Path, journal: Journal, *, live: bool) -> Path:
    """Those of rehearsals lie beside those of trades. Older programs wrote both into one file, so
    what is there before anything was traded is set aside. Raises StoreError."""
    rehearsal = rehearsal_ledger(ledger)
    if not live:
        return rehearsal
    if ledger.is_file() and not journal.signed() and not _sends(ledger):
        if rehearsal.exists():
            problem = f"holds a rehearsal, and {rehearsal.name} another one"
            raise StoreError(ledger, problem, "Keep one of them as the latter, or none")
        copy_ledger(ledger, rehearsal)
        for name in (ledger.name, f"{ledger.name}-wal", f"{ledger.name}-shm"):
            ledger.with_name(name).unlink(missing_ok=True)
        _log.info("rehearsal.aside", ledger=str(rehearsal))
    return ledger


def _sends(ledger: Path) -> bool:
    with read_only(ledger) as books:
        return books.note(SENDS) or False


def _reloaded(path: Path) -> PaperConfig:
    return load_live(path).paper


@contextmanager
def _collecting(config: CollectorConfig) -> Iterator[Callable[[float], object]]:
    """In this process, where no collector writes that history yet. Yields how a trader waits for
    its next block."""
    beside = Beside(config, Alerts("data-collector"))
    try:
        beside.start()
    except Locked as error:
        _log.info("collector", process=error.holder, history=str(config.history))
        yield time.sleep
        return
    try:
        yield beside.pause
    finally:
        beside.stop()


def _signer(lane: Lane) -> Signer:
    password = Password(lane.password_file, lane.password_env, _asking())
    return open_key(lane.key_file, password.read(os.environ, str(lane.key_file)))


def _asking() -> Callable[[str], str] | None:
    return getpass if os.isatty(0) else None


def _unproven(config: LiveConfig, reader: HistoryReader) -> list[str]:
    """Names of strategies that carry no verdict to trade on."""
    profile = start(reader, before=0).profile
    settings = config.paper.settings(profile.tokens)
    return [each.name for each in settings if config.verdicts.get(each.hash) not in MAY_TRADE]


@contextmanager
def _live(
    config: LiveConfig,
    collector: CollectorConfig,
    journal: Journal,
    signers: Sequence[Signer],
    ledger: LedgerDb,
    asked: Asked,
    alerts: Alerts,
) -> Iterator[LiveEnd]:
    sender = Sender(config.ways, collector.endpoints)
    sender.start()
    try:
        fills = [(row.seq, row.fill) for row in ledger.fills() if row.reorged_seq is None]
        has_traded = any(fill.gas_used for _, fill in fills)
        told = BotAlerts(alerts, config.journal_file, has_traded=has_traded)
        end = LiveEnd(config, journal, signers, sender, REALITY, known_fills=fills, told=told)
        end.limit_to(asked.canary)
        end.orders.set_terms(config.terms, max(ledger.seq, 0) + 1)
        if all(each.kind is ControlKind.EXPECT for each in journal.controls()):
            reason = f"[live] armed in {config.path.name}, and --live"
            first = Control(0, ControlKind.ARM, reason)
            journal.add_controls([first])
            end.records.add_control(first)
        yield end
    finally:
        sender.stop()


@contextmanager
def _rehearsing(
    config: LiveConfig, collector: CollectorConfig, journal: Journal
) -> Iterator[RehearsalEnd]:
    end = RehearsalEnd(
        REALITY,
        journal,
        collector.endpoints,
        executor=config.executor,
        operator=address_in(config.lanes[0].key_file),
        timeout_s=collector.timeout_s,
    )
    end.start()
    _log.info("rehearsal", sent="nothing", remedy="--live sends, where [live] says armed = true")
    try:
        yield end
    finally:
        end.stop()
