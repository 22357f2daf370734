"""Which parameter is said to stand in the way, and when none is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from dexarb.core.trade import OF_A_BOT, Funding, Position, SkipReason
from dexarb.study.funnel import Miss, funnel
from dexarb.study.obstacle import PARAMETERS, UNKNOWN, Costs, nothing_paid, obstacle
from tests.support.worlds.blocks import GWEI
from tests.support.worlds.small_chain import settings

R = SkipReason
NEAR = (Miss(R.PROFIT, needed=1_000_000, best=400_000, block=7),)


@pytest.mark.parametrize(
    ("skipped", "sent", "outcomes", "parameter", "stopped", "total"),
    [
        ({R.PAIR: 90, R.PROFIT: 4, R.SPREAD: 2}, 0, {}, "min_profit_usd", 4, 6),
        ({R.PAIR: 90, R.PROFIT: 2, R.SPREAD: 4}, 0, {}, "min_spread_percent", 4, 6),
        ({R.PAIR: 90}, 0, {}, "pairs", 90, 90),
        ({R.PROFIT: 9}, 12, {"filled": 6, "reverted": 6}, "priority_fee_gwei", 6, 12),
        ({R.PROFIT: 9}, 12, {"filled": 3, "lost": 9}, "competition_rate", 9, 12),
        ({R.PROFIT: 9}, 12, {"expired": 12}, "max_gas_gwei", 12, 12),
        ({R.PROFIT: 9}, 12, {"filled": 7, "reverted": 5}, "min_profit_usd", 9, 21),
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
    found = obstacle(funnel(skipped, sent, outcomes), settings(), NEAR)
    assert found is not None
    assert (found.parameter, found.stopped, found.total) == (parameter, stopped, total)


def test_what_no_parameter_changes_is_no_obstacle() -> None:
    assert obstacle(funnel({}, 0, {}), settings()) is None
    taken = funnel({R.POOL_BUSY: 5, R.NO_PRICE: 2}, 1, {"filled": 1})
    assert obstacle(taken, settings()) is None


def test_every_reason_that_a_parameter_changes_has_one() -> None:
    without = set(SkipReason) - PARAMETERS.keys()
    assert without == {R.NOT_EXECUTABLE, R.POOL_BUSY, R.NO_PRICE, R.DECLINED} | OF_A_BOT


@pytest.mark.parametrize(("sent", "told"), [(9, None), (10, "priority_fee_gwei")])
def test_below_ten_trades_nothing_is_said_of_what_came_of_them(sent: int, told: str | None) -> None:
    found = obstacle(funnel({}, sent, {"reverted": sent}), settings())
    assert (found and found.parameter) == told


@pytest.mark.parametrize(
    ("changes", "outcome", "parameter"),
    [
        ({}, "reverted", "priority_fee_gwei"),
        ({"priority_fee": 30 * GWEI}, "reverted", "priority_fee_gwei"),
        ({"bid_ppm": 100_000}, "reverted", "bid_percent"),
        ({"position": Position.BOTTOM, "bid_ppm": 100_000}, "reverted", "position"),
        ({"position": Position.TOP}, "reverted", "latency_blocks"),
        ({"bid_ppm": 100_000}, "lost", "competition_rate"),
        ({"priority_fee": 49 * GWEI}, "expired", "max_gas_gwei"),
        ({"priority_fee": 50 * GWEI}, "expired", "priority_fee_gwei"),
    ],
)
def test_what_decides_whether_it_fills(
    changes: Mapping[str, Any], outcome: str, parameter: str
) -> None:
    found = obstacle(funnel({}, 20, {outcome: 20}), settings(**changes))
    assert found is not None
    assert (found.what, found.parameter) == (outcome, parameter)


@pytest.mark.parametrize(
    ("changes", "best", "costs", "parameter"),
    [
        # 500 gwei at 0.01 USD each are 5 USD: more than the dollar that is asked for.
        ({"priority_fee": 500 * GWEI}, 400_000, Costs(0.01), "priority_fee_gwei"),
        ({"priority_fee": 500 * GWEI}, 400_000, Costs(0.001), "min_profit_usd"),
        ({"priority_fee": 500 * GWEI}, -400_000, UNKNOWN, "priority_fee_gwei"),
        ({"priority_fee": 500 * GWEI}, 400_000, UNKNOWN, "min_profit_usd"),
        ({}, 400_000, Costs(0.01), "min_profit_usd"),
        # Four fifths of the profit are bid, one is left: 0.40 of 2.00 USD, so the bid was 1.60.
        ({"bid_ppm": 800_000}, 400_000, UNKNOWN, "bid_percent"),
        ({"bid_ppm": 700_000}, 400_000, UNKNOWN, "min_profit_usd"),
        # 0.70 for gas as well: 1.10 of 3.67 USD, the bid was 2.57.
        ({"bid_ppm": 700_000}, 400_000, Costs(0.01, 70 * GWEI), "bid_percent"),
        ({"bid_ppm": 1_000_000}, -10_000, UNKNOWN, "bid_percent"),
        ({"gas_cost_micro_usd": 1_000_001}, 400_000, UNKNOWN, "gas_cost_usd"),
        ({"gas_cost_micro_usd": 999_999, "bid_ppm": 999_999}, 0, Costs(1.0), "min_profit_usd"),
    ],
)
def test_the_profit_that_is_asked_for_is_not_blamed_for_what_the_bid_took(
    changes: Mapping[str, Any], best: int, costs: Costs, parameter: str
) -> None:
    miss = Miss(R.PROFIT, needed=1_000_000, best=best, block=7)
    found = obstacle(funnel({R.PROFIT: 3}, 0, {}), settings(**changes), (miss,), costs)
    assert found is not None
    assert found.parameter == parameter


@pytest.mark.parametrize(
    ("changes", "reason", "parameter"),
    [
        ({"priority_fee": 60 * GWEI}, R.GAS_PRICE, "priority_fee_gwei"),
        ({"priority_fee": 20 * GWEI}, R.GAS_PRICE, "max_gas_gwei"),
        ({}, R.CAPITAL, "capital_usd"),
        ({"funding": Funding.FLASH}, R.CAPITAL, "gas_balance_usd"),
        ({}, R.HOPS, "max_hops"),
        ({"dexes": ("QuickSwap",)}, R.HOPS, "dexes"),
        ({"dexes": ("QuickSwap",), "max_hops": 2}, R.HOPS, "max_hops"),
    ],
)
def test_of_two_parameters_behind_a_reason_the_one_that_was_set(
    changes: Mapping[str, Any], reason: R, parameter: str
) -> None:
    found = obstacle(funnel({reason: 3}, 0, {}), settings(**changes))
    assert found is not None
    assert found.parameter == parameter


def test_what_does_not_pay_for_the_cheapest_gas_is_nobodys_fault() -> None:
    """No miss is kept of dust: no minimum, not even none, makes a trade of it."""
    dust = funnel({R.PROFIT: 40, R.PAIR: 2}, 0, {})
    assert nothing_paid(dust, settings(), ())
    assert obstacle(dust, settings()) is None
    assert not nothing_paid(dust, settings(), NEAR)
    own_gas = settings(gas_cost_micro_usd=0)
    found = obstacle(dust, own_gas)
    assert found is not None
    assert found.parameter == "min_profit_usd"
