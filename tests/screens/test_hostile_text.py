"""Whoever wrote a symbol, a name or a reason: on every screen and in every log it is text.

Anybody names a token, nodes word their errors, and files can be anybody's.
"""

from __future__ import annotations

import ast
import csv
import io
import json
import logging
import re
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from importlib import import_module
from pathlib import Path

import pytest
import structlog
from rich.console import Group
from rich.table import Table
from rich.text import Text

from dexarb import apps, demo, screens
from dexarb.apps.process import start_logging
from dexarb.core.market import Market
from dexarb.core.route import Cycle, Hop
from dexarb.core.text import in_a_line
from dexarb.core.token import Address
from dexarb.core.trade import StrategyHash
from dexarb.core.traffic import Change, Flow, SwapCount, Traffic
from dexarb.screens import status
from dexarb.screens.alerts_test import AlertsTest, Sent
from dexarb.screens.answer import Answer, show
from dexarb.screens.bot_report import Report
from dexarb.screens.console import plain_console
from dexarb.screens.history_backfill import BackfilledHistory, Cost
from dexarb.screens.history_import import Began, ImportedHistory, NotFound
from dexarb.screens.names import Names
from dexarb.screens.output import complain
from dexarb.screens.probe import Probed, ProbedCycles
from dexarb.screens.reload_command import Reload
from dexarb.screens.replay import answer_as
from dexarb.screens.sweep import Swept
from dexarb.screens.tables import as_text, spread_table
from dexarb.screens.tune import TunedStrategies
from dexarb.store.ledger_notes import METERING, Metering, ReloadOutcome
from dexarb.store.ledger_rows import StrategyTotals
from dexarb.study.bot_report import report
from dexarb.study.live_results import Optimism
from dexarb.study.live_trades import LiveTrades
from dexarb.study.spreads import best_spreads
from dexarb.study.sweep.plan import Plan
from dexarb.study.tuning import Nets, Tuned
from tests.support.command import Dexarb
from tests.support.recorded import record
from tests.support.scenes import BOLD, OPENS, RIVAL, SHY, STRATEGIES, scene
from tests.support.traded import World, configure, record_and_trade, strategy
from tests.support.worlds.small_chain import CHEAP, DEAR, USDC, settings

SOURCE = Path(__file__).parents[2] / "src" / "dexarb"

HOSTILE = {
    "markup": "[/nope][/] [link=http://x]U[/link] :boom:[",
    "codes": "\x1b[2J\x1b]8;;http://x\x07A\x1b]8;;\x07\x9b31mB\r\x08\x00C\u202eDSU\u2066\u200f\ufeff",
    "lines": "A\n\nBold 9 9 9 +1,000.00\tB\u2028C",
    "long": "X" * 10_000,
}
"""Text as it can stand in a symbol, a name, a reason."""

COLOURS = re.compile(r"\x1b\[[0-9;]*m")
MOST_LINES = 250
"""Of the longest screen here; what repeats 10,000 characters has more."""


def assert_harmless(shown: str) -> None:
    """Our own colours aside, nothing that does anything to a terminal."""
    bare = COLOURS.sub("", shown)
    unseen = {c for c in bare if not c.isprintable() and c not in "\n\t"}
    assert not unseen
    assert bare.count("\n") < MOST_LINES


@dataclass(frozen=True)
class Hostile:
    """A world that was traded in, and in which everything then got such a name."""

    world: World
    text: str
    history: Path
    config_check: Path


