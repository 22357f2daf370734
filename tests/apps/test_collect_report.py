"""What the collector says its work will cost, before it starts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import structlog

from dexarb.apps.collect_report import expected_cost, log_forecast, save_usage, usage_file
from dexarb.chain.endpoints.usage import Usage
from dexarb.chain.rpc import Rpc
from dexarb.config.collector import CollectorConfig, load_collector

CONFIG = Path(__file__).parent.parent.parent / "config"


def config(folder: Path, monkeypatch: pytest.MonkeyPatch, rpc_keys: str = "") -> CollectorConfig:
    """The shipped configuration, with these keys added below [rpc]."""
    monkeypatch.setenv("POLYGON_RPC_URL", "http://127.0.0.1:1/v2/secret-key-of-the-url")
    (folder / "polygon.toml").write_text((CONFIG / "polygon.toml").read_text())
    text = (CONFIG / "collector.toml").read_text()
    text = text.replace('data_dir = "data"', f'data_dir = "{folder}/data"')
    (folder / "collector.toml").write_text(text.replace("timeout_s", f"{rpc_keys}\ntimeout_s"))
    return load_collector(folder / "collector.toml")


def forecast_of(made: CollectorConfig, block_time_s: float) -> Sequence[Any]:
    rpc = Rpc.connect(*made.endpoints)
    with structlog.testing.capture_logs() as said:
        log_forecast(made, rpc, block_time_s)
    return said


def test_a_pushing_endpoint_costs_a_request_a_block_and_little_more() -> None:
    pushed = expected_cost(1.5, 1.0, pushes=True, units={})
    polled = expected_cost(1.5, 0.5, pushes=False, units={})
    assert 57_600 < pushed.requests_per_day < 1.3 * 57_600
    assert polled.requests_per_day > 57_600 + 2 * 86_400
    assert pushed.requests_per_month == pytest.approx(30 * pushed.requests_per_day, abs=30)
    free = {"eth_getBlockReceipts": 0, "eth_getBlockByNumber": 0, "eth_call": 0}
    assert expected_cost(1.5, 0.5, pushes=False, units=free).compute_units_per_month == 0


def test_a_budget_below_the_forecast_is_warned_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = forecast_of(config(tmp_path, monkeypatch, "daily_requests = 60000"), 1.5)
    assert [each["event"] for each in said] == ["forecast", "budget"]
    assert said[0]["requests_per_day"] > 60_000
    assert said[1]["covers"] == f"{6_000_000 / said[0]['requests_per_day']:.0f} %"
    said = forecast_of(config(tmp_path, monkeypatch, "daily_requests = 10000000"), 1.5)
    assert [each["event"] for each in said] == ["forecast"]


def test_what_was_spent_outlives_the_process_and_holds_no_key(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = config(tmp_path, monkeypatch)
    rpc = Rpc.connect(*made.endpoints)
    (name,) = rpc.names
    rpc.usage.count(name, ["eth_getBlockReceipts"] * 3, utc_s=1_700_000_000.0)
    save_usage(made, rpc)
    assert "secret-key" not in usage_file(made).read_text()
    again = Usage()
    again.load(usage_file(made))
    assert again.today(name, 1_700_000_000.0).requests == 3
    assert again.today(name, 1_700_000_000.0 + 86_400).requests == 0


def test_a_file_that_cannot_be_written_is_told_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = config(tmp_path, monkeypatch)
    usage_file(made).parent.parent.mkdir(parents=True, exist_ok=True)
    usage_file(made).parent.write_text("in the way")
    with structlog.testing.capture_logs() as logs:
        save_usage(made, Rpc.connect(*made.endpoints))
    assert [line["event"] for line in logs] == ["usage"]
