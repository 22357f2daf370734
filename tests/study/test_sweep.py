"""A sweep: each of its rows is what a replay's ledger says of that configuration."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dexarb.core.trade import FillStatus, StrategyHash
from dexarb.core.units import SECONDS_PER_DAY
from dexarb.errors import InputError, StoreError
from dexarb.store.history_reader import HistoryReader
from dexarb.store.ledger_db import LedgerDb
from dexarb.store.ledger_reader import LedgerReader, read_only
from dexarb.store.ledger_rows import StrategyTotals
from dexarb.study.replay import plan_of, replay
from dexarb.study.sweep.market import scan_market
from dexarb.study.sweep.plan import make_plan, open_folder, read_plan, unfinished
from dexarb.study.sweep.results import all_totals, best, rows_of, write_results
from dexarb.study.sweep.running import run_block
from dexarb.trading.strategy import StrategySettings
from tests.study.test_deep_forks import deep_fork
from tests.study.test_session import strategies
from tests.study.test_session_cuts import history
from tests.support.sweeping import grid
from tests.support.worlds.random_trading import settings_drawn

MAX_AGE_S = 10.0
A_BLOCK = 20


def swept(
    reader: HistoryReader, folder: Path, configs: Sequence[StrategySettings], a_block: int = A_BLOCK
) -> Path:
    plan = make_plan(reader, configs, max_state_age_s=MAX_AGE_S, configs_a_block=a_block)
    plan = open_folder(folder, plan, configs)
    for _ in scan_market(reader, folder, plan, configs):
        pass
    for task in reversed(range(plan.tasks)):
        for _ in run_block(folder, task):
            pass
    return write_results(folder, plan)


def replayed(
    reader: HistoryReader, path: Path, configs: Sequence[StrategySettings]
) -> LedgerReader:
    plan = plan_of(configs, MAX_AGE_S, first_seq=1, from_seq=2, last_seq=reader.last_seq)
    with LedgerDb.open(path, chain_id=1, history=reader.folder) as ledger:
        for _ in replay(reader, ledger, plan):
            pass
    return read_only(path)


def by_hash(rows: Sequence[StrategyTotals]) -> list[StrategyTotals]:
    return sorted(rows, key=lambda row: row.hash)


def daily(
    ledger: LedgerReader, days: Sequence[int]
) -> dict[StrategyHash, tuple[list[int], list[int]]]:
    """By hash: net and trades of each UTC day of decision, from the fills that stand."""
    found = {row.hash: ([0] * len(days), [0] * len(days)) for row in ledger.strategies()}
    for row in ledger.fills():
        if row.reorged_seq is None:
            decision = row.fill.decision
            place = days.index(decision.block.timestamp // SECONDS_PER_DAY)
            net, trades = found[decision.strategy]
            net[place] += row.fill.net_micro_usd
            trades[place] += row.fill.status is not FillStatus.EXPIRED
    return found


fifty = st.lists(settings_drawn, min_size=50, max_size=50, unique_by=lambda each: each.hash)


def rows_are_those_of_a_replay(folder: Path, drawn: list[StrategySettings], seed: int) -> int:
    """Returns how many decisions were sent."""
    configs = [replace(each, name=f"{number}") for number, each in enumerate(drawn)]
    reader = history(folder / "history", seed)
    path = swept(reader, folder / "sweep", configs)
    days = read_plan(folder / "sweep").days
    with replayed(reader, folder / "replay.sqlite", configs) as ledger:
        assert by_hash(all_totals(path)) == by_hash(ledger.totals())
        query = "SELECT hash, daily_net_micro_usd, daily_trades, days FROM read_parquet($path)"
        series = rows_of(path, query)
        assert {row[0]: (row[1], row[2]) for row in series} == daily(ledger, days)
        assert all(row[3] == days for row in series)
        return sum(row.sent for row in ledger.totals())


@settings(max_examples=1, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(drawn=fifty, seed=st.integers(0, 10**6))
def test_fifty_random_configurations_have_the_rows_of_a_replay(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[StrategySettings], seed: int
) -> None:
    """Over forks, pools that come and go, and late blocks."""
    assert rows_are_those_of_a_replay(tmp_path_factory.mktemp("sweep"), drawn, seed) > 0


@pytest.mark.fuzz
@settings(max_examples=60, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(drawn=fifty, seed=st.integers(0, 10**6))
def test_many_more_of_them(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[StrategySettings], seed: int
) -> None:
    rows_are_those_of_a_replay(tmp_path_factory.mktemp("sweep"), drawn, seed)


def test_however_it_is_cut_it_comes_to_the_same_file(tmp_path: Path) -> None:
    reader = history(tmp_path / "history", 1)
    whole = swept(reader, tmp_path / "whole", grid(7), 7)
    cut = swept(reader, tmp_path / "cut", grid(7), 3)
    assert whole.read_bytes() == cut.read_bytes()
    assert sorted(each.name for each in whole.parent.iterdir()) == ["results.parquet", "sweep.json"]


def test_the_best_come_first_and_names_are_kept(tmp_path: Path) -> None:
    reader = history(tmp_path / "history", 1)
    path = swept(reader, tmp_path / "sweep", grid(5))
    found = all_totals(path)
    assert [row.name for row in found] == [each.name for each in grid(5)]
    top = best(path, 3)
    assert len(top) == 3
    assert [row.profit_micro_usd for row in top] == sorted(
        (row.profit_micro_usd for row in found), reverse=True
    )[:3]


def test_a_folder_holds_one_sweep(tmp_path: Path) -> None:
    reader = history(tmp_path / "history", 1)
    plan = make_plan(reader, grid(3), max_state_age_s=MAX_AGE_S)
    open_folder(tmp_path / "sweep", plan, grid(3))
    other = make_plan(reader, grid(4), max_state_age_s=MAX_AGE_S)
    with pytest.raises(StoreError, match="holds another sweep"):
        open_folder(tmp_path / "sweep", other, grid(4))
    again = make_plan(reader, grid(3), max_state_age_s=MAX_AGE_S, configs_a_block=1)
    held = open_folder(tmp_path / "sweep", again, grid(3))
    assert (held, unfinished(tmp_path / "sweep", held)) == (plan, [0])


def test_own_strategies_are_refused(tmp_path: Path) -> None:
    reader = history(tmp_path / "history", 1)
    own = replace(grid(1)[0], kind="mine")
    with pytest.raises(InputError, match='"least 0" is of kind "mine": a sweep runs the built-in'):
        make_plan(reader, [own], max_state_age_s=MAX_AGE_S)


def test_a_fork_of_any_depth(tmp_path: Path) -> None:
    reader = deep_fork(tmp_path / "history")
    path = swept(reader, tmp_path / "sweep", strategies(), 3)
    with replayed(reader, tmp_path / "replay.sqlite", strategies()) as ledger:
        assert sum(bool(row.reorged_seq) for row in ledger.fills()) > 20
        assert by_hash(all_totals(path)) == by_hash(ledger.totals())
