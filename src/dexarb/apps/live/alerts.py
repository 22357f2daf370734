"""What a bot's alerts are told of its sending."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dexarb.alerts.alerts import Alerts
from dexarb.config.alerts import AlertKind
from dexarb.core.trade import Fill
from dexarb.core.units import MICRO_USD

_BOT = "dexarb-bot"


class BotAlerts:
    """Mutable: remembers whether there has been a trade. See `apps.live.orders.Told`."""

    def __init__(self, alerts: Alerts, journal: Path, *, has_traded: bool) -> None:
        """journal: its file. has_traded: the books have one from before."""
        self._alerts, self._journal = alerts, journal
        self._has_traded = has_traded

    def disarmed(self, reason: str) -> None:
        self._alerts.is_so(AlertKind.DISARMED, _BOT, reason)

    def armed(self) -> None:
        self._alerts.is_so(AlertKind.DISARMED, _BOT, None)

    def stuck(self, problem: str | None) -> None:
        self._alerts.is_so(AlertKind.DISK, str(self._journal), problem)

    def traded(self, fills: Sequence[Fill]) -> None:
        first = next((fill for fill in fills if fill.gas_used), None)
        if self._has_traded or first is None:
            return
        self._has_traded = True
        net, block = first.net_micro_usd / MICRO_USD, first.block.number
        text = f"{first.status} at block {block}, place {first.place}: {net:+,.4f} USD net of gas"
        self._alerts.happened(AlertKind.FIRST_TRADE, text)
