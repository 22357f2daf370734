"""What disarms a bot by itself: limits of a day, reverts in a row, model errors."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from dexarb.core.block import BlockRef
from dexarb.core.sending import Difference, Outcome, TransactionHash, Twin
from dexarb.core.trade import Fill, FillStatus
from dexarb.core.units import SECONDS_PER_DAY
from dexarb.ends.live.watchdog import ModelErrors, Watchdog
from tests.ends.live_world import LiveWorld
from tests.support.worlds.small_chain import CHEAP, DEAR, USDC, WETH


@dataclass(frozen=True)
class Limits:
    daily_loss_micro_usd: int = 1_000
    daily_gas_micro_usd: int = 500
    reverts_in_a_row: int = 3
    open_micro_usd: int = 10**12


def fill(net: int, gas: int = 0, status: FillStatus = FillStatus.FILLED, day: int = 0) -> Fill:
    step, decision = LiveWorld().open_spread()
    block = replace(step.block, timestamp=day * SECONDS_PER_DAY + 1)
    return Fill(decision, block, 0, status, 0, 0, 1, 1, gas, net, (net, net))


@pytest.mark.parametrize(
    ("fills", "reached"),
    [
        ([fill(-999)], None),
        ([fill(-600), fill(-400)], "daily_loss_usd"),
        ([fill(-600), fill(500), fill(-400)], None),
        ([fill(5, 499)], None),
        ([fill(5, 300), fill(5, 200)], "daily_gas_usd"),
        ([fill(0, 0, FillStatus.REVERTED)] * 2, None),
        ([fill(0, 0, FillStatus.REVERTED)] * 3, "max_reverts_in_a_row"),
        ([fill(0, 0, FillStatus.REVERTED)] * 2 + [fill(1)], None),
        ([fill(0, 0, FillStatus.REVERTED)] * 2 + [fill(0, 0, FillStatus.EXPIRED)], None),
    ],
)
def test_limits_of_a_day(fills: list[Fill], reached: str | None) -> None:
    dog = Watchdog(Limits())
    dog.take(fills)
    found = dog.reached(1, ())
    assert (found and found.partition(":")[0]) == reached


def test_yesterday_does_not_count_and_what_is_undone_never_was() -> None:
    dog = Watchdog(Limits())
    lost = fill(-5_000)
    dog.take([lost])
    assert dog.reached(SECONDS_PER_DAY + 1, ()) is None
    assert dog.reached(1, ()) is not None
    dog.take([], [lost])
    assert dog.reached(1, ()) is None


def test_what_is_under_way_is_bounded() -> None:
    _, decision = LiveWorld().open_spread()
    dog = Watchdog(Limits(open_micro_usd=decision.capital_micro_usd))
    assert dog.reached(1, [decision]) is None
    assert "max_open_usd" in (dog.reached(1, [decision, decision]) or "")


def twin(difference: Difference = Difference.MODEL) -> Twin:
    step, decision = LiveWorld().open_spread()
    outcome = Outcome(FillStatus.REVERTED, 0, 1, 0)
    here = BlockRef(step.block.number, step.block.hash)
    return Twin(decision, TransactionHash("0x"), here, 0, outcome, outcome, difference)


def test_a_model_error_names_pools_and_tokens_but_no_start_token() -> None:
    errors = ModelErrors([USDC])
    assert errors.take(twin(Difference.GAS)) == ((), False)
    avoided, is_second = errors.take(twin())
    assert set(avoided) == {CHEAP, DEAR, WETH}
    assert not is_second
    assert not errors.take(twin())[1]  # the same token again: an accident of it


def test_the_second_of_other_tokens_within_a_day_disarms() -> None:
    errors = ModelErrors([USDC, WETH])  # nothing is left in common
    assert not errors.take(twin())[1]
    assert errors.take(twin())[1]
