"""Since when, how much a day, how often, how far down: against their definitions, and by hand."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from pathlib import Path

import pytest

from dexarb.core.block import Block
from dexarb.core.trade import DecisionId, StrategyHash
from dexarb.store.ledger_figures import EpochTimes, sums_by_hour
from dexarb.store.ledger_reader import read_only
from dexarb.store.ledger_rows import BlockRange, StrategyTotals
from dexarb.study.by_hour import read_by_hour
from dexarb.study.performance import Period, drawdowns_of, performance, periods_of
from dexarb.study.totals import as_json, read_totals
from tests.store import books
from tests.support.traded import row_of
from tests.support.worlds.small_chain import settings

ROWS = [row_of(settings(f"Strategy {n}", min_profit_micro_usd=n)) for n in range(3)]
ROWS = [replace(row, ordinal=n) for n, row in enumerate(ROWS)]
ONE, TWO, THREE = (row.hash for row in ROWS)
DAY = 86_400
USD = 1_000_000


def deepest(nets: Sequence[int]) -> int:
    """By the definition: over all pairs of an earlier height and a later depth."""
    profit = [0, *accumulate(nets)]
    return max(high - low for n, high in enumerate(profit) for low in profit[n:])


def test_the_drawdown_is_the_deepest_fall_from_any_height_before_it() -> None:
    rng = random.Random(7)
    for _ in range(200):
        nets = [(rng.choice([ONE, TWO]), rng.randint(-9, 9)) for _ in range(rng.randint(0, 30))]
        found = drawdowns_of(nets)
        for each in (ONE, TWO):
            own = [net for strategy, net in nets if strategy == each]
            assert found.get(each, 0) == deepest(own)


def test_a_first_loss_is_a_drawdown_and_a_gain_is_none() -> None:
    assert drawdowns_of([(ONE, -5), (ONE, 3), (TWO, 4)]) == {ONE: 5, TWO: 0}


def epoch(
    strategy: StrategyHash, seq: int, to: int | None, began: int | None, ended: int | None
) -> EpochTimes:
    return EpochTimes(strategy, seq, to, began, ended)


def test_a_strategy_has_traded_as_long_as_its_epochs_lasted() -> None:
    epochs = [
        epoch(ONE, 1, 9, 100, 200),
        epoch(TWO, 1, None, 100, None),
        epoch(ONE, 20, None, 500, None),
        epoch(THREE, 30, None, None, None),
    ]
    assert periods_of(epochs, 1_000) == {ONE: Period(100, 600), TWO: Period(100, 900)}
    assert periods_of(epochs[:2], None) == {ONE: Period(100, 100), TWO: Period(100, 0)}


ROW = StrategyTotals(
    hash=ONE, name="One", seen=0, sent=10, filled=5, reverted=2, lost=1, expired=2, reorged=0,
    open=0, profit_micro_usd=-7, band_low_micro_usd=0, band_high_micro_usd=0,
    gas_cost_micro_usd=6, unplaced=0, placed_micro_usd=-7, gained=4, gas_filled_micro_usd=3,
    gas_reverted_micro_usd=2, gas_lost_micro_usd=1,
)  # fmt: skip


def test_rates_are_of_what_was_settled_and_of_the_time_it_traded() -> None:
    found = performance(ROW, {ONE: Period(5, 2 * DAY)}, {ONE: 9})
    assert (found.since, found.traded_s) == (5, 2 * DAY)
    assert found.win_rate == 4 / 8
    assert found.per_day_micro_usd == -4  # rounded down
    assert found.drawdown_micro_usd == 9


@pytest.mark.parametrize(("traded_s", "is_told"), [(3_599, False), (3_600, True)])
def test_less_than_an_hour_says_nothing_about_a_day(traded_s: int, is_told: bool) -> None:
    found = performance(replace(ROW, profit_micro_usd=2), {ONE: Period(5, traded_s)}, {})
    assert found.per_day_micro_usd == (48 if is_told else None)


def test_where_a_place_is_not_known_nothing_else_is() -> None:
    found = performance(replace(ROW, unplaced=1), {ONE: Period(5, DAY)}, {ONE: 9})
    assert (found.per_day_micro_usd, found.win_rate, found.drawdown_micro_usd) == (None,) * 3
    assert found.since == 5
    assert as_json(replace(ROW, unplaced=1))["gained"] is None


def test_nothing_sent_has_no_rate_and_no_drawdown() -> None:
    idle = replace(ROW, filled=0, reverted=0, lost=0, gained=0)
    found = performance(idle, {}, {})
    assert (found.since, found.win_rate, found.drawdown_micro_usd) == (None, None, 0)


# -- from a ledger --------------------------------------------------------------------------------


def at(number: int, hour: int) -> Block:
    """Block `number`, on the day `number`, at that hour of the day."""
    return replace(books.block(number), timestamp=number * DAY + 3600 * hour + 59)


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Strategy one from block 1 on; at block 4 two leaves, three comes, and one loses a branch; at
    block 6 three does."""
    path = tmp_path_factory.mktemp("books") / "ledger.sqlite"
    rows = ROWS
    with books.open_ledger(path) as made:
        first = [books.decision(f"a{n}", at(1, 0), strategy=ONE) for n in range(5)]
        dead = books.decision("dead", at(1, 0), strategy=ONE)
        with made.block(1, at(1, 0)) as block:
            block.set_strategies(rows[:2])
            block.add_decisions([*first, dead])
        with made.block(2, at(2, 23)) as block:
            outcomes = [
                ("filled", 5), ("filled", -2), ("reverted", -9), ("lost", -1), ("expired", 0),
            ]  # fmt: skip
            block.add_fills(
                books.fill(each, at(2, 23), net=net, status=status)
                for each, (status, net) in zip(first, outcomes, strict=True)
            )
            block.add_fills([books.fill(dead, at(2, 23), net=1000)])
        later = books.decision("later", at(4, 7), strategy=THREE)
        with made.block(4, at(4, 7)) as block:
            block.mark_reorged([books.fill(dead, at(2, 23), net=1000)])
            block.set_strategies([rows[0], rows[2]])
            block.add_decisions([later, later._replace(id=DecisionId("undone"))])
        with made.block(5, at(5, 23)) as block:
            block.add_fills([books.fill(later, at(5, 23), net=USD)])
            undone = later._replace(id=DecisionId("undone"))
            block.add_fills([books.fill(undone, at(5, 23), net=-USD)])
        with made.block(6, at(6, 0)) as block:
            block.mark_reorged([books.fill(undone, at(5, 23), net=-USD)])
    return path


