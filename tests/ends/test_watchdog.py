"""What disarms a bot by itself: limits of a day, reverts in a row, model errors."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest

from dexarb.core.block import BlockRef
from dexarb.core.sending import Difference, Outcome, TransactionHash, Twin
from dexarb.core.trade import Fill, FillStatus
from dexarb.core.units import SECONDS_PER_DAY
from dexarb.ends.live.watchdog import ModelErrors, Spent, Watchdog
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
    dog.take(1, fills)
    found = dog.reached(1, ())
    assert (found and found.partition(":")[0]) == reached


def test_yesterday_does_not_count_and_what_is_undone_never_was() -> None:
    dog = Watchdog(Limits())
    lost = fill(-5_000)
    dog.take(1, [lost])
    assert dog.reached(SECONDS_PER_DAY + 1, ()) is None
    assert dog.reached(1, ()) is not None
    dog.take(2, [], [lost])
    assert dog.reached(1, ()) is None


def test_a_row_of_reverts_goes_over_midnight_and_restarts_but_not_over_who_armed_it() -> None:
    reverted = [fill(-1, 1, FillStatus.REVERTED, day=day) for day in (0, 0, 1, 1)]
    known = list(enumerate([fill(5), *reverted[:3]], start=10))
    dog = Watchdog(Limits(), known)
    dog.take(14, reverted[3:])
    now = SECONDS_PER_DAY + 1
    assert dog.spent(now) == Spent(1, net=-2, gas=2, reverts=4)
    assert "4 reverts" in (dog.reached(now, ()) or "")
    assert dog.reached(now, (), armed_from=13) is None
    assert dog.spent(now, armed_from=13) == Spent(1, net=-2, gas=2, reverts=2)


def test_what_is_under_way_is_bounded() -> None:
    _, decision = LiveWorld().open_spread()
    dog = Watchdog(Limits(open_micro_usd=decision.capital_micro_usd))
    assert dog.reached(1, [decision]) is None
    assert "max_open_usd" in (dog.reached(1, [decision, decision]) or "")


def twin(
    difference: Difference = Difference.MODEL,
    *,
    status: FillStatus = FillStatus.REVERTED,
    more: int = 0,
    later_s: int = 0,
) -> Twin:
    """more: than went in, of the start token."""
    step, decision = LiveWorld().open_spread()
    block = replace(decision.block, timestamp=decision.block.timestamp + later_s)
    decision = decision._replace(block=block)
    outcome = Outcome(status, decision.amount_in + more, 1, 0)
    here = BlockRef(step.block.number, step.block.hash)
    return Twin(decision, TransactionHash("0x"), here, 0, outcome, outcome, difference)


KINDS = [Difference.MODEL, Difference.GAS]


@pytest.mark.parametrize("kind", KINDS)
def test_what_came_to_something_else_is_avoided_but_no_start_token(kind: Difference) -> None:
    errors = ModelErrors([USDC])
    assert errors.take(twin(Difference.UNKNOWN)) is None
    found = errors.take(twin(kind))
    assert found is not None
    assert set(found.avoid) == {CHEAP, DEAR, WETH}
    assert found.disarm is None
    again = errors.take(twin(kind))  # the same token again: an accident of it
    assert again is not None
    assert again.disarm is None


@pytest.mark.parametrize("kind", KINDS)
def test_the_second_of_a_kind_and_of_other_tokens_within_a_day_disarms(kind: Difference) -> None:
    others = [each for each in KINDS if each is not kind]
    known = [twin(each) for each in others]
    errors = ModelErrors([USDC, WETH], known)  # nothing is left in common
    first, second, third = (
        errors.take(twin(kind)),
        errors.take(twin(kind, later_s=SECONDS_PER_DAY)),
        errors.take(twin(kind, later_s=2 * SECONDS_PER_DAY - 1)),
    )
    assert first is not None
    assert second is not None
    assert third is not None
    assert (first.disarm, second.disarm) == (None, None)
    assert third.disarm is not None


def test_a_run_that_lost_disarms_at_once() -> None:
    filled = FillStatus.FILLED
    assert ModelErrors([]).take(twin(Difference.NONE, status=filled)) is None
    found = ModelErrors([]).take(twin(Difference.NONE, status=filled, more=-1))
    assert found is not None
    assert "lost 1 of its start token" in (found.disarm or "")
