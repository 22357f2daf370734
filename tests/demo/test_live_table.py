"""The demo's screen on small terminals, and at the end of a run with many strategies."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console, Group

from dexarb.demo.live_table import SHOWN, live, tables
from dexarb.demo.settings import Files
from dexarb.demo.watch import Progress
from dexarb.screens.console import plain_console
from dexarb.store.follow import newest_market
from dexarb.store.history_reader import HistoryReader
from dexarb.store.snapshot import read_state
from dexarb.study.spreads import best_spreads
from dexarb.study.totals import read_totals
from tests.support.scenes import STRATEGIES, scene
from tests.support.traded import record_and_trade

HOME = Path("data/demo")
NAMES = (
    "collector.toml",
    "paper_trading.toml",
    "data/pool_state.json",
    "data/ledger.sqlite",
    "logs",
)
FILES = Files(HOME, *(HOME / name for name in NAMES))


@pytest.fixture(scope="module")
def progress(tmp_path_factory: pytest.TempPathFactory) -> Progress:
    world = record_and_trade(tmp_path_factory.mktemp("live"), *scene(), *STRATEGIES)
    market = newest_market(HistoryReader(world.history))
    spreads = best_spreads(market.pools.values())
    totals = read_totals(world.ledger)
    return Progress(market.block.number, 6, read_state(world.state), totals, spreads, market)


def with_strategies(progress: Progress, count: int) -> Progress:
    """As many, each a cent better than the one before."""
    (row, *_) = progress.totals.rows
    rows = tuple(
        replace(row, name=f"Number {n:05d}", placed_micro_usd=10_000 * n) for n in range(count)
    )
    return replace(progress, totals=replace(progress.totals, rows=rows))


def terminal(width: int, height: int) -> Console:
    return plain_console(file=StringIO(), width=width, height=height, force_terminal=True)


def drawn(console: Console, progress: Progress) -> list[str]:
    lines = console.render_lines(live(progress, FILES, console), pad=False)
    return ["".join(part.text for part in line).rstrip() for line in lines]


@pytest.mark.parametrize("height", [12, 24, 50])
@pytest.mark.parametrize("count", [1, 8, 1000])
def test_the_strategies_are_seen_on_any_terminal(
    progress: Progress, height: int, count: int
) -> None:
    lines = drawn(terminal(80, height), with_strategies(progress, count))
    assert len(lines) <= height
    seen = [line for line in lines if "Number " in line]
    assert len(seen) >= min(count, 3)
    assert any(f"Number {count - 1:05d}" in line for line in seen)
    if height == 12 and count > 1:
        assert not any("QuickSwap" in line for line in lines)
    if height == 50:
        assert "looks inside" in " ".join(lines)


def test_at_sixty_columns_names_are_whole(progress: Progress) -> None:
    text = "\n".join(drawn(terminal(60, 24), with_strategies(progress, 8)))
    for number in range(8):
        assert f"Number {number:05d}" in text


def test_a_run_of_a_thousand_ends_with_the_best_and_how_to_see_all(progress: Progress) -> None:
    console = terminal(80, 24)
    lines = console.render_lines(Group(*tables(with_strategies(progress, 1000))), pad=False)
    text = "\n".join("".join(part.text for part in line) for line in lines)
    assert text.count("Number ") == SHOWN
    assert "Number 00999" in text
    assert "970 more: `dexarb status --limit 1000` shows all" in text
    assert "more:" not in "\n".join(drawn(terminal(80, 50), with_strategies(progress, 8)))
