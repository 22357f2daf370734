"""dexarb status: what the ledger says, sorted, filtered, and followed while it grows."""

from __future__ import annotations

import csv
import gzip
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest

from dexarb.core.market import Market
from dexarb.core.trade import Decision, DecisionId, Fill
from dexarb.screens.console import plain_console
from dexarb.screens.status import Selection, _fit, answer
from dexarb.store.ledger_db import LedgerDb
from dexarb.store.ledger_rows import StrategyRow
from dexarb.store.snapshot import StateWriter
from tests.store import books
from tests.support.command import Dexarb
from tests.support.traded import World, configure
from tests.support.worlds import arrivals
from tests.support.worlds.small_chain import settings

AGREED = {
    "name", "hash", "seen", "sent", "filled", "reverted", "lost", "profit_usd", "band_usd",
}  # fmt: skip
USD = 1_000_000
OLDER = Path(books.__file__).parent / "fixtures" / "ledger_2.sqlite.gz"
POOR, RICH, IDLE = STRATEGIES = [
    StrategyRow(each.hash, each.name, each.canonical, ordinal)
    for ordinal, each in enumerate(
        settings(f"Strategy {number}", min_profit_micro_usd=number) for number in range(3)
    )
]


@pytest.fixture
def world(tmp_path: Path) -> World:
    """Three strategies; the first loses a dollar, the second earns three, the third left."""
    made = configure(tmp_path)
    made.ledger.parent.mkdir()
    with books.open_ledger(made.ledger) as ledger:
        with ledger.block(1, books.block(1)) as block:
            block.set_strategies(STRATEGIES)
            block.set_seen({RICH.hash: 4})
            block.add_decisions(_decision(each) for each in (POOR, RICH))
        with ledger.block(2, books.block(2)) as block:
            block.add_fills([_fill(POOR, -USD), _fill(RICH, 3 * USD)])
            block.set_strategies([POOR, RICH])
    return made


def _decision(strategy: StrategyRow) -> Decision:
    return books.decision(strategy.name, books.block(1), strategy=strategy.hash)


def _fill(strategy: StrategyRow, net: int) -> Fill:
    return books.fill(_decision(strategy), books.block(2), net=net)


def test_json_keeps_the_agreed_keys_and_the_order_of_the_configuration(
    world: World, dexarb: Dexarb
) -> None:
    told = dexarb("status", "-c", world.config, "--json").json
    assert told.keys() >= {"block", "state_age_s", "strategies"}
    assert (told["block"], told["state_age_s"]) == (2, None)
    assert [row["name"] for row in told["strategies"]] == [POOR.name, RICH.name, IDLE.name]
    for row in told["strategies"]:
        assert row.keys() >= AGREED
    rich = told["strategies"][1]
    assert (rich["seen"], rich["sent"], rich["filled"], rich["profit_usd"]) == (4, 1, 1, 3.0)
    assert rich["band_usd"] == [3.0 - 5e-6, 3.0 + 5e-6]
    assert [row["state"] for row in told["strategies"]] == ["active", "active", "ended"]


def test_people_see_the_best_first(world: World, dexarb: Dexarb) -> None:
    said = dexarb("status", "-c", world.config).out
    assert said.index(RICH.name) < said.index(IDLE.name) < said.index(POOR.name)
    assert "+3.00" in said
    assert "\x1b" not in said


def test_who_no_longer_takes_part_is_told_from_namesakes(world: World, dexarb: Dexarb) -> None:
    said = dexarb("status", "-c", world.config).out
    assert f"{IDLE.name} (ended)" in said
    assert f"{RICH.name} (" not in said


@pytest.mark.parametrize(
    ("options", "names"),
    [
        (["--sort", "profit"], [RICH.name, IDLE.name, POOR.name]),
        (["--sort", "name"], [POOR.name, RICH.name, IDLE.name]),
        (["--sort", "seen"], [RICH.name, POOR.name, IDLE.name]),
        (["--filter", "active"], [POOR.name, RICH.name]),
        (["--filter", "STRATEGY 1"], [RICH.name]),
        (["--filter", IDLE.hash], [IDLE.name]),
        (["--filter", "nobody"], []),
    ],
)
def test_sort_and_filter(
    world: World, dexarb: Dexarb, options: list[str], names: list[str]
) -> None:
    told = dexarb("status", "-c", world.config, "--json", *options).json
    assert [row["name"] for row in told["strategies"]] == names


def test_a_limit_says_how_many_more(world: World, dexarb: Dexarb) -> None:
    said = dexarb("status", "-c", world.config, "--limit", "1").out
    assert RICH.name in said
    assert POOR.name not in said
    assert "2 more" in said