def spoil_ledger(world: World, text: str) -> None:
    with sqlite3.connect(world.ledger) as connection:
        names = [each for (each,) in connection.execute("SELECT name FROM strategies")]
        for name in names:
            connection.execute(
                "UPDATE strategies SET name = ? WHERE name = ?", (f"{name}{text}", name)
            )
        connection.execute(
            "INSERT INTO incidents (seq, strategy, problem)"
            " SELECT blocks.seq, strategies.hash, ? FROM blocks, strategies LIMIT 1",
            (f"Error: {text}",),
        )
        connection.execute(
            "INSERT INTO probes (seq, cycle, start_pool, block_number, block_hash, amount_in,"
            " expected_out, expected_gas, refusal, until_block)"
            " SELECT 2, cycle, start_pool, 1, '0x', '1', '2', 3, ?, 100000 FROM routes",
            (text,),
        )
        connection.execute(
            "INSERT INTO skips (strategy, hour, reason, times)"
            " SELECT hash, 1, 'not_executable', 1 FROM strategies"
        )
        metering = Metering(text, True, 1, None, 0, 1, text, "{}")
        connection.execute(
            "INSERT INTO meta VALUES (?, ?)", (METERING.meta_key, METERING.encode(metering))
        )
    connection.close()


def spoil_state(world: World, text: str) -> None:
    state = json.loads(world.state.read_bytes())
    state["chain"]["name"] = text
    state["metrics"] = {
        "endpoints": [{"endpoint": text, "state": "lagging", "reason": text}],
        "left_out": [text] * 5,
        "unpriced": {text: f"{text} has no price"},
    }
    world.state.write_text(json.dumps(state))


@pytest.fixture(scope="module")
def traded(tmp_path_factory: pytest.TempPathFactory) -> World:
    return record_and_trade(tmp_path_factory.mktemp("traded"), *scene(), *STRATEGIES)


@pytest.fixture(scope="module", params=list(HOSTILE.values()), ids=list(HOSTILE))
def hostile(
    request: pytest.FixtureRequest, traded: World, tmp_path_factory: pytest.TempPathFactory
) -> Hostile:
    text: str = request.param
    folder = tmp_path_factory.mktemp("hostile")
    first, updates = scene()
    profile = replace(first.profile, name=text, tokens={})
    first = replace(
        first,
        profile=profile,
        tokens=tuple(replace(each, symbol=f"{each.symbol}{text}") for each in first.tokens),
        pools=tuple(replace(each, dex=f"{each.dex}{text}") for each in first.pools),  # type: ignore[type-var]
    )
    swaps = SwapCount(Address(CHEAP), text, 1), SwapCount(RIVAL, text, 1)
    flow = Flow(0, (0, 1), True, (), (Change(USDC, "1000000"),))
    updates[-1] = replace(updates[-1], traffic=Traffic(swaps, (flow,)))
    history = record(folder / "data", first, updates)
    world = World(folder)
    shutil.copy(traded.ledger, world.ledger)
    configure(folder)
    with sqlite3.connect(world.ledger) as connection:
        connection.execute("UPDATE meta SET value = ? WHERE key = 'history'", (str(history),))
    connection.close()
    spoil_ledger(world, text)
    spoil_state(world, text)
    # What stands in a file of strategies is one line that can be seen, or is refused.
    name = in_a_line(text, 1_000)
    checked = configure(
        tmp_path_factory.mktemp("checked"), strategy(f"{name} a"), strategy("b", size_usd=1.0)
    )
    return Hostile(world, text, history, checked.config)


def reloaded(found: Hostile) -> Answer:
    text = found.text
    return Reload(ReloadOutcome(1, "SIGHUP", text, 0.0, 0.0, changes=(text,), counts={text: 1}))


def refused(found: Hostile) -> Answer:
    return Reload(ReloadOutcome(1, "SIGHUP", found.text, 0.0, 0.0, errors=(found.text,)))


