"""What the ledger says of limits is what the running books say, and what a person would."""

from __future__ import annotations

from calendar import timegm
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from dexarb.core.block import Block
from dexarb.core.trade import Decision, FillStatus, SkipReason
from dexarb.core.units import SECONDS_PER_DAY
from dexarb.store.ledger_db import LedgerDb
from dexarb.store.ledger_reader import read_only
from dexarb.store.ledger_rows import StrategyRow
from dexarb.study.stops import Stop, stops_now
from dexarb.study.totals import read_totals
from dexarb.trading.strategy import StrategySettings
from tests.store import books
from tests.study.test_session_cuts import FACTORIES, history, strategies
from tests.support.sessions import paper_session
from tests.support.worlds.small_chain import settings

COUNTED = ("day_trades", "day_net_micro_usd", "consecutive_losses", "last_loss_block")
MIDNIGHT = timegm((2023, 11, 15, 0, 0, 0))
USD = 1_000_000


def test_the_ledger_counts_as_the_running_books_do(tmp_path: Path) -> None:
    """Over reorganisations, reloads and voided decisions."""
    reader = history(tmp_path / "history", 0)
    seen = set()
    with LedgerDb.open(tmp_path / "ledger.db", chain_id=1, history=reader.folder) as ledger:
        session = paper_session(reader, ledger, factories=FACTORIES)
        for entry in reader.entries(session.from_seq):
            session.take(entry)
            session.write()
            if entry.seq in (5, 20):
                session.use(strategies(1 + entry.seq // 20))
            if not session.has_begun or entry.seq in (5, 20):
                continue
            running = session.engine.ledger
            day = int(running.column("day")[0])
            for key, told in ledger.against_limits(day).items():
                expected = [running.value(key, name) for name in COUNTED]
                assert [
                    told.day_trades,
                    told.day_net_micro_usd,
                    told.losses_in_a_row,
                    told.last_loss_block,
                ] == expected, f"after entry {entry.seq}"
                seen.add(tuple(value > 0 for value in expected))
            taking_part = {each.hash: each for each in session.settings}
            stopped = stops_now(ledger, taking_part, day * SECONDS_PER_DAY)
            codes = session.stopped_by().tolist()
            names = [each.hash for each in session.settings]
            assert stopped.keys() == {n for n, c in zip(names, codes, strict=True) if c >= 0}
    assert len(seen) > 4


def traded(folder: Path, limited: StrategySettings, nets: Sequence[int], ends: int) -> Path:
    """A ledger in which a strategy has traded block after block, a minute each, and what every
    trade came to; the last of them is decided on at this time."""
    path = folder / "ledger.db"
    row = StrategyRow(limited.hash, limited.name, limited.canonical, 0)
    start = ends - 60 * (len(nets) - 1)

    def block(number: int) -> Block:
        return replace(books.block(number), timestamp=start + 60 * number)

    def decision(number: int) -> Decision:
        return books.decision(f"{number}", block(number), strategy=limited.hash)

    with books.open_ledger(path) as ledger:
        for number in range(len(nets) + 1):
            with ledger.block(number + 1, block(number)) as entry:
                if number == 0:
                    entry.set_strategies([row])
                else:
                    fill = books.fill(decision(number - 1), block(number), net=nets[number - 1])
                    entry.add_fills([fill._replace(status=FillStatus.FILLED)])
                if number < len(nets):
                    entry.add_decisions([decision(number)])
    return path


def stop_of(ledger: Path, now: int | None = None) -> Stop | None:
    """As `status` finds it."""
    return next(iter(read_totals(ledger, now).stops.values()), None)


def test_losses_in_a_row_stop_for_good_or_for_a_while(tmp_path: Path) -> None:
    for cooldown, until in ((0, None), (100, 104)):
        limited = settings("one", max_consecutive_losses=2, cooldown_blocks=cooldown)
        folder = tmp_path / f"{cooldown}"
        folder.mkdir()
        ledger = traded(folder, limited, [-1, 5, -1, -1], MIDNIGHT)
        expected = Stop(SkipReason.CONSECUTIVE_LOSSES, since_block=4, until_block=until)
        assert stop_of(ledger) == expected


@pytest.mark.parametrize("nets", [[-1, -1, 0], [-1, 1, -1], [-1]])
def test_a_gain_or_nothing_at_all_ends_a_row(tmp_path: Path, nets: list[int]) -> None:
    ledger = traded(tmp_path, settings("one", max_consecutive_losses=2), nets, MIDNIGHT)
    assert stop_of(ledger) is None


@pytest.mark.parametrize(("late_s", "trades"), [(-1, (2, 0)), (0, (1, 1)), (60, (0, 2))])
def test_a_trade_belongs_to_the_day_of_its_block(
    tmp_path: Path, late_s: int, trades: tuple[int, int]
) -> None:
    limited = settings("one", max_daily_trades=2)
    ledger = traded(tmp_path, limited, [3, 4], MIDNIGHT + late_s)
    day = MIDNIGHT // SECONDS_PER_DAY
    with read_only(ledger) as reader:
        known = [reader.against_limits(each)[limited.hash] for each in (day - 1, day)]
    assert tuple(each.day_trades for each in known) == trades
    assert sum(each.day_net_micro_usd for each in known) == 7


def test_the_trades_of_a_day_stop_until_midnight(tmp_path: Path) -> None:
    limited = settings("one", max_daily_trades=2)
    ledger = traded(tmp_path, limited, [3, 3], MIDNIGHT - 3600)
    expected = Stop(SkipReason.DAILY_TRADES, since_block=1, until_timestamp=MIDNIGHT)
    assert stop_of(ledger) == stop_of(ledger, MIDNIGHT - 1) == expected
    assert stop_of(ledger, MIDNIGHT) is None


def test_the_losses_of_a_day_stop_until_midnight(tmp_path: Path) -> None:
    limited = settings("one", daily_loss_limit_micro_usd=5 * USD)
    ledger = traded(tmp_path, limited, [-3 * USD, 1, -2 * USD - 1], MIDNIGHT - 3600)
    expected = Stop(SkipReason.DAILY_LOSS, since_block=3, until_timestamp=MIDNIGHT)
    assert stop_of(ledger) == expected
    assert stop_of(ledger, MIDNIGHT) is None
