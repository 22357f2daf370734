"""What is counted, when a day and a month end, what is kept over restarts, and the forecast."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from dexarb.chain.endpoints.usage import PUSHED, Budget, Forecast, Spent, Usage, forecast

A, B = "https://a", "https://b"


def at(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def test_calls_are_counted_by_endpoint_day_and_month_in_utc() -> None:
    usage = Usage()
    usage.count(A, ["eth_getLogs", "eth_getBlockByHash"], at("2026-11-29 23:59:59"))
    usage.count(A, ["eth_blockNumber"], at("2026-11-30 00:00:00"))
    usage.count(B, ["eth_unheardOf"], at("2026-11-30 00:00:00"))
    assert usage.today(A, at("2026-11-30 12:00")) == Spent(1, 1, 10)
    assert usage.this_month(A, at("2026-11-30 12:00")) == Spent(3, 2, 90)
    assert usage.this_month(B, at("2026-11-30 12:00")) == Spent(1, 1, 20)
    assert usage.today(A, at("2026-12-01 00:00")) == Spent()
    assert usage.this_month(A, at("2026-12-01 00:00")) == Spent()


def test_a_pushed_head_costs_units_but_is_no_request() -> None:
    usage = Usage()
    usage.count_push(A, at("2026-11-30"))
    assert usage.today(A, at("2026-11-30")) == Spent(0, 0, 40)


def test_units_can_be_set() -> None:
    usage = Usage({"eth_getLogs": 75})
    usage.count(A, ["eth_getLogs", "eth_call"], at("2026-11-30"))
    assert usage.today(A, at("2026-11-30")).compute_units == 75 + 26


def test_a_month_that_is_used_up_ends_with_the_month_in_december_too() -> None:
    usage = Usage()
    usage.count(A, ["eth_call"], at("2026-12-30 18:00"))
    rest = usage.rest(A, Budget(monthly_compute_units=26), at("2026-12-30 18:00"))
    assert rest is not None
    assert rest[0] == 30 * 3600
    assert usage.rest(A, Budget(monthly_compute_units=27), at("2026-12-30 18:00")) is None
    assert usage.rest(A, Budget(), at("2026-12-30 18:00")) is None


def test_counts_are_kept_over_restarts(tmp_path: Path) -> None:
    path = tmp_path / "usage.json"
    usage = Usage()
    usage.count(A, ["eth_call"], at("2026-11-30"))
    path.write_bytes(usage.as_json())
    again = Usage()
    again.load(path)
    again.count(A, ["eth_call"], at("2026-11-30"))
    assert again.today(A, at("2026-11-30")) == Spent(2, 2, 52)


@pytest.mark.parametrize("damage", [b"", b"{", b"[]", b'{"a": 3}', b"\xff", None])
def test_a_damaged_file_counts_as_nothing_spent(tmp_path: Path, damage: bytes | None) -> None:
    path = tmp_path / "usage.json"
    if damage is not None:
        path.write_bytes(damage)
    usage = Usage()
    usage.load(path)
    assert usage.today(A, at("2026-11-30")) == Spent()


def test_the_forecast_of_a_chain_with_a_block_every_two_seconds() -> None:
    calls = {"eth_getBlockByHash": 0.5, "eth_getBlockReceipts": 1.0, PUSHED: 1.0}
    assert forecast(calls, 2.0) == Forecast(
        requests_per_day=64_800,
        requests_per_month=64_800 * 30,
        compute_units_per_day=43_200 * (10 + 20 + 40),
        compute_units_per_month=43_200 * 70 * 30,
    )
    assert forecast(calls, 2.0, compute_units={PUSHED: 0}).compute_units_per_day == 43_200 * 30