def test_without_a_known_place_the_profit_is_unknown_and_the_rest_of_it_ranks(
    world: World, dexarb: Dexarb
) -> None:
    with books.open_ledger(world.ledger) as ledger, ledger.block(3, books.block(3)) as block:
        late = _decision(RICH)._replace(id=DecisionId("late"), block=books.block(3))
        block.add_decisions([late])
        block.add_fills([books.fill(late, books.block(3), net=9)._replace(place_known=False)])
    told = dexarb("status", "-c", world.config, "--json", "--sort", "profit").json
    assert [row["profit_usd"] for row in told["strategies"]] == [None, 0.0, -1.0]
    assert [row["placed_profit_usd"] for row in told["strategies"]] == [3.0, 0.0, -1.0]
    assert told["strategies"][0]["unplaced"] == 1
    assert told["strategies"][0]["band_usd"][1] > 3.0
    said = dexarb("status", "-c", world.config).words
    assert "+3.00?" in said
    assert "only the band is true" in said


def test_profit_over_a_taker_who_was_really_there_is_told_apart(
    world: World, dexarb: Dexarb
) -> None:
    """He came at place 4 of block 2; our fills stand at place 3."""
    with books.open_ledger(world.ledger) as ledger, ledger.block(3, books.block(3)) as block:
        evidence = replace(
            books.evidence(books.block(2)), cycle=books.CYCLE, block_hash=books.block(1).hash
        )
        block.add_evidence([evidence])
    told = dexarb("status", "-c", world.config, "--json").json
    won = [row["won_over_taker_usd"] for row in told["strategies"]]
    assert won == [-1.0, 3.0, 0.0]
    for options, expected in ((["--to", 1], won), (["--from", 2], [0.0] * 3)):
        told = dexarb("status", "-c", world.config, "--json", *options).json
        assert [row["won_over_taker_usd"] for row in told["strategies"]] == expected
    said = dexarb("status", "-c", world.config).words
    assert f"won over a taker who was really there: {RICH.name} +3.00, {POOR.name} -1.00" in said


def test_nothing_written_yet_says_what_to_start(tmp_path: Path, dexarb: Dexarb) -> None:
    world = configure(tmp_path)
    said = dexarb("status", "-c", world.config)
    assert (said.code, said.out) == (3, "")
    assert "Start paper-trading" in said.err
    world.ledger.parent.mkdir()
    books.open_ledger(world.ledger).close()
    assert "takes them up with the next block" in dexarb("status", "-c", world.config).words


def test_strategies_that_sent_nothing_point_to_the_reasons(tmp_path: Path, dexarb: Dexarb) -> None:
    world = configure(tmp_path)
    world.ledger.parent.mkdir()
    with books.open_ledger(world.ledger) as ledger, ledger.block(1, books.block(1)) as block:
        block.set_strategies(STRATEGIES)
    assert "`dexarb why`" in dexarb("status", "-c", world.config).out


@pytest.mark.parametrize(
    ("options", "said"),
    [(["--sort", "luck"], "none of profit"), (["-c", "missing.toml"], "missing.toml")],
)
def test_wrong_usage(world: World, dexarb: Dexarb, options: list[str], said: str) -> None:
    found = dexarb("status", "-c", world.config, *options)
    assert found.code == 2
    assert said in found.err


def test_a_broken_general_table_is_told_with_its_line(tmp_path: Path, dexarb: Dexarb) -> None:
    path = tmp_path / "paper.toml"
    path.write_text("[general]\nledger_file = 5\n")
    found = dexarb("status", "-c", path)
    assert found.code == 2
    assert "paper.toml:2" in found.err


# -- watching -------------------------------------------------------------------------------------


