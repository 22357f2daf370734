"""What the endpoints have been asked, by UTC day and month, and what that costs.

Providers bill JSON-RPC calls or compute units, and a batch of ten is ten calls. The units are
Alchemy's, read in 2026 at https://www.alchemy.com/docs/reference/compute-unit-costs; other
providers' can be set in the configuration.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

DEFAULT_COMPUTE_UNITS = 20
COMPUTE_UNITS: Mapping[str, int] = {
    "eth_chainId": 0,
    "eth_syncing": 0,
    "net_version": 0,
    "eth_accounts": 10,
    "eth_blockNumber": 10,
    "eth_feeHistory": 10,
    "eth_maxPriorityFeePerGas": 10,
    "eth_subscribe": 10,
    "eth_unsubscribe": 10,
    "eth_call": 26,
    "eth_estimateGas": 20,
    "eth_getBalance": 20,
    "eth_getBlockByHash": 20,
    "eth_getBlockByNumber": 20,
    "eth_getBlockReceipts": 20,
    "eth_getCode": 20,
    "eth_getLogs": 60,
    "eth_getStorageAt": 20,
    "eth_getTransactionReceipt": 20,
    "eth_sendRawTransaction": 40,
}
"""By method; any other counts as DEFAULT_COMPUTE_UNITS."""
PUSHED = "pushed head"
"""Counted as a call for its units: 0.04 a byte, 40 a head."""
_PUSHED_UNITS = 40
_DAYS_A_MONTH = 30
_MAX_FILE_BYTES = 2**20


class Spent(msgspec.Struct):
    """requests: JSON-RPC calls, which providers bill. round_trips: answers that were waited for."""

    requests: int = 0
    round_trips: int = 0
    compute_units: int = 0

    def add(self, other: Spent) -> None:
        self.requests += other.requests
        self.round_trips += other.round_trips
        self.compute_units += other.compute_units


class _Periods(msgspec.Struct):
    """Of one endpoint: the day and the month that were counted last."""

    day: str = ""
    today: Spent = msgspec.field(default_factory=Spent)
    month: str = ""
    this_month: Spent = msgspec.field(default_factory=Spent)


@dataclass(frozen=True, slots=True)
class Budget:
    """What an endpoint may be asked; None: without end."""

    daily_requests: int | None = None
    monthly_compute_units: int | None = None


class Usage:
    """Counts by endpoint. Times are seconds since 1970 (UTC)."""

    def __init__(self, compute_units: Mapping[str, int] | None = None) -> None:
        self._units = {**COMPUTE_UNITS, PUSHED: _PUSHED_UNITS, **(compute_units or {})}
        self._counts: dict[str, _Periods] = {}

    def count(self, endpoint: str, methods: Iterable[str], utc_s: float) -> None:
        """One round trip with these calls."""
        units = [self._units.get(method, DEFAULT_COMPUTE_UNITS) for method in methods]
        spent = Spent(len(units), 1, sum(units))
        periods = self._periods(endpoint, utc_s)
        periods.today.add(spent)
        periods.this_month.add(spent)

    def count_push(self, endpoint: str, utc_s: float) -> None:
        """One head that the endpoint pushed: no request, but providers bill its bytes."""
        periods = self._periods(endpoint, utc_s)
        spent = Spent(compute_units=self._units[PUSHED])
        periods.today.add(spent)
        periods.this_month.add(spent)

    def today(self, endpoint: str, utc_s: float) -> Spent:
        return self._periods(endpoint, utc_s).today

    def this_month(self, endpoint: str, utc_s: float) -> Spent:
        return self._periods(endpoint, utc_s).this_month

    def rest(self, endpoint: str, budget: Budget, utc_s: float) -> tuple[float, str] | None:
        """Seconds until the budget begins anew, and why; None while something is left of it."""
        now = datetime.fromtimestamp(utc_s, UTC)
        units, requests = budget.monthly_compute_units, budget.daily_requests
        if units is not None and self.this_month(endpoint, utc_s).compute_units >= units:
            first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
            ends = (first + timedelta(days=32)).replace(day=1)
            return (ends - now).total_seconds(), f"budget of {units:,} compute units a month"
        if requests is not None and self.today(endpoint, utc_s).requests >= requests:
            midnight = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
            return (midnight - now).total_seconds(), f"budget of {requests:,} requests a day"
        return None

    def _periods(self, endpoint: str, utc_s: float) -> _Periods:
        now = datetime.fromtimestamp(utc_s, UTC)
        day, month = now.strftime("%Y-%m-%d"), now.strftime("%Y-%m")
        periods = self._counts.setdefault(endpoint, _Periods())
        if periods.day != day:
            periods.day, periods.today = day, Spent()
        if periods.month != month:
            periods.month, periods.this_month = month, Spent()
        return periods

    # -- over restarts ------------------------------------------------------------------------

    def load(self, path: Path) -> None:
        """Go on with what a file says; what cannot be read counts as nothing spent."""
        with contextlib.suppress(OSError):
            if path.stat().st_size <= _MAX_FILE_BYTES:
                self.take_up(path.read_bytes())

    def take_up(self, counts: bytes) -> None:
        """As `as_json` gave them; what cannot be read counts as nothing spent."""
        with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
            self._counts = msgspec.json.decode(counts, type=dict[str, _Periods])

    def as_json(self) -> bytes:
        """For a file or a note. Endpoints are named by scheme and host alone."""
        return msgspec.json.format(msgspec.json.encode(self._counts))


@dataclass(frozen=True, slots=True)
class Forecast:
    """A month has 30 days."""

    requests_per_day: int
    requests_per_month: int
    compute_units_per_day: int
    compute_units_per_month: int


def forecast(
    calls_per_block: Mapping[str, float],
    block_time_s: float,
    *,
    compute_units: Mapping[str, int] | None = None,
) -> Forecast:
    """What following the chain will cost. calls_per_block: by method; PUSHED may be among them."""
    units = {**COMPUTE_UNITS, PUSHED: _PUSHED_UNITS, **(compute_units or {})}
    blocks = 86_400 / block_time_s
    requests = sum(calls for method, calls in calls_per_block.items() if method != PUSHED)
    cost = sum(
        calls * units.get(method, DEFAULT_COMPUTE_UNITS)
        for method, calls in calls_per_block.items()
    )
    return Forecast(
        round(blocks * requests),
        round(blocks * requests * _DAYS_A_MONTH),
        round(blocks * cost),
        round(blocks * cost * _DAYS_A_MONTH),
    )