OF_LEDGER: dict[str, tuple[str, ...]] = {
    "Status": ("status",),
    "AllInBrief": ("why",),
    "OneInFull": ("why", BOLD),
    "Comparison": ("why", BOLD, SHY),
    "Fills": ("fills",),
    "ByHour": ("status", "--by-hour"),
    "AllVerdicts": ("verdict",),
    "FinalistList": ("finalists", "show"),
}
OF_HISTORY: dict[str, tuple[object, ...]] = {
    "Spreads": ("spreads",),
    "Rivals": ("rivals",),
    "Backruns": ("backruns",),
    "Map": ("map",),
    "Winners": ("winners",),
    "Census": ("census",),
    "Findings": ("scan", "--block", OPENS),
    "Calibrated": ("calibrate", "--to", OPENS),
    "CheckedHistory": ("history", "check"),
}
OTHERS = {
    "BackfilledHistory",
    "CheckedConfig",
    "CheckedSettings",
    "Diagnosis",
    "ImportedHistory",
    "ProbedCycles",
    "Reload",
    "Report",
    "Swept",
    "TunedStrategies",
}
COPIES = {"BackedUp", "RestoredBackup"}
ELSEWHERE = {
    "AlertsTest",
    "Begun",
    "BotStatus",
    "Errand",
    "Finished",
    "KeyFile",
    "Ordered",
    "Promoted",
    "PrunedHistory",
    "ReplayedHistory",
    "Reported",
}
"""The demo's last screen: its tables are those of status and of the trader's log. Pruning and
beginning show no text of the chain."""


def test_every_screen_is_here() -> None:
    """A new screen comes with its command."""
    for package in (apps, screens, demo):
        for path in Path(str(package.__file__)).parent.glob("*.py"):
            import_module(f"{package.__name__}.{path.stem}")
    ours = {
        each.__name__ for each in Answer.__subclasses__() if each.__module__.startswith("dexarb.")
    }
    assert ours == OF_LEDGER.keys() | OF_HISTORY.keys() | OTHERS | COPIES | ELSEWHERE


@pytest.mark.parametrize("screen", [*OF_LEDGER, *OF_HISTORY])
def test_every_screen_shows_text_as_text(hostile: Hostile, dexarb: Dexarb, screen: str) -> None:
    if screen in OF_LEDGER:
        command, *names = OF_LEDGER[screen]
        names = [f"{each}{hostile.text}" if each in (BOLD, SHY) else each for each in names]
        words: tuple[object, ...] = (command, *names, "-c", hostile.world.config)
    else:
        words = (*OF_HISTORY[screen], hostile.history)
    told = dexarb(*words)
    assert told.code == 0, told.err
    assert_harmless(told.out)
    assert_harmless(told.err)
    as_json = dexarb(*words, "--json")
    assert json.loads(as_json.out)
    assert as_json.out.isascii()


def test_finalists_and_promoting_show_text_as_text(hostile: Hostile, dexarb: Dexarb) -> None:
    name = f"{BOLD}{hostile.text}"
    for code, *words in (
        (0, "finalists", "register", name, "--rule", hostile.text, "--replace"),
        (0, "finalists", "show"),
        (1, "promote", name),
    ):
        told = dexarb(*words, "-c", hostile.world.config)
        assert told.code == code, told.err
        assert_harmless(told.out + told.err)


@pytest.mark.parametrize("command", ["status", "fills"])
def test_csv_is_text_and_no_formula(hostile: Hostile, dexarb: Dexarb, command: str) -> None:
    told = dexarb(command, "-c", hostile.world.config, "--csv")
    assert told.code == 0, told.err
    assert_harmless(told.out)
    header, *rows = csv.reader(io.StringIO(told.out))
    assert rows
    assert {len(row) for row in rows} == {len(header)}
    assert not any(cell[:1] in "=+@" for row in rows for cell in row if cell)


def test_the_first_screen_shows_text_as_text_in_colour(hostile: Hostile) -> None:
    found = status.answer(hostile.world.config, status.Selection())
    buffer = io.StringIO()
    plain_console(file=buffer, width=80, force_terminal=True).print(found.render())
    assert COLOURS.search(buffer.getvalue())
    assert_harmless(buffer.getvalue())


def not_sent(found: Hostile) -> Answer:
    return AlertsTest(["silence"], [Sent("json #1", found.text), Sent("json #2", None, 1.0)])


