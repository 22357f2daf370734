"""The books: one transaction a block, reorganisations, epochs, counters."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from dexarb.core.block import NO_ENTRY
from dexarb.core.trade import SkipCount, SkipReason, StrategyHash
from dexarb.errors import StoreError
from dexarb.store.ledger_db import LedgerDb
from dexarb.store.ledger_notes import (
    FIRST_SEQ,
    METRICS,
    RELOAD,
    STATE_AGES,
    TRADER,
    Note,
)
from dexarb.store.ledger_rows import DecisionState, Epoch, RealityRow, StrategyTotals
from tests.store.books import STRATEGIES, block, decision, fill, open_ledger
from tests.support.worlds import arrivals

ONE, TWO, THREE = (strategy.hash for strategy in STRATEGIES)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[LedgerDb]:
    with open_ledger(tmp_path / "ledger.db") as opened:
        yield opened


# -- one transaction a block ----------------------------------------------------------------------


def test_a_new_ledger_is_at_no_entry(ledger: LedgerDb) -> None:
    assert (ledger.seq, ledger.last_block, ledger.chain_id) == (NO_ENTRY, None, arrivals.CHAIN_ID)
    assert ledger.history == Path("data/history/137")


def test_a_block_without_trades_moves_the_ledger_on(ledger: LedgerDb) -> None:
    with ledger.block(9, block(5)):
        pass
    assert (ledger.seq, ledger.last_block) == (9, (5, block(5).hash))


def test_a_block_that_raises_leaves_nothing(ledger: LedgerDb) -> None:
    def write_half() -> None:
        with ledger.block(1, block(1)) as entry:
            entry.set_strategies(STRATEGIES)
            entry.add_decisions([decision("a", block(1))])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_half()
    assert (ledger.seq, ledger.open_decisions(), ledger.strategies()) == (NO_ENTRY, [], [])
    with ledger.block(1, block(1)) as entry:
        entry.add_decisions([decision("a", block(1))])
    assert ledger.seq == 1


@pytest.mark.parametrize("seq", [1, 3])
def test_no_entry_is_added_twice(ledger: LedgerDb, seq: int) -> None:
    with ledger.block(3, block(1)):
        pass
    with (
        pytest.raises(StoreError, match=f"includes entry 3, so entry {seq}"),
        ledger.block(seq, block(2)),
    ):
        pytest.fail("the block was opened")


def test_decisions_and_fills_of_another_block_are_refused(ledger: LedgerDb) -> None:
    with ledger.block(1, block(1)) as entry:
        entry.add_decisions([decision("a", block(1))])
    with (
        pytest.raises(StoreError, match="decision b is of block 1"),
        ledger.block(2, block(2)) as e,
    ):
        e.add_decisions([decision("b", block(1))])
    outcome = fill(decision("a", block(1)), block(3))
    with pytest.raises(StoreError, match="fill of decision a is"), ledger.block(2, block(2)) as e:
        e.add_fills([outcome])


def test_a_decision_is_settled_once(ledger: LedgerDb) -> None:
    made = decision("a", block(1))
    with ledger.block(1, block(1)) as entry:
        entry.add_decisions([made])
    with ledger.block(2, block(2)) as entry:
        entry.add_fills([fill(made, block(2))])
    with (
        pytest.raises(StoreError, match="no open decision a"),
        ledger.block(3, block(3)) as entry,
    ):
        entry.add_fills([fill(made, block(3))])
    with pytest.raises(StoreError, match="no open decision a"), ledger.block(3, block(3)) as entry:
        entry.void([made])


def test_an_open_decision_is_not_made_again(ledger: LedgerDb) -> None:
    with ledger.block(1, block(1)) as entry:
        entry.add_decisions([decision("a", block(1))])
    with (
        pytest.raises(StoreError, match="has an open decision a already"),
        ledger.block(2, block(2)) as entry,
    ):
        entry.add_decisions([decision("a", block(2))])


def test_money_beyond_64_bits_is_refused_before_it_is_rounded(ledger: LedgerDb) -> None:
    made = decision("a", block(1))._replace(capital_micro_usd=2**63)
    with pytest.raises(StoreError, match="64 bits"), ledger.block(1, block(1)) as entry:
        entry.add_decisions([made])
    assert ledger.seq == NO_ENTRY


# -- reorganisations ------------------------------------------------------------------------------


def test_a_fill_of_a_dead_branch_stays_marked_and_its_decision_is_open_again(
    ledger: LedgerDb,
) -> None:
    made, gone = decision("a", block(1)), decision("b", block(1))
    with ledger.block(1, block(1)) as entry:
        entry.set_strategies(STRATEGIES)
        entry.add_decisions([made, gone])
    with ledger.block(2, block(2)) as entry:
        entry.add_fills([fill(made, block(2), net=5), fill(gone, block(2), net=6)])
    with ledger.block(3, block(2, "b")) as entry:
        entry.mark_reorged([fill(made, block(2), net=5), fill(gone, block(2), net=6)])
        entry.add_fills([fill(made, block(2, "b"), net=-3, status="reverted")])
    assert ledger.open_decisions() == [gone]
    with ledger.block(4, block(9)) as entry:
        entry.void([gone])
    rows = ledger.fills()
    assert [(row.seq, row.fill.net_micro_usd, row.reorged_seq) for row in rows] == [
        (2, 5, 3),
        (2, 6, 3),
        (3, -3, None),
    ]
    assert rows[2].fill == fill(made, block(2, "b"), net=-3, status="reverted")
    states = [row.state for row in ledger.decisions()]
    assert states == [DecisionState.SETTLED, DecisionState.VOID]
    assert ledger.totals()[0] == StrategyTotals(
        hash=ONE,
        name="Strategy 0",
        seen=0,
        sent=2,
        filled=0,
        reverted=1,
        lost=0,
        expired=0,
        reorged=1,
        open=0,
        profit_micro_usd=-3,
        band_low_micro_usd=-8,
        band_high_micro_usd=2,
        gas_cost_micro_usd=11,
        unplaced=0,
        placed_micro_usd=-3,
        gained=0,
        gas_filled_micro_usd=0,
        gas_reverted_micro_usd=11,
        gas_lost_micro_usd=0,
    )


def test_only_a_standing_fill_can_be_undone(ledger: LedgerDb) -> None:
    made = decision("a", block(1))
    with ledger.block(1, block(1)) as entry:
        entry.add_decisions([made])
    with ledger.block(2, block(2)) as entry:
        entry.add_fills([fill(made, block(2))])
    for wrong in (fill(made, block(3)), fill(decision("z", block(1)), block(2))):
        with pytest.raises(StoreError, match="no standing fill"), ledger.block(3, block(3)) as e:
            e.mark_reorged([wrong])
    with ledger.block(3, block(3)) as entry:
        entry.mark_reorged([fill(made, block(2))])
    with pytest.raises(StoreError, match="no standing fill"), ledger.block(4, block(4)) as entry:
        entry.mark_reorged([fill(made, block(2))])


# -- strategies, epochs, counters -----------------------------------------------------------------


def test_epochs_say_from_where_to_where_a_strategy_took_part(ledger: LedgerDb) -> None:
    for seq, taking_part in ((1, [0, 1]), (2, [0, 1]), (5, [1, 2]), (8, [0, 1, 2])):
        with ledger.block(seq, block(seq)) as entry:
            entry.set_strategies(STRATEGIES[index] for index in taking_part)
    assert ledger.epochs() == [
        Epoch(ONE, 1, 4),
        Epoch(TWO, 1, None),
        Epoch(THREE, 5, None),
        Epoch(ONE, 8, None),
    ]
    assert ledger.strategies() == list(STRATEGIES)


def test_another_reality_begins_epochs_anew_and_is_no_part_of_the_digest(ledger: LedgerDb) -> None:
    one, other = RealityRow("a1", '{"gas":1}'), RealityRow("b2", '{"gas":2}')
    digests = set()
    for seq, reality in ((1, None), (2, one), (3, one), (5, other), (7, one)):
        with ledger.block(seq, block(seq)) as entry:
            entry.set_strategies(STRATEGIES[:2], reality)
        digests.add(ledger.digest())
    assert ledger.epochs() == [
        Epoch(strategy, *epoch)
        for epoch in ((1, 1, None), (2, 4, "a1"), (5, 6, "b2"), (7, None, "a1"))
        for strategy in (ONE, TWO)
    ]
    assert ledger.realities() == [one, other]
    assert len(digests) == 1


def test_a_renamed_or_moved_strategy_keeps_its_books(ledger: LedgerDb) -> None:
    with ledger.block(1, block(1)) as entry:
        entry.set_strategies(STRATEGIES[:2])
        entry.set_seen({ONE: 12})
    renamed = replace(STRATEGIES[0], name="New", ordinal=7)
    with ledger.block(2, block(2)) as entry:
        entry.set_strategies([STRATEGIES[1], renamed])
    assert ledger.strategies() == [STRATEGIES[1], replace(renamed, seen=12)]
    assert [epoch.to_seq for epoch in ledger.epochs()] == [None, None]


def test_skip_counters_add_up_and_keep_the_nearest_miss(ledger: LedgerDb) -> None:
    profit, pair = SkipReason.PROFIT, SkipReason.PAIR
    batches = [
        [SkipCount(ONE, 10, profit, 2, 50, 10, 1), SkipCount(ONE, 10, pair, 5, None, None, None)],
        [SkipCount(ONE, 10, profit, 3, 50, 45, 2), SkipCount(ONE, 10, pair, 1)],
        [SkipCount(ONE, 10, profit, 1, 60, 55, 3), SkipCount(ONE, 11, profit, 1)],
        [SkipCount(ONE, 10, profit, 1), SkipCount(ONE, 11, profit, 1, 5, 1, 4)],
        [SkipCount(TWO, 10, profit, 1, 5, 4, 5)],
    ]
    for seq, counters in enumerate(batches, start=1):
        with ledger.block(seq, block(seq)) as entry:
            entry.add_skips(counters)
    assert ledger.skips(ONE) == [
        SkipCount(ONE, 10, pair, 6, None, None, None),
        # The earlier of two equal misses stays.
        SkipCount(ONE, 10, profit, 7, 50, 45, 2),
        SkipCount(ONE, 11, profit, 2, 5, 1, 4),
    ]
    assert ledger.skips() == [*ledger.skips(ONE), SkipCount(TWO, 10, profit, 1, 5, 4, 5)]


def test_the_last_fills_and_those_of_a_strategy(ledger: LedgerDb) -> None:
    made = [
        decision(f"d{number}", block(1), strategy=STRATEGIES[number % 2].hash)
        for number in range(6)
    ]
    with ledger.block(1, block(1)) as entry:
        entry.add_decisions(made)
    with ledger.block(2, block(2)) as entry:
        entry.add_fills(fill(each, block(2)) for each in made)

    def ids(strategy: StrategyHash | None = None, last: int | None = None) -> list[str]:
        return [row.fill.decision.id for row in ledger.fills(strategy, last=last)]

    assert ids() == ["d0", "d1", "d2", "d3", "d4", "d5"]
    assert ids(last=2) == ["d4", "d5"]
    assert ids(TWO) == ["d1", "d3", "d5"]
    assert ids(TWO, 1) == ["d5"]
    assert [row.decision.id for row in ledger.decisions(ONE)] == ["d0", "d2", "d4"]


def test_notes_are_kept_with_their_block_or_beside_the_blocks(ledger: LedgerDb) -> None:
    with ledger.block(1, block(1)) as entry:
        entry.set_note(FIRST_SEQ, 1)
    digest = ledger.digest()
    ledger.put_note(TRADER, "/etc/paper.toml")
    ledger.put_note(FIRST_SEQ, 2)
    assert (ledger.note(FIRST_SEQ), ledger.note(TRADER)) == (2, "/etc/paper.toml")
    assert ledger.note(RELOAD) is None
    # A note is no part of the books.
    assert (ledger.digest(), ledger.seq) == (digest, 1)


def test_a_note_that_cannot_be_read_is_an_error_only_where_the_books_depend_on_it(
    ledger: LedgerDb,
) -> None:
    for note in (METRICS, RELOAD, STATE_AGES):
        ledger.put_note(Note(note.key, str), '{"of": "another version"}')
    assert (ledger.note(METRICS), ledger.note(RELOAD)) == (None, None)
    with pytest.raises(StoreError, match="note state_ages: Expected `array`, got `object`"):
        ledger.note(STATE_AGES)


def test_those_that_take_part_now_are_in_the_order_in_which_they_began(ledger: LedgerDb) -> None:
    one, two, three = STRATEGIES
    for seq, now in enumerate([[three], [one, three], [one, two]], 1):
        with ledger.block(seq, block(seq)) as entry:
            entry.set_strategies(now)
    assert list(ledger.active()) == [ONE, TWO]
    (ended,) = (epoch for epoch in ledger.epochs() if epoch.strategy == THREE)
    assert [ended.holds(seq) for seq in range(4)] == [False, True, True, False]
    assert [ledger.active()[TWO].holds(seq) for seq in range(2, 5)] == [False, True, True]
