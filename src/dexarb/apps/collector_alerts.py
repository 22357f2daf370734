"""What the collector's alerts are told, and how they change while it runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import structlog

from dexarb.alerts.alerts import Alerts
from dexarb.apps.pool_watch import PoolWatch
from dexarb.config.alerts import AlertKind
from dexarb.config.collector import load_collector
from dexarb.errors import InputError

_log = structlog.get_logger("data-collector")


def tell_mismatches(alerts: Alerts, pools: PoolWatch) -> None:
    """After a block: pools that are not followed because they are not what we make of them."""
    given_up = pools.given_up
    alerts.holds(
        AlertKind.MISMATCH,
        {
            key: f"pool {key} is left out: {given_up.get(key, 'to be read anew')}"
            for key in pools.left_out
        },
    )


def tell_history_mismatch(alerts: Alerts, pools: int) -> None:
    """The history was not what the chain has: it is set right at once, so that this has no end."""
    text = f"{pools:,} pools of the history were not as on the chain; its state was taken"
    alerts.happened(AlertKind.MISMATCH, text)


def stand(alerts: Alerts, block: int, metrics: Mapping[str, Any]) -> None:
    """For the digest."""
    endpoints = metrics["endpoints"]
    well = sum(each["state"] == "ready" for each in endpoints)
    counts = ", ".join(
        f"{metrics[key]:,} {key}" for key in ("blocks", "reorgs", "breaks", "unproven")
    )
    alerts.facts = [
        f"block {block:,}; since the start {counts}",
        f"{well} of {len(endpoints)} endpoints are well",
    ]


def reload(alerts: Alerts, path: Path) -> None:
    """Take up [alerts] of the file as it is now; all else waits for a restart."""
    try:
        changed = alerts.use(load_collector(path).alerts)
    except InputError as error:
        _log.error("reload.refused", problem=str(error), alerts="unchanged")
    else:
        _log.info("reload.done", alerts="changed" if changed else "unchanged")