def probed(found: Hostile) -> Answer:
    token, other = Address(USDC), Address(CHEAP)
    cycle = Cycle((Hop(CHEAP, token, other), Hop(DEAR, other, token)))
    said = Probed(cycle, 1, 2, 3, refusal=found.text), Probed(cycle, 1, 2, 3, skipped=found.text)
    return ProbedCycles(1, 2, said, Names({}, {}, {}), found.text, estimates=False)


def imported(found: Hostile) -> Answer:
    missing = NotFound(found.text, found.text, 500, found.text, CHEAP)
    began = Began(CHEAP, "uniswap_v2", found.text, 7, "event")
    return ImportedHistory(Path("h"), 1, 5, 6, 1, 2, 1, [began], [missing], [found.text])


def backfilled(found: Hostile) -> Answer:
    began = Began(CHEAP, "uniswap_v2", found.text, 7, "event")
    cost = Cost(1, 2, 3)
    return BackfilledHistory(Path("h"), 9, 5, 0, 4, [began], cost, cost, yes=True, pools=0)


def swept(found: Hostile) -> Answer:
    plan = Plan("a", "1", "h", 1, 2, 1, 1, [1], 10.0, 2, 1, 1)
    row = StrategyTotals(StrategyHash("b"), found.text, *[0] * 18)
    return Swept(plan, 1.0, Path("results.parquet"), [row])


def retuned(found: Hostile) -> Answer:
    own = settings(found.text)
    best = replace(own, min_profit_micro_usd=7)
    nets = Nets(1, 2, 3)
    one = Tuned(own, best, best, ("min_profit_micro_usd",), 2, nets, nets, 1, 1, 2)
    plan = Plan("a", "1", "h", 1, 2, 1, 1, [1], 10.0, 2, 1, 1)
    return TunedStrategies([one], plan, 1, (1.0, 1.0), Path("r"), None, [found.text])


def reported(found: Hostile) -> Answer:
    """Of a bot. Names stand in its CSV alone."""
    trades = LiveTrades([], [], {}, "places are not known: " + found.text)
    return Report(report(trades, Optimism(0, 0, 0, 0, 0, 0, 0)), trades, Names({}, {}, {}))


@pytest.mark.parametrize(
    "made", [reloaded, refused, not_sent, probed, imported, backfilled, swept, retuned, reported]
)
def test_what_others_answer_is_text(
    hostile: Hostile, made: Callable[[Hostile], Answer], capsys: pytest.CaptureFixture[str]
) -> None:
    show(made(hostile), as_json=False)
    out, err = capsys.readouterr()
    assert_harmless(out + err)