def test_the_books_say_all_of_it(ledger: Path) -> None:
    totals = read_totals(ledger)
    one, three, two = totals.rows
    assert [row.hash for row in totals.rows] == [ONE, THREE, TWO]
    assert (one.gained, one.filled, one.reverted, one.lost, one.expired) == (1, 2, 1, 1, 1)
    gas = (one.gas_filled_micro_usd, one.gas_reverted_micro_usd, one.gas_lost_micro_usd)
    assert gas == (22, 11, 11)
    found = totals.performance(one)
    assert found.drawdown_micro_usd == 12  # 5, 3, -6, -7: the dead thousand is in none of them
    assert found.win_rate == 1 / 4
    assert (found.since, found.traded_s) == (at(1, 0).timestamp, 4 * DAY + 23 * 3600)
    assert totals.performance(two).traded_s == at(4, 7).timestamp - at(1, 0).timestamp
    assert totals.performance(three).since == at(4, 7).timestamp
    assert totals.since == at(1, 0).timestamp
    told = totals.as_json(one)
    assert told["gas_usd"] == {"filled": 22e-6, "reverted": 11e-6, "lost": 11e-6}
    assert told["drawdown_usd"] == 12e-6


def test_the_newest_time_that_is_known_counts(ledger: Path) -> None:
    (one, *_), now = read_totals(ledger).rows, at(9, 0).timestamp
    assert read_totals(ledger, now).performance(one).traded_s == 8 * DAY


def test_the_last_change_and_what_has_come_of_it(ledger: Path) -> None:
    change = read_totals(ledger).change
    assert change is not None
    assert (change.from_seq, change.block, change.timestamp) == (4, 4, at(4, 7).timestamp)
    assert (change.began, change.ended) == (("Strategy 2",), ("Strategy 1",))
    assert (change.changed, change.revalued) == ((), ())
    assert (change.sent, change.sums.filled, change.sums.net_micro_usd) == (2, 1, USD)


