"""What `status` says of the collector, from the metrics in its state file."""

from __future__ import annotations

from typing import Any

import pytest

from dexarb.screens.collector_health import (
    collector_remarks,
    proof_line,
    trading_remarks,
    usage_line,
    usage_of,
)


def test_how_far_blocks_are_proven_and_by_how_many() -> None:
    metrics = {"named_by": {"1": 1_005, "2": 1_003, "3": 1_003}, "unproven": 2, "backfilled": 7}
    assert proof_line(metrics | {"finalized_block": 990}) == (
        "Blocks: proven by 3 endpoints up to 1,003, consistent (1 endpoint) up to 1,005;"
        " 2 unproven; 7 filled in later; final up to 990"
    )


def test_a_single_endpoint_makes_blocks_consistent_and_no_more() -> None:
    assert proof_line({"named_by": {"1": 5}}) == "Blocks: consistent (1 endpoint) up to 5"
    assert proof_line({}) == "Blocks: not known to be proven"


def test_endpoints_and_pools_that_need_somebody_are_named() -> None:
    metrics: dict[str, Any] = {
        "endpoints": [
            {"endpoint": "https://good", "state": "ready", "reason": ""},
            {"endpoint": "https://bad", "state": "wrong chain", "reason": "on chain 1, not 137"},
        ],
        "left_out": ["0xa1", "0xa2", "0xa3", "0xa4"],
    }
    endpoint, pools = collector_remarks(metrics)
    assert endpoint == "Endpoint https://bad: on chain 1, not 137"
    assert "0xa1, 0xa2, 0xa3 and 1 more" in pools
    assert [*collector_remarks({})] == []


@pytest.mark.parametrize(
    ("offset_s", "said"),
    [
        (3_600.4, "is 60 min ahead of the chain's, or all endpoints lag: set it."),
        (-30.2, "is 30 s behind the chain's: set it."),
    ],
)
def test_a_wrong_clock_is_told(offset_s: float, said: str) -> None:
    metrics = {"clock_offset_s": offset_s}
    assert [*collector_remarks(metrics)] == [f"The machine's clock {said}"]
    assert [*trading_remarks(metrics)] == [f"The machine's clock {said}"]
    assert [*collector_remarks({"clock_offset_s": None})] == []


def test_what_was_asked_is_summed_over_the_endpoints() -> None:
    metrics: dict[str, Any] = {
        "endpoints": [
            {
                "today": {"requests": 1_000, "round_trips": 10, "compute_units": 20_000},
                "this_month": {"requests": 5_000, "round_trips": 50, "compute_units": 100_000},
                "budget": {"daily_requests": 4_000, "monthly_compute_units": 1_000_000},
            },
            {
                "today": {"requests": 1, "round_trips": 1, "compute_units": 26},
                "this_month": {"requests": 2, "round_trips": 2, "compute_units": 52},
                "budget": {"daily_requests": None, "monthly_compute_units": None},
            },
        ]
    }
    assert usage_of(metrics) == {
        "requests_today": 1_001,
        "compute_units_today": 20_026,
        "requests_this_month": 5_002,
        "compute_units_this_month": 100_052,
    }
    assert usage_line(metrics) == (
        "Requests, as providers bill them: 1,001 today (20,026 compute units),"
        " 5,002 this month (100,052 compute units); 25 % of a budget used"
    )
    del metrics["endpoints"][0]["budget"]
    assert str(usage_line(metrics)).endswith("this month (100,052 compute units)")


def test_a_collector_that_does_not_count_is_not_said_to_be_free() -> None:
    assert usage_of({}) is None
    assert usage_line({"endpoints": [{"endpoint": "https://old", "state": "ready"}]}) is None
