"""The funnel, and which parameter is said to stand in the way."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from dexarb.core.trade import SkipReason
from dexarb.study.funnel import EXPLAINED, PARAMETERS, Miss, funnel, nearest, obstacle

R = SkipReason


def test_stages_come_in_the_order_in_which_reasons_apply_and_leave_what_was_sent() -> None:
    found = funnel({R.POOL_BUSY: 3, R.PAIR: 50, R.PROFIT: 10}, 7, {"filled": 7})
    assert found.offered == 70
    assert [(s.reason, s.before, s.stopped) for s in found.stages] == [
        (R.PAIR, 70, 50),
        (R.PROFIT, 20, 10),
        (R.POOL_BUSY, 10, 3),
    ]
    last = found.stages[-1]
    assert last.before - last.stopped == found.sent == 7
    assert found.in_scope == 20


@pytest.mark.parametrize(
    ("skipped", "sent", "outcomes", "parameter", "stopped", "total"),
    [
        ({R.PAIR: 90, R.PROFIT: 4, R.SPREAD: 2}, 0, {}, "min_profit_usd", 4, 6),
        ({R.PAIR: 90, R.PROFIT: 2, R.SPREAD: 4}, 0, {}, "min_spread_percent", 4, 6),
        ({R.PAIR: 90}, 0, {}, "pairs", 90, 90),
        ({R.PROFIT: 9}, 4, {"filled": 1, "reverted": 2, "lost": 1}, "priority_fee_gwei", 2, 4),
        ({R.PROFIT: 9}, 4, {"filled": 1, "lost": 3}, "competition_rate", 3, 4),
        ({R.PROFIT: 9}, 4, {"expired": 4}, "max_gas_gwei", 4, 4),
        ({R.PROFIT: 9}, 4, {"filled": 3, "reverted": 1}, "min_profit_usd", 9, 13),
        ({R.POOL_BUSY: 8, R.DAILY_TRADES: 1}, 1, {"filled": 1}, "max_daily_trades", 1, 10),
    ],
)
def test_the_parameter_in_the_way(
    skipped: Mapping[R, int],
    sent: int,
    outcomes: Mapping[str, int],
    parameter: str,
    stopped: int,
    total: int,
) -> None:
    found = obstacle(funnel(skipped, sent, outcomes))
    assert found is not None
    assert (found.parameter, found.stopped, found.total) == (parameter, stopped, total)


def test_what_no_parameter_changes_is_no_obstacle() -> None:
    assert obstacle(funnel({}, 0, {})) is None
    assert obstacle(funnel({R.POOL_BUSY: 5, R.NO_PRICE: 2}, 1, {"filled": 1})) is None


def test_the_nearest_miss_is_the_smallest_gap() -> None:
    near = Miss(R.PROFIT, 5_000_000, 4_600_000, 812)
    assert (
        nearest([Miss(R.PROFIT, 500_000, 0, 7), near, Miss(R.PROFIT, 900_000, 500_000, 900)])
        == near
    )
    assert nearest([]) is None


def test_every_reason_is_explained() -> None:
    assert EXPLAINED.keys() == set(SkipReason)
    assert set(SkipReason) - PARAMETERS.keys() == {R.POOL_BUSY, R.NO_PRICE, R.DECLINED}
