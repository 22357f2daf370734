"""What is said of rivals is what they did."""

from __future__ import annotations

from dexarb.study.rivals import Take, rivals


def test_figures_of_each_and_the_greatest_gain_first() -> None:
    takes = [
        Take("fast", "a", 10, 2_000_000, 1_000_000, 1),
        Take("fast", "b", 14, 1_000_000, 900_000, 3),
        Take("fast", "a", 20, 1_000_000, 100_000, 0),
        Take("slow", "c", 12, 500_000, None, None),
        Take(None, None, 13, None, None, 2),
    ]
    fast, slow, unknown = rivals(takes, {"fast": 8, "slow": 1}, {"fast": 2})
    assert (fast.who, fast.senders, fast.takes, fast.gain_micro_usd) == ("fast", 2, 3, 4_000_000)
    assert fast.bid_share == 0.5
    assert (fast.failed_share, fast.blocks_after, fast.same_block) == (0.25, 2.0, 1)
    assert fast.last_block == 20
    assert (slow.bid_share, slow.failed_share, slow.blocks_after) == (None, 0.0, None)
    assert (unknown.who, unknown.failed_share, unknown.blocks_after) == (None, None, 2.0)