@pytest.fixture
def interruptible() -> Iterator[None]:
    """In the background SIGINT may be ignored, and whom a test starts would ignore it as well."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture
def watching(world: World, interruptible: None) -> Iterator[subprocess.Popen[str]]:  # noqa: ARG001
    program = Path(sys.executable).with_name("dexarb")
    process = subprocess.Popen(
        [program, "status", "-c", world.config, "--watch", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    yield process
    if process.poll() is None:
        process.kill()
        process.communicate()


def test_a_watch_tells_every_change_once_until_it_is_interrupted(
    world: World, watching: subprocess.Popen[str]
) -> None:
    assert watching.stdout is not None
    assert json.loads(watching.stdout.readline())["block"] == 2
    with LedgerDb.open(world.ledger, chain_id=137, history=books.HISTORY) as ledger:
        with ledger.block(3, books.block(3)):
            pass
        blocks = []
        while 3 not in blocks:
            blocks.append(json.loads(watching.stdout.readline())["block"])
        watching.send_signal(signal.SIGINT)
        rest, errors = watching.communicate(timeout=30)
    assert set(blocks) <= {2, 3}
    assert rest == ""
    assert watching.returncode == 130, errors


def test_a_watch_waits_for_a_ledger_but_not_with_what_is_none(
    tmp_path: Path, dexarb: Dexarb
) -> None:
    world = configure(tmp_path)
    world.ledger.parent.mkdir()
    world.ledger.write_bytes(b"this is no database at all" * 100)
    said = dexarb("status", "-c", world.config, "--watch")
    assert said.code == 3
    assert "ledger" in said.err


# -- small terminals and odd clocks ---------------------------------------------------------------


def test_on_few_lines_the_strategies_are_what_is_left(world: World) -> None:
    status = answer(world.config, Selection())
    many = tuple(
        replace(status.totals.rows[0], name=f"Number {n:05d}", placed_micro_usd=n)
        for n in range(1000)
    )
    crowd = replace(status, totals=replace(status.totals, rows=many))
    for height, least in ((12, 5), (24, 10)):
        console = plain_console(file=StringIO(), width=60, height=height, force_terminal=True)
        lines = console.render_lines(_fit(crowd, console), pad=False)
        said = "\n".join("".join(part.text for part in line) for line in lines)
        assert len(lines) <= height
        assert said.count("Number ") >= least
        assert "Number 00999" in said
        assert "more: --limit" in said


def test_names_can_be_read_on_sixty_columns(
    world: World, dexarb: Dexarb, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    said = dexarb("status", "-c", world.config).out
    assert f"{IDLE.name} (ended)" in said
    assert "+3.00" in said
    assert "sent" in said
    assert "seen" not in said
    monkeypatch.setenv("COLUMNS", "80")
    assert "seen" in dexarb("status", "-c", world.config).out


@pytest.mark.parametrize(("ahead_s", "is_told"), [(0.5, False), (3_600, True), (-5, False)])
def test_an_age_is_never_negative(
    world: World, dexarb: Dexarb, ahead_s: float, is_told: bool
) -> None:
    at = replace(arrivals.first_keyframe().block, seen_at=time.time() + ahead_s)
    market = Market(replace(arrivals.first_keyframe(), block=at))
    StateWriter(world.state, world.history).write(market, 1, now=True)
    told = dexarb("status", "-c", world.config, "--json").json
    assert told["state_age_s"] == (0.0 if ahead_s > 0 else pytest.approx(5, abs=3))
    said = dexarb("status", "-c", world.config).words
    assert "-" not in said.split(" old")[0].split(", ")[-1]
    assert ("ahead of this machine's clock" in said) == is_told
    off = {"clock_offset_s": -3_600.0}
    StateWriter(world.state, world.history).write(market, 1, lambda: off, now=True)
    said = dexarb("status", "-c", world.config).words
    assert "The machine's clock is 60 min behind" in said
    assert "ahead of this machine's clock" not in said


# -- over time ------------------------------------------------------------------------------------


@pytest.fixture
def day_later(world: World) -> World:
    """A day on: the rich one has lost two of its three dollars, and the idle one is back."""
    at = replace(books.block(3), timestamp=books.block(1).timestamp + 86_400)
    with books.open_ledger(world.ledger) as ledger, ledger.block(3, at) as block:
        late = _decision(RICH)._replace(id=DecisionId("late"), block=at)
        block.set_strategies(STRATEGIES)
        block.add_decisions([late])
        block.add_fills([books.fill(late, at, net=-2 * USD, status="reverted")])
    return world


def test_json_has_since_when_how_much_a_day_how_often_and_how_far_down(
    day_later: World, dexarb: Dexarb
) -> None:
    told = dexarb("status", "-c", day_later.config, "--json").json
    began = books.block(1).timestamp
    assert (told["since"], told["timestamp"]) == (began, began + 86_400)
    poor, rich, idle = told["strategies"]
    assert (rich["since"], rich["traded_s"]) == (began, 86_400)
    assert (rich["profit_per_day_usd"], rich["win_rate"], rich["drawdown_usd"]) == (1.0, 0.5, 2.0)
    assert rich["gas_usd"] == {"filled": 11e-6, "reverted": 11e-6, "lost": 0.0}
    assert (poor["profit_per_day_usd"], poor["win_rate"], poor["drawdown_usd"]) == (-1.0, 0.0, 1.0)
    assert (idle["traded_s"], idle["win_rate"]) == (2, None)
    change = told["last_change"]
    assert (change["block"], change["began"], change["ended"]) == (3, [IDLE.name], [])
    assert change["since"]["profit_usd"] == -2.0


def test_people_read_it_where_there_is_room_or_when_they_ask(
    day_later: World, dexarb: Dexarb, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = dexarb("status", "-c", day_later.config).words
    assert "Since 2023-11-14 22:13 UTC (24 h): gas" in said
    assert "for 2 filled 0.000022, 1 reverted 0.000011" in said
    assert f"Last change of the strategies at block 3, 0 s ago: {IDLE.name} began." in said
    assert "Since then 1 sent, 0 filled, 1 reverted, 0 lost: net -2.00 USD" in said
    assert "drawdown" not in said
    asked = dexarb("status", "-c", day_later.config, "--performance").out
    (line,) = (line.split() for line in asked.splitlines() if RICH.name in line)
    assert line == [
        *RICH.name.split(),
        "+1.00",
        "50",
        "+1.00",
        "2.00",
        "0.000011",
        "0.000011",
        "0.00",
    ]
    assert "seen" not in asked
    monkeypatch.setenv("COLUMNS", "170")
    wide = dexarb("status", "-c", day_later.config, "--json").code
    assert wide == 0
    console = plain_console(file=StringIO(), width=170)
    console.print(answer(day_later.config, Selection()).render())
    assert isinstance(console.file, StringIO)
    heading = console.file.getvalue()
    assert all(column in heading for column in ("seen", "band USD", "drawdown", "gas lost"))


def test_by_hour_of_the_day(day_later: World, dexarb: Dexarb) -> None:
    told = dexarb("status", "-c", day_later.config, "--by-hour", "--json").json
    hours = told["by_hour"]
    assert [each["hour"] for each in hours] == [*range(24)]
    busy = [each for each in hours if each["settled"]]
    assert [(each["hour"], each["profit_usd"]) for each in busy] == [(22, 0.0)]
    assert busy[0]["win_rate"] == pytest.approx(1 / 3)
    said = dexarb("status", "-c", day_later.config, "--by-hour", "--filter", RICH.name)
    assert "of 1 strategies" in said.words
    (line,) = (line.split() for line in said.out.splitlines() if line.startswith(" 22"))
    assert line[:6] == ["22", "2", "1", "1", "0", "50"]
    assert "+1.00" in line
    both = dexarb("status", "-c", day_later.config, "--by-hour", "--watch")
    assert (both.code, "--by-hour and --watch do not go together" in both.err) == (2, True)


def test_an_empty_day_says_so(tmp_path: Path, dexarb: Dexarb) -> None:
    world = configure(tmp_path)
    world.ledger.parent.mkdir()
    with books.open_ledger(world.ledger) as ledger, ledger.block(1, books.block(1)) as block:
        block.set_strategies(STRATEGIES)
    assert "Nothing settled yet" in dexarb("status", "-c", world.config, "--by-hour").out
    assert "(0 s)" in dexarb("status", "-c", world.config).out


def test_books_of_the_schema_before_tell_the_same(tmp_path: Path, dexarb: Dexarb) -> None:
    """Blocks at which epochs begin are not kept there: the next in which something happened is."""
    world = configure(tmp_path)
    world.ledger.parent.mkdir()
    world.ledger.write_bytes(gzip.decompress(OLDER.read_bytes()))
    told = dexarb("status", "-c", world.config, "--json").json
    assert told["since"] == 1_700_000_006
    for row in told["strategies"]:
        assert row["gained"] <= row["filled"]
        assert 0 <= row["win_rate"] <= 1
        assert row["drawdown_usd"] >= max(0.0, -row["profit_usd"])
    assert told["last_change"]["block"] == 30
    assert dexarb("fills", "-c", world.config, "--since", "10s", "--json").json["fills"]


def test_of_some_time(day_later: World, dexarb: Dexarb) -> None:
    config = day_later.config
    told = dexarb("status", "-c", config, "--since", "1h", "--json").json
    sent = {row["name"]: (row["sent"], row["profit_usd"]) for row in told["strategies"]}
    assert sent == {POOR.name: (0, 0.0), RICH.name: (1, -2.0), IDLE.name: (0, 0.0)}
    assert told["since"] == told["timestamp"] - 3_600
    assert [row["seen"] for row in told["strategies"]] == [None] * 3
    said = dexarb("status", "-c", config, "--to", "1h", "--sort", "name")
    assert "2023-11-14 22:13 UTC to 2023-11-15 21:13 UTC (23 h): gas" in said.words
    assert "seen" not in said.out
    assert "+3.00" in said.out
    (row,) = csv.DictReader(
        StringIO(dexarb("status", "-c", config, "--since", "3", "--csv", "--filter", RICH.hash).out)
    )
    assert (row["seen"], row["sent"], row["profit_micro_usd"]) == ("", "1", "-2000000")
    hours = dexarb("status", "-c", config, "--by-hour", "--since", "1h", "--json").json["by_hour"]
    assert sum(each["settled"] for each in hours) == 1
    none = dexarb("status", "-c", config, "--since", "2099-01-01").words
    assert "Nothing sent in these blocks" in none
