"""Screens beside a bot that trades: each is whole, and the bot never waits for one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dexarb.screens import bot_report, bot_status
from dexarb.store.journal import JournalReader
from dexarb.store.ledger_reader import LedgerReader
from tests.ends.end_world import EndWorld, end_world


def trading(world: EndWorld) -> Iterator[None]:
    """Step by step: a trade is sent, filled or reverted, and the spread is closed."""
    while True:
        world.step(world.spread())
        yield
        signed = world.journal.signed()[-1]
        world.node.nonces[signed.lane] = signed.nonce + 1
        if signed.nonce % 3:
            world.step(world.including(signed, gain=world.gain_of(signed)))
        else:
            world.step(world.overtaken(signed))
        yield
        world.step(world.spread(2_500))
        yield


def look_at_status(config: Path) -> int:
    answer = bot_status.answer(config)
    answer.render()
    told = answer.as_json()
    assert told["filled"] + told["reverted"] == told["included"] == told["twins"]
    assert sum(lane["landed"] for lane in told["lanes"]) == told["included"] <= told["sent"]
    return int(told["included"])


def look_at_report(config: Path) -> int:
    answer = bot_report.answer(config)
    answer.render()
    told = answer.as_json()
    assert [*answer.problems()] == []
    landed = [each for each in told["trades"] if each["place"] is not None]
    assert len(landed) == told["included"] == told["ended"] <= told["sent"]
    assert all(each["predicted"] and each["places"] for each in landed)
    rows = [*answer.csv_rows()]
    assert [row["hash"] for row in rows] == [each["hash"] for each in landed]
    assert all(None not in (row["time"], row["net_micro_usd"]) for row in rows)
    return len(rows)


@pytest.mark.parametrize("begun", [3, 4, 5])
@pytest.mark.parametrize("look", [look_at_status, look_at_report])
def test_each_screen_is_whole_and_nobody_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, look: Callable[[Path], int], begun: int
) -> None:
    """The bot goes on before everything that is asked for. Who had to wait would be refused."""
    for store in ("journal", "ledger_db"):
        monkeypatch.setattr(f"dexarb.store.{store}.BUSY_S", 0.0)
    with end_world(tmp_path) as world:
        world.ready()
        steps = trading(world)

        def goes_on_before(reader: type, method: str) -> None:
            ask = getattr(reader, method)

            def ask_later(this: Any, *query: Any) -> Any:
                if type(this) is reader:  # and not what the bot itself writes
                    next(steps)
                return ask(this, *query)

            monkeypatch.setattr(reader, method, ask_later)

        for _ in range(begun):
            next(steps)
        goes_on_before(JournalReader, "_rows")
        goes_on_before(LedgerReader, "_all")
        assert 0 < look(world.config.path) < len(world.journal.signed())
        assert (world.drops, world.said.journal) == ([], [])
