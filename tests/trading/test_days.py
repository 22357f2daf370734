"""UTC days and losses, in dates and sums that are written out here and taken from nowhere."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from dexarb.core.block import Block
from dexarb.core.ledger import Ledger
from dexarb.core.trade import Decision
from dexarb.trading.decide.limits import Counted, stopped_by
from tests.store import books
from tests.support.worlds.small_chain import (
    CHEAP,
    SmallChain,
    keyframe,
    settings,
    threshold_engine,
    weth_pool,
)

NOON = datetime(2026, 2, 28, 12, 0, 0, tzinfo=UTC)
LAST_SECOND = datetime(2026, 2, 28, 23, 59, 59, tzinfo=UTC)
MIDNIGHT = datetime(2026, 3, 1, 0, 0, 0, tzinfo=UTC)
STRATEGY = books.STRATEGIES[0].hash


def at(when: datetime, number: int) -> Block:
    return replace(books.block(number), timestamp=int(when.timestamp()))


@pytest.mark.parametrize(("when", "is_new_day"), [(LAST_SECOND, False), (MIDNIGHT, True)])
def test_daily_trades_begin_anew_at_midnight_and_not_a_second_before(
    when: datetime, is_new_day: bool
) -> None:
    once = settings(max_daily_trades=1)
    first, chain = keyframe(), SmallChain(keyframe())
    made = threshold_engine(first, once)
    decided = []
    for time, price in ((NOON, 2_450), (NOON, 2_500), (when, 2_450)):
        update = chain.mine(weth_pool(CHEAP, price))
        block = replace(update.block, timestamp=int(time.timestamp()))
        decided.append(len(made.step(replace(update, block=block)).decisions))
    assert decided == [1, 0, int(is_new_day)]


def ledger_of_day(decided: datetime, settled: datetime, net: int) -> tuple[Ledger, Decision]:
    """A trade decided at one time and settled at another."""
    ledger = Ledger()
    ledger.open_rows([STRATEGY])
    one, other = at(decided, 1), at(settled, 2)
    ledger.start_block(one.hash)
    ledger.start_day(one.timestamp)
    decision = books.decision("d", one)
    ledger.send([decision])
    ledger.start_block(other.hash)
    ledger.settle([books.fill(decision, other, net=net)])
    ledger.start_day(other.timestamp)
    return ledger, decision


def of_the_day(ledger: Ledger) -> tuple[int, int]:
    return tuple(ledger.value(STRATEGY, name) for name in ("day_trades", "day_net_micro_usd"))  # type: ignore[return-value]


def test_a_trade_belongs_to_the_day_it_was_decided_on() -> None:
    ledger, _ = ledger_of_day(LAST_SECOND, MIDNIGHT, net=-7)
    assert ledger.value(STRATEGY, "day") == 20_513
    assert of_the_day(ledger) == (0, 0)
    # The block of midnight dies, and the day before comes back.
    ledger.start_day(int(LAST_SECOND.timestamp()))
    assert ledger.value(STRATEGY, "day") == 20_512
    assert of_the_day(ledger) == (1, -7)


def test_both_seconds_of_a_day_count_together() -> None:
    ledger, _ = ledger_of_day(NOON, LAST_SECOND, net=-7)
    assert of_the_day(ledger) == (1, -7)


@pytest.mark.parametrize(
    ("status", "net", "losses"),
    [
        ("filled", -1, 1),
        ("filled", 0, 0),
        ("filled", 1, 0),
        ("reverted", 0, 1),
        ("lost", 0, 1),
        ("expired", 0, 0),
    ],
)
def test_what_is_a_loss(status: str, net: int, losses: int) -> None:
    ledger = Ledger()
    ledger.open_rows([STRATEGY])
    ledger.start_block(books.block(1).hash)
    decision = books.decision("d", books.block(1))
    ledger.send([decision])
    ledger.settle([books.fill(decision, books.block(9), net=net, status=status)])
    names = ("consecutive_losses", "last_loss_block")
    assert [ledger.value(STRATEGY, name) for name in names] == [losses, 9 * losses]


@pytest.mark.parametrize(
    ("then", "losses"), [("filled", 0), ("expired", 1), ("reverted", 2), ("lost", 2)]
)
def test_a_gain_ends_losses_in_a_row_and_what_never_was_included_does_not(
    then: str, losses: int
) -> None:
    ledger = Ledger()
    ledger.open_rows([STRATEGY])
    for number, (status, net) in enumerate((("filled", -1), (then, 0)), start=1):
        ledger.start_block(books.block(number).hash)
        decision = books.decision(f"d{number}", books.block(number))
        ledger.send([decision])
        ledger.settle([books.fill(decision, books.block(number + 1), net=net, status=status)])
    assert ledger.value(STRATEGY, "consecutive_losses") == losses


@pytest.mark.parametrize(
    ("counted", "block", "reason"),
    [
        (Counted(trades=2, net=-499, losses_in_a_row=2, last_loss_block=100), 105, None),
        (Counted(3, -499, 2, 100), 105, "daily_trades"),
        (Counted(2, -500, 2, 100), 105, "daily_loss"),
        (Counted(2, -499, 3, 100), 109, "consecutive_losses"),
        (Counted(2, -499, 3, 100), 110, None),  # it has cooled down
        (Counted(3, -500, 3, 100), 109, "daily_trades"),  # the first in this order
    ],
)
def test_a_limit_stops_at_its_figure_and_not_before(
    counted: Counted[int], block: int, reason: str | None
) -> None:
    limited = settings(
        max_daily_trades=3,
        daily_loss_limit_micro_usd=500,
        max_consecutive_losses=3,
        cooldown_blocks=10,
    )
    assert stopped_by(limited, counted, block) == reason


@pytest.mark.parametrize(
    ("cooldown", "block", "stops"), [(1, 100, True), (1, 101, False), (2, 101, True)]
)
def test_the_shortest_cooldown_is_the_block_of_the_loss(
    cooldown: int, block: int, stops: bool
) -> None:
    limited = settings(max_consecutive_losses=1, cooldown_blocks=cooldown)
    assert (stopped_by(limited, Counted(0, 0, 1, 100), block) is not None) is stops


def test_without_a_cooldown_losses_in_a_row_stop_for_good() -> None:
    limited = settings(max_consecutive_losses=1)
    assert stopped_by(limited, Counted(0, 0, 1, 100), 10**9) == "consecutive_losses"
    assert stopped_by(settings(), Counted(10**9, -(10**15), 10**9, 100), 101) is None
