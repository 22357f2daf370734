"""What is said of an outage, and how fast a chain is held to be."""

from __future__ import annotations

import structlog

from dexarb.chain.feed.outage import LOGGED_AFTER, Outage
from dexarb.chain.feed.pace import Pace
from dexarb.errors import TransportError


def test_an_outage_is_told_once_and_once_when_it_is_over() -> None:
    now = 1_700_000_000.0
    outage = Outage("blocks", now=lambda: now)
    with structlog.testing.capture_logs() as said:
        outage.over()
        for _ in range(50):
            outage.failed(TransportError("http://node", "no answer"))
            now += 2
        outage.over()
        outage.over()
    assert [each["event"] for each in said] == ["feed.trouble", "feed.over"]
    assert said[0]["down_since"] == "2023-11-14T22:13:20+00:00"
    assert said[0]["remedy"]
    assert said[1]["lasted_s"] == 100


def test_what_mends_itself_at_once_is_not_worth_a_word() -> None:
    outage = Outage("blocks")
    with structlog.testing.capture_logs() as said:
        for _ in range(5):
            for _ in range(LOGGED_AFTER - 1):
                outage.failed(TransportError("http://node", "no answer"))
            outage.over()
    assert said == []


def test_the_block_time_is_measured_over_skipped_and_repeated_heads() -> None:
    pace = Pace()
    assert pace.block_time_s is None
    assert pace.still_s(1.0, 15.0) == 5.0
    assert pace.still_s(1.0, 2.0) == 2.0
    for number in (100, 101, 101, 104, 105):
        pace.note(number, 1_000 + 2 * number)
    assert pace.block_time_s == 2.0
    assert pace.still_s(1.0, 15.0) == 8.0
    assert pace.still_s(10.0, 15.0) == 10.0
    pace.note(103, 1)  # another branch
    assert pace.block_time_s is None
