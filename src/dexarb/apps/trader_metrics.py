"""What a trader measures of itself, and the warning where strategies assume too much."""

from __future__ import annotations

import structlog

from dexarb.apps.latency import Latency
from dexarb.core.units import GWEI, MICRO_USD
from dexarb.screens.output import NAMES_SHOWN, abridged
from dexarb.store.ledger_notes import Hasty, Metrics
from dexarb.study.session import Session
from dexarb.trading.models.gas import GasModel
from dexarb.trading.models.least_gas import least_units
from dexarb.trading.models.value import rounded_up

MEASURED_BLOCKS = 20
"""So many blocks before a p99 is worth a warning."""

_log = structlog.get_logger("paper-trading")


class TraderMetrics:
    """Mutable. latency: from when the collector saw a block to when it is decided on, in seconds.

    Of a session that has begun.
    """

    def __init__(self, session: Session, gas: GasModel) -> None:
        self.latency = Latency()
        self._session = session
        self._gas = gas
        self._too_hasty: tuple[str, ...] = ()

    def metrics(self) -> Metrics:
        """As they are now."""
        self._judge_latency()
        hasty = Hasty(len(self._too_hasty), self._too_hasty[:NAMES_SHOWN])
        return Metrics(self.latency.quantiles(), hasty, self._usd_per_gwei())

    def _usd_per_gwei(self) -> float | None:
        """As in Metrics."""
        engine = self._session.engine
        price, pools = engine.valuation.native_price, engine.market.swap_gas
        if not price or not pools:
            return None
        gas = self._gas.under(engine.market.next_gas_schedule)
        units = least_units(gas, pools, flash=False)
        return rounded_up(units * GWEI * price) / MICRO_USD

    def _judge_latency(self) -> None:
        """Warn of strategies that assume to be faster than this process is; once a change."""
        if len(self.latency) < MEASURED_BLOCKS:
            return
        measured = self.latency.quantiles()
        needed_ms = measured["p99"] or 0.0
        hasty = tuple(
            each.name
            for each in self._session.settings
            if each.latency_ms is not None and each.latency_ms < needed_ms
        )
        if hasty != self._too_hasty:
            self._too_hasty = hasty
            if hasty:
                _log.warning(
                    "latency_ms is less than a decision takes here: fills may be too good",
                    strategies=abridged(hasty),
                    block_to_decision_ms=measured,
                )
            else:
                _log.info("latency_ms is met again by all strategies", **measured)
