"""Anyone writes the symbol of a token: on a screen and in a log it is text, whatever it says."""

from __future__ import annotations

import ast
import io
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Group
from rich.table import Table

from dexarb.core.market import Market
from dexarb.core.token import Token
from dexarb.screens.console import plain_console
from dexarb.screens.tables import as_text, spread_table
from dexarb.study.spreads import best_spreads
from tests.support.command import Dexarb
from tests.support.scenes import BOLD, OPENS, SHY, STRATEGIES, scene
from tests.support.traded import World, record_and_trade
from tests.support.worlds.small_chain import USDC, WETH, WMATIC

SOURCE = Path(__file__).parents[2] / "src" / "dexarb"
HOSTILE = {WETH: "[/w]", USDC: "[link=x]", WMATIC: ":boom:["}
PAIR = f"{HOSTILE[WETH]}/{HOSTILE[USDC]}"
ROUTE = " > ".join((HOSTILE[USDC], HOSTILE[WETH], HOSTILE[USDC]))


def hostile(token: Token) -> Token:
    return replace(token, symbol=HOSTILE[token.address])


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    first, updates = scene()
    first = replace(first, tokens=tuple(map(hostile, first.tokens)))
    return record_and_trade(tmp_path_factory.mktemp("hostile"), first, updates, *STRATEGIES)


@pytest.mark.parametrize(
    ("command", "shown"),
    [
        (("fills",), ROUTE),
        (("why", BOLD), None),
        (("why", BOLD, SHY), ROUTE),
        (("scan", "--block", str(OPENS)), ROUTE),
        (("spreads",), PAIR),
        (("rivals",), None),
        (("status",), None),
        (("config", "check"), None),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_every_screen_shows_a_symbol_as_it_is(
    world: World, dexarb: Dexarb, command: tuple[str, ...], shown: str | None
) -> None:
    told = dexarb(*command, "-c", world.config)
    assert told.code == 0, told.err
    assert shown is None or shown in told.out


def test_tables_in_a_log_show_a_symbol_as_it_is() -> None:
    first, _ = scene()
    market = Market(replace(first, tokens=tuple(map(hostile, first.tokens))))
    assert PAIR in as_text(spread_table(best_spreads(market.pools.values()), market))


@pytest.mark.parametrize("text", ["[/nope]", "[red]x[/red]", "[link=http://x]y", ":boom:", "[["])
def test_a_console_takes_no_text_for_markup_wherever_it_stands(text: str) -> None:
    table = Table(text, title=text, caption=text)
    table.add_row(text)
    buffer = io.StringIO()
    console = plain_console(file=buffer, width=80)
    console.print(Group(text, table), text)
    assert buffer.getvalue().count(text) == 6


def test_consoles_are_made_in_one_place_and_nobody_reads_markup() -> None:
    for path in SOURCE.rglob("*.py"):
        called = {
            node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            for node in ast.walk(ast.parse(path.read_text()))
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute)
        }
        assert not called & {"from_markup", "render_markup"}, path
        assert "Console" not in called or path == SOURCE / "screens" / "console.py", path
