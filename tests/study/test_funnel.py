"""The funnel, and the nearest misses."""

from __future__ import annotations

from dexarb.core.trade import SkipReason
from dexarb.study.funnel import EXPLAINED, Miss, funnel, nearest

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


def test_the_nearest_miss_is_the_smallest_gap() -> None:
    near = Miss(R.PROFIT, 5_000_000, 4_600_000, 812)
    assert (
        nearest([Miss(R.PROFIT, 500_000, 0, 7), near, Miss(R.PROFIT, 900_000, 500_000, 900)])
        == near
    )
    assert nearest([]) is None


def test_every_reason_is_explained() -> None:
    assert EXPLAINED.keys() == set(SkipReason)
