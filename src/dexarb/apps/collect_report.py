"""What the collector says of itself: in the state file, in the log, and before it starts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import structlog

from dexarb.apps.clock_watch import ClockWatch
from dexarb.apps.latency import Latency
from dexarb.apps.pool_watch import PoolWatch
from dexarb.apps.recorder import Recorder
from dexarb.apps.self_check import REQUESTS_A_BLOCK, SelfCheck
from dexarb.chain.endpoints.usage import PUSHED, Forecast, forecast
from dexarb.chain.feed.feed import BlockFeed
from dexarb.chain.feed.heads import PROBE_S
from dexarb.chain.rpc import Rpc
from dexarb.config.collector import CollectorConfig
from dexarb.config.unpriced import consequence
from dexarb.errors import StoreError
from dexarb.store.files import disk_errors, replace_file
from dexarb.study.blockspace import BLOCKSPACE, Blockspace

_log = structlog.get_logger("data-collector")


def usage_file(config: CollectorConfig) -> Path:
    """Where the counts of requests outlive the process."""
    return config.settings.data_dir / "rpc_usage.json"


def save_usage(config: CollectorConfig, rpc: Rpc) -> None:
    path = usage_file(config)
    try:
        with disk_errors(path, "cannot be written"):
            path.parent.mkdir(parents=True, exist_ok=True)
        replace_file(path, rpc.usage.as_json(), durable=False)
    except StoreError as error:
        _log.error("usage", problem=str(error))


def log_forecast(config: CollectorConfig, rpc: Rpc, block_time_s: float) -> None:
    """What a month of this will cost, while something can still be changed about it."""
    poll_s = config.settings.poll_interval_ms / 1000
    expected = expected_cost(
        block_time_s,
        poll_s,
        pushes=rpc.can_subscribe,
        units=config.compute_units,
        keep_calls=config.settings.keep_calls,
    )
    _log.info("forecast", block_time_s=round(block_time_s, 2), **asdict(expected))
    for name, budget in zip(rpc.names, config.budgets, strict=True):
        for limit, needed, period in (
            (budget.daily_requests, expected.requests_per_day, "requests a day"),
            (budget.monthly_compute_units, expected.compute_units_per_month, "units a month"),
        ):
            if limit is not None and limit < needed:
                share = f"{100 * limit / needed:.0f} %"
                _log.warning("budget", endpoint=name, covers=share, needed=f"{needed:,} {period}")


def expected_cost(
    block_time_s: float,
    poll_s: float,
    *,
    pushes: bool,
    units: Mapping[str, int],
    keep_calls: bool = False,
) -> Forecast:
    """Of one endpoint that does all the work."""
    calls: dict[str, float] = {"eth_getBlockReceipts": 1.0, "eth_call": REQUESTS_A_BLOCK}
    calls["eth_getBlockByNumber"] = block_time_s / (PROBE_S if pushes else poll_s)
    if keep_calls:
        calls["eth_getBlockByHash"] = 1.0
    if pushes:
        calls[PUSHED] = 1.0
    return forecast(calls, block_time_s, compute_units=units)


def metrics(
    recorder: Recorder,
    feed: BlockFeed | None,
    check: SelfCheck,
    pools: PoolWatch,
    rpc: Rpc,
    latency: Latency,
    clock: ClockWatch,
    blockspace: Blockspace,
) -> dict[str, Any]:
    """named_by: by number of endpoints, the newest of our blocks that so many have named.
    finalized_block: as the chain says, None where it does not. clock_offset_s: as in ClockWatch."""
    finalized = feed.listener.finalized if feed else None
    return {
        "blocks": recorder.blocks,
        "reorgs": recorder.reorgs,
        "breaks": recorder.breaks,
        "unproven": recorder.unproven,
        "backfilled": recorder.backfilled,
        "named_by": _named_by(feed, len(rpc.names)) if feed else {},
        "finalized_block": finalized.number if finalized else None,
        "self_check": asdict(check.counts),
        "left_out": pools.left_out,
        "unpriced": _unpriced(recorder),
        "rpc_requests_per_block": round(feed.stats.requests_per_block, 3) if feed else 0.0,
        "block_to_state_ms": latency.quantiles(),
        "clock_offset_s": clock.offset_s,
        BLOCKSPACE: _blockspace(recorder, blockspace),
        "endpoints": [asdict(report) for report in rpc.endpoints],
    }


def _blockspace(recorder: Recorder, blockspace: Blockspace) -> dict[str, Any]:
    """default_bid: wei per gas as a decimal string, None before there is a market."""
    market = recorder.market
    bid = str(market.profile.default_priority_fee) if market is not None else None
    return {**blockspace.as_json(), "default_bid": bid}


def _unpriced(recorder: Recorder) -> dict[str, str]:
    """By the name of a token, what cannot be traded because nothing says what it is worth."""
    if recorder.market is None:
        return {}
    profile = recorder.market.profile
    return {name: consequence(name, profile.native_name) for name in profile.unpriced}


def _named_by(feed: BlockFeed, endpoints: int) -> dict[str, int]:
    agreed = {count: feed.agreed(count) for count in range(1, endpoints + 1)}
    return {str(count): block.number for count, block in agreed.items() if block is not None}
