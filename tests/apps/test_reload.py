"""A reload of the running trader: what it says, and whose books go on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dexarb.core.block import BlockUpdate
from dexarb.store.history_writer import HistoryWriter
from dexarb.store.ledger_notes import RELOAD as OUTCOME
from dexarb.store.ledger_notes import ReloadOutcome
from dexarb.store.ledger_reader import read_only
from dexarb.store.trials import Trial, TrialKind, read_register, register_of
from tests.support.recorded import record
from tests.support.signals import RELOAD
from tests.support.traded import World, configure, strategy
from tests.support.trader import run_trader
from tests.support.worlds.small_chain import CHAIN_ID, CHEAP, SmallChain, keyframe, weth_pool


def reloaded(tmp_path: Path, before: str, after: str) -> tuple[World, ReloadOutcome]:
    """A spread is traded and closes, the file changes, another one is traded."""
    world = configure(tmp_path, before)
    first = keyframe()
    chain = SmallChain(first)
    record(tmp_path / "data", first, [chain.mine() for _ in range(2)])

    def spread() -> list[BlockUpdate]:
        return [chain.mine(weth_pool(CHEAP, price)) for price in (2_450, 2_450, 2_500)]

    def happens() -> Iterator[object]:
        with HistoryWriter.open(world.history, chain_id=CHAIN_ID, chain="small") as writer:
            for update in spread():
                yield writer.append(update)
            yield None  # the last one is taken
            configure(tmp_path, after)
            yield RELOAD
            for update in spread():
                yield writer.append(update)
            yield None

    run_trader(world, happens())
    with read_only(world.ledger) as ledger:
        outcome = ledger.note(OUTCOME)
    assert outcome is not None
    return world, outcome


def rows(world: World) -> list[tuple[str, int, int]]:
    """Name, trades sent and episodes seen of each strategy that takes part."""
    with read_only(world.ledger) as ledger:
        sent = [row.fill.decision.strategy for row in ledger.fills()]
        active = {each.strategy for each in ledger.epochs() if each.to_seq is None}
        return [
            (each.name, sent.count(each.hash), each.seen)
            for each in ledger.strategies()
            if each.hash in active
        ]


def test_a_reload_that_only_renames_takes_effect_and_books_go_on(tmp_path: Path) -> None:
    world, outcome = reloaded(tmp_path, strategy("one"), strategy("first"))
    assert outcome.changes == ('= "one" is now called "first"; its books go on',)
    assert outcome.counts == {"unchanged": 0, "changed": 0, "new": 0, "closed": 0, "renamed": 1}
    assert rows(world) == [("first", 2, 2)]


def test_what_is_tried_enters_the_register_and_a_new_name_is_nothing_new(tmp_path: Path) -> None:
    world, _ = reloaded(tmp_path, strategy("A"), strategy("B"))
    (tmp_path / "o").mkdir()
    other, _ = reloaded(tmp_path / "o", strategy("A"), strategy("A", min_profit_usd=2.0))
    for each, count in ((world, 1), (other, 2)):
        records = read_register(register_of(each.history))
        trials = [record for record in records if isinstance(record, Trial)]
        assert [trial.kind for trial in trials] == [TrialKind.LIVE] * count
        with read_only(each.ledger) as ledger:
            tried = {hash_ for trial in trials for hash_ in trial.hashes}
            assert tried == {row.hash for row in ledger.strategies()}


def test_a_reload_that_changes_the_gas_limit_says_so_and_begins_new_books(tmp_path: Path) -> None:
    cheaper = strategy("one").replace("max_gas_gwei = 1000", "max_gas_gwei = 120.5")
    world, outcome = reloaded(tmp_path, strategy("one"), cheaper)
    assert outcome.changes == ('~ "one" changes: max_gas_gwei 1000 -> 120.5; new books',)
    assert outcome.counts == {"unchanged": 0, "changed": 1, "new": 0, "closed": 0, "renamed": 0}
    assert rows(world) == [("one", 1, 1)]