def test_a_replay_shows_text_as_text(
    hostile: Hostile, dexarb: Dexarb, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The names are the ledger's; what differs is told."""
    live, again = hostile.world.ledger, tmp_path / "a"
    told = dexarb("replay", "--as-ledger", live, "--ledger", again, "--json")
    assert told.code == 1
    assert told.out.isascii()
    assert_harmless(told.err)
    assert show(answer_as(live, None, again), as_json=False) == 1
    out, err = capsys.readouterr()
    assert_harmless(out + err)


def test_copies_and_a_look_at_everything_show_text_as_text(
    hostile: Hostile, dexarb: Dexarb, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(hostile.world.folder, tmp_path / "run")
    monkeypatch.chdir(tmp_path / "run")
    world = configure(tmp_path / "run")
    for code, *words in (
        (0, "backup", "copy", "-c", world.config),
        (3, "restore", "copy", "-c", world.config),
        (0, "restore", "copy", "-c", world.config, "--force"),
        (1, "doctor", "-c", world.config, "--collector", "none.toml"),
    ):
        told = dexarb(*words)
        assert told.code == code, told.err
        assert_harmless(told.out + told.err)


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_chain_profile_shows_text_as_text(tmp_path: Path, dexarb: Dexarb, kind: str) -> None:
    path = tmp_path / "chain.toml"
    shutil.copy(SOURCE.parents[1] / "config" / "polygon.toml", path)
    text = path.read_text().replace('"WBTC"', "WBTC").replace("WBTC ", "HOSTILE ", 1)
    text = text.replace("token = WBTC", 'token = "HOSTILE"')
    path.write_text(
        text.replace('"HOSTILE"', "HOSTILE").replace("HOSTILE", json.dumps(HOSTILE[kind]))
    )
    told = dexarb("config", "check", "-c", path)
    assert told.code == 0, told.err
    assert_harmless(told.out + told.err)


def test_a_checked_file_shows_text_as_text(hostile: Hostile, dexarb: Dexarb) -> None:
    told = dexarb("config", "check", "-c", hostile.config_check)
    assert told.code == 0, told.err
    assert_harmless(told.out)
    assert_harmless(told.err)


@pytest.mark.parametrize("kind", ["codes", "lines"])
def test_a_name_that_no_screen_shows_is_refused(tmp_path: Path, dexarb: Dexarb, kind: str) -> None:
    written = json.dumps(HOSTILE[kind], ensure_ascii=True)
    world = configure(tmp_path, strategy("x").replace('"x"', written))
    told = dexarb("config", "check", "-c", world.config)
    assert told.code == 2
    assert "has characters that no screen shows. Write" in told.err
    assert_harmless(told.err)


def test_tables_in_a_log_show_a_symbol_as_it_is() -> None:
    first, _ = scene()
    profile = replace(first.profile, tokens={})
    tokens = tuple(replace(each, symbol=f"[/{each.symbol}]") for each in first.tokens)
    market = Market(replace(first, profile=profile, tokens=tokens))
    shown = as_text(spread_table(best_spreads(market.pools.values()), market))
    assert "[/WETH]/[/USDC]" in shown


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_log_shows_text_as_text(
    tmp_path: Path, text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    try:
        path = start_logging("hostile", "info", tmp_path)
        structlog.get_logger("x").warning(f"said {text}", reason=text, names=[text])
        assert path is not None
        assert_harmless(path.read_text() + capsys.readouterr().err)
    finally:
        logging.basicConfig(handlers=[], force=True)
        structlog.reset_defaults()


def test_errors_show_text_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    for text in HOSTILE.values():
        complain(f"error: {text}")
    err = capsys.readouterr().err
    assert_harmless(err)
    assert max(map(len, err.splitlines())) < 3_000


@pytest.mark.parametrize("text", ["[/nope]", "[red]x[/red]", "[link=http://x]y", ":boom:", "[["])
def test_a_console_takes_no_text_for_markup_wherever_it_stands(text: str) -> None:
    table = Table(text, title=text, caption=text)
    table.add_row(text)
    buffer = io.StringIO()
    console = plain_console(file=buffer, width=80)
    console.print(Group(text, table), text)
    assert buffer.getvalue().count(text) == 6


def test_what_is_dropped_leaves_the_rest_in_its_colours_and_columns() -> None:
    text = Text("ab\x1b[2Jc", style="red").append("\u202ed\x07e", style="bold")
    table = Table("h\x1b[1m", title="t\u2066")
    table.add_row(text)
    table.add_row("r\x1b[3m")
    buffer = io.StringIO()
    plain_console(file=buffer, width=40, force_terminal=True, color_system="standard").print(table)
    shown = buffer.getvalue()
    assert "\x1b[31mab\x1b[0m" in shown
    assert "\x1b[1;31mde\x1b[0m" in shown
    lines = COLOURS.sub("", shown).splitlines()
    assert len({len(line) for line in lines}) == 1
    assert "│ ab[2Jcde │" in lines


def calls(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            yield node.func.id if isinstance(node.func, ast.Name) else node.func.attr


def test_consoles_are_made_in_one_place_and_nobody_reads_markup() -> None:
    for path in SOURCE.rglob("*.py"):
        called = set(calls(path))
        assert not called & {"from_markup", "render_markup"}, path
        assert not called & {"Console", "_PlainConsole"} or path.name == "console.py", path