def test_new_parameters_under_a_name_are_a_change_of_it(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    one, two, three = ROWS
    with books.open_ledger(path) as made:
        with made.block(1, at(1, 0)) as block:
            block.set_strategies([one, two])
        assert read_totals(path).change is None
        with made.block(2, at(2, 0)) as block:
            block.set_strategies([one, replace(three, name=two.name)])
    change = read_totals(path).change
    assert change is not None
    assert (change.began, change.ended, change.changed) == ((), (), (two.name,))


def test_hours_are_those_of_the_block_and_of_the_strategies_asked_for(ledger: Path) -> None:
    hours = read_by_hour(ledger, [ONE, THREE])
    assert len(hours) == 24
    assert [hour for hour, sums in enumerate(hours) if sums.settled] == [23]
    assert (hours[23].settled, hours[23].filled, hours[23].gained) == (6, 3, 2)
    assert hours[23].net_micro_usd == USD - 7
    assert read_by_hour(ledger, [ONE])[23].net_micro_usd == -7
    with read_only(ledger) as reader:
        assert sums_by_hour(reader, []) == {}


def test_the_hours_together_are_the_totals(tmp_path: Path) -> None:
    path = tmp_path / "ledger.sqlite"
    with books.open_ledger(path) as made:
        for seq in range(1, 60):
            books.trade(made, seq)
    with read_only(path) as reader:
        rows = reader.totals()
    hours = read_by_hour(path, [row.hash for row in rows])
    assert sum(sums.net_micro_usd for sums in hours) == sum(row.profit_micro_usd for row in rows)
    assert sum(sums.gained for sums in hours) == sum(row.gained for row in rows) > 0
    for row in rows:
        by_outcome = row.gas_filled_micro_usd + row.gas_reverted_micro_usd + row.gas_lost_micro_usd
        assert row.gas_cost_micro_usd == by_outcome + 11 * row.expired


# -- of some time ---------------------------------------------------------------------------------


def test_an_epoch_counts_as_far_as_it_lies_in_the_span() -> None:
    epochs = [epoch(ONE, 1, 9, 100, 200), epoch(ONE, 20, None, 500, None)]
    assert periods_of(epochs, 1_000, (150, 600)) == {ONE: Period(150, 50 + 100)}
    assert periods_of(epochs, 1_000, (300, 400)) == {}
    assert periods_of(epochs, 1_000, (600, 5_000)) == {ONE: Period(600, 400)}
    assert periods_of(epochs, 1_000, (200, 200)) == {ONE: Period(200, 0)}


@pytest.mark.parametrize(
    "blocks",
    [BlockRange(first=4), BlockRange(first_second=4 * DAY), BlockRange(4, 4, 4 * DAY, 5 * DAY)],
)
def test_what_was_decided_in_some_blocks_is_counted_whole(ledger: Path, blocks: BlockRange) -> None:
    totals = read_totals(ledger, None, lambda _: blocks)
    one, three, _ = totals.rows
    assert (three.sent, three.filled, three.open, three.profit_micro_usd) == (2, 1, 1, USD)
    assert (one.sent, one.filled, one.profit_micro_usd, one.gained) == (0, 0, 0, 0)
    assert totals.performance(one).drawdown_micro_usd == 0
    assert totals.as_json(one)["seen"] is None
    assert read_by_hour(ledger, [ONE, THREE], blocks)[23].settled == 1


def test_what_was_decided_before_is_the_rest(ledger: Path) -> None:
    whole = read_totals(ledger)
    before = read_totals(ledger, None, lambda _: BlockRange(last_second=4 * DAY - 1))
    after = read_totals(ledger, None, lambda _: BlockRange(first_second=4 * DAY))
    for all_of_it, one, other in zip(whole.rows, before.rows, after.rows, strict=True):
        for name in ("sent", "filled", "reverted", "lost", "expired", "open", "profit_micro_usd"):
            assert getattr(all_of_it, name) == getattr(one, name) + getattr(other, name)
    assert before.until == 4 * DAY - 1
    assert after.until == whole.until == whole.timestamp
    gone = whole.performance(whole.rows[0]).traded_s - 1
    assert gone == sum(each.performance(each.rows[0]).traded_s for each in (before, after))
