"""data-collector: a collector as a program, from its configuration to its end."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from functools import partial
from pathlib import Path

import structlog

from dexarb.alerts.alerts import Alerts
from dexarb.apps import collect_report, collector_alerts
from dexarb.apps.collector import Collector
from dexarb.apps.process import (
    Signals,
    Wishes,
    keep_files_private,
    name_process,
    start_logging,
)
from dexarb.apps.supervisor import UNSUPERVISED, Supervisor
from dexarb.chain.endpoints.usage import Budget, Usage
from dexarb.chain.rpc import Rpc
from dexarb.config.collector import CollectorConfig, load_collector
from dexarb.store.history_writer import HistoryWriter

_log = structlog.get_logger("data-collector")


def run(config_path: Path) -> int:
    """Collect until SIGINT or SIGTERM. Returns the exit code."""
    name_process("data-collector")
    keep_files_private()
    signals = Signals()
    config = load_collector(config_path)
    log = config.settings
    start_logging("data_collector", log.log_level, log.log_dir, log.log_format, log.log_max_mb)
    with Alerts("data-collector", config.alerts, [config.settings.data_dir]) as alerts:
        asyncio.run(follow(config, signals, alerts, Supervisor(os.environ)))
    return 0


async def follow(
    config: CollectorConfig,
    wishes: Wishes,
    alerts: Alerts,
    supervisor: Supervisor = UNSUPERVISED,
    begun: Callable[[], object] = lambda: None,
    written: Callable[[], object] = lambda: None,
) -> None:
    """Collect until somebody wishes it to stop. begun: told once the history is ours.
    written: told of each block as soon as it stands there. Raises Locked while another collector
    writes it, StoreError, ConfigError."""
    chain = config.chain.chain
    usage = Usage(config.compute_units)
    usage.load(collect_report.usage_file(config))
    with HistoryWriter.open(
        config.history,
        chain_id=chain.chain_id,
        chain=chain.name,
        segment_blocks=config.settings.segment_blocks,
    ) as writer:
        begun()
        if writer.recovered:
            _log.warning("history.recovered", what=writer.recovered)
        options = {"usage": usage, "budgets": [Budget(*each) for each in config.budgets]}
        async with Rpc.connect(*config.endpoints, timeout_s=config.timeout_s, **options) as rpc:
            collector = Collector(
                config, rpc, writer, supervisor=supervisor, alerts=alerts, written=written
            )
            pinging = asyncio.ensure_future(supervisor.keep_pinging())
            task = asyncio.ensure_future(collector.run())
            loop = asyncio.get_running_loop()
            wishes.on_stop = partial(loop.call_soon_threadsafe, task.cancel)
            if wishes.stopping:
                task.cancel()
            reload = partial(collector_alerts.reload, alerts, config.path)
            # Not in the loop: reading takes time, and a block may be on its way.
            wishes.on_reload = partial(
                loop.call_soon_threadsafe, partial(loop.run_in_executor, None, reload)
            )
            if wishes.take_reload():  # asked for since the file was read
                wishes.on_reload()
            _log.info("start", history=str(writer.folder), endpoints=len(config.endpoints))
            # From here on trouble of node and disk only delays it.
            supervisor.ready("reading the pools")
            try:
                await task
            except asyncio.CancelledError:
                _log.info("stop", block=writer.last_block)
            finally:
                supervisor.stopping()
                pinging.cancel()
                wishes.on_reload = None
                await collector.finish()
                collect_report.save_usage(config, rpc)


class Beside:
    """A collector in a thread of this process, for a program that trades on its history."""

    def __init__(self, config: CollectorConfig, alerts: Alerts) -> None:
        self._wishes = Wishes()
        self._begun = threading.Event()
        self._written = threading.Event()
        self._failed: BaseException | None = None
        self._work = partial(
            follow,
            config,
            self._wishes,
            alerts,
            begun=self._begun.set,
            written=self._written.set,
        )
        self._thread = threading.Thread(target=self._run, name="collector")

    def start(self) -> None:
        """Returns once it writes the history. Raises what `follow` raises before that."""
        self._thread.start()
        self._begun.wait()
        if self._failed is not None:
            raise self._failed

    def pause(self, seconds: float) -> None:
        """For whoever follows the history: no longer than that, nor than until the next block. It
        only wakes: what the block says is read from the history, as everywhere."""
        self._written.wait(seconds)
        self._written.clear()

    def stop(self) -> None:
        self._wishes.stop()
        self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._work())
        except BaseException as error:
            self._failed = error
            if self._begun.is_set():
                _log.exception("collector")
        finally:
            self._begun.set()
