"""What nodes say of what a trader decides: into its session and its log, and what it cost."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

import structlog

from dexarb.config.probe import ProbeConfig
from dexarb.core.probes import Probe
from dexarb.core.route import CycleId
from dexarb.core.text import MOST_OF_NAME, in_a_line
from dexarb.errors import StoreError
from dexarb.store.ledger_db import LedgerDb
from dexarb.store.ledger_notes import METERING
from dexarb.study.session import Session
from dexarb.trading.seams import Step

if TYPE_CHECKING:
    from dexarb.apps.probing import Probing

_log = structlog.get_logger("paper-trading")


def require_endpoints(config: ProbeConfig | None) -> None:
    """Raises ConfigError and ConfigErrors for those that cannot be asked."""
    if config is not None:
        from dexarb.chain.rpc import Rpc  # who asks nobody starts without HTTP and WebSockets

        Rpc.connect(*config.urls(), timeout_s=float(config.table.timeout_s))


class TraderProbes:
    """Mutable. Nobody is asked before `use`."""

    def __init__(self, session: Session, ledger: LedgerDb) -> None:
        self._session = session
        self._ledger = ledger
        self._config: ProbeConfig | None = None
        self._probing: Probing | None = None
        self._told: set[CycleId] = set()

    def use(self, config: ProbeConfig | None) -> None:
        """From now on; None: nobody any more. Of a session that has begun. Raises ConfigError and
        ConfigErrors."""
        if config == self._config:
            return
        if self._probing is not None:
            self._note()
            self._probing.close()
        self._config, self._probing = config, None
        if config is not None:
            from dexarb.apps.probing import Probing

            chain_id = self._session.engine.market.chain_id
            self._probing = Probing(config, chain_id, self._ledger.note(METERING))
            self._note()

    def put(self, step: Step) -> None:
        """What was decided at the end of a live block."""
        if self._probing is not None:
            self._probing.put(step, self._session.engine.market)

    def take(self) -> None:
        """What has come: known from the next entry on."""
        if self._probing is None:
            return
        if self._probing.has_news:
            self._note()
        probes = self._probing.take()
        if probes:
            self._session.probed(probes)
            for probe in probes:
                self._tell(probe)

    def _note(self) -> None:
        """Where the disk is full there is more to be said than this."""
        if self._probing is not None:
            with contextlib.suppress(StoreError):
                self._ledger.put_note(METERING, self._probing.metering())

    def _tell(self, probe: Probe) -> None:
        """Once for each route."""
        if probe.until_block is None or probe.cycle.id in self._told:
            return
        self._told.add(probe.cycle.id)
        profile = self._session.engine.market.profile
        names = [profile.name_of(token) for token in probe.cycle.tokens]
        _log.warning(
            "probe.not_executable",
            route=in_a_line(" > ".join([*names, names[0]]), MOST_OF_NAME),
            pools=[in_a_line(pool, MOST_OF_NAME) for pool in probe.cycle.pools],
            reason=in_a_line(probe.words, MOST_OF_NAME),
            until_block=probe.until_block,
        )
