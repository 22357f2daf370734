"""CSV: columns that stay, integers to the last digit, and text that is data."""

from __future__ import annotations

import csv
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest

from dexarb.core.evidence import Outcome
from dexarb.screens.csv_output import defused, iso, written
from tests.screens.test_fills import add_evidence
from tests.screens.test_fills import world as fills_world
from tests.store import books
from tests.support.command import Dexarb
from tests.support.traded import World, configure, row_of
from tests.support.worlds.blocks import TRADER
from tests.support.worlds.small_chain import settings

__all__ = ["fills_world"]

HOSTILE = '=HYPERLINK("http://evil","x"), \x1b[2J\n+1'
FILLS = (
    "strategy,strategy_hash,decision,decided_time,decided_block,decided_block_hash,time,block,"
    "block_hash,place,status,reorged,symbols,tokens,pools,amount_in,expected_out,amount_out,"
    "gas_used,gas_price_wei,gas_cost_micro_usd,expected_net_micro_usd,net_micro_usd,"
    "band_low_micro_usd,band_high_micro_usd,won_over_taker,outcome,closed_after_blocks,"
    "mover_block,mover_block_hash,mover_place,mover_transaction,mover_sender,mover_to,"
    "mover_paid_wei,gain_token,gain"
)
STRATEGIES = (
    "strategy,strategy_hash,state,stopped_by,since,traded_s,seen,sent,filled,gained,reverted,lost,"
    "expired,reorged,open,unplaced,profit_micro_usd,band_low_micro_usd,band_high_micro_usd,"
    "profit_per_day_micro_usd,drawdown_micro_usd,gas_cost_micro_usd,gas_filled_micro_usd,"
    "gas_reverted_micro_usd,gas_lost_micro_usd,won_over_taker_micro_usd,"
    "placed_profit_micro_usd"
)


def rows(out: str) -> list[dict[str, str]]:
    return list(csv.DictReader(StringIO(out)))


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        " =1",
        "\t=1",
        "\r=1",
        "\uff1d1",
        "\uff0b1",
        "\uff0d1",
        "\uff20a",
    ],
)
def test_what_a_spreadsheet_would_run_is_text(text: str) -> None:
    assert defused(text)[0] in "'\\"
    assert "\t" not in defused(text)
    assert "\r" not in defused(text)


@pytest.mark.parametrize("text", ["Moderate", "a=b", "0xabc", "WETH > USDC", "", " ", "é 漢"])
def test_other_text_stays_as_it_is(text: str) -> None:
    assert defused(text) == text


def test_no_terminal_obeys_it_and_no_reader_is_misled() -> None:
    assert defused("a\x1b[2Jb\x00\u202ec") == "a\\x1b[2Jb\\x00\\u202ec"


def test_numbers_are_numbers() -> None:
    assert written(-5) == "-5"
    assert written(2**200) == "1606938044258990275541962092341162602522202993782792835301376"
    assert (written(None), written(True), written(False)) == ("", "true", "false")
    assert (iso(0), iso(None)) == ("1970-01-01T00:00:00Z", None)


def test_fills_with_all_that_is_known_of_them(fills_world: World, dexarb: Dexarb) -> None:
    add_evidence(fills_world, Outcome.TAKEN, place=4)
    said = dexarb("fills", "-c", fills_world.config, "--csv")
    assert said.out.splitlines()[0] == FILLS
    first, second = rows(said.out)
    assert first["amount_in"] == str(2**200)
    assert first["amount_out"] == str(2**200 + 1)
    assert (first["net_micro_usd"], second["net_micro_usd"]) == ("3000000", "-1000000")
    assert first["time"] == "2023-11-14T22:13:24Z"
    assert first["block_hash"] == books.block(2).hash
    assert (first["mover_transaction"], first["mover_sender"]) == ("0xaa", TRADER)
    assert first["gain"] == str(2**99)
    assert (first["won_over_taker"], second["won_over_taker"]) == ("true", "false")


def test_an_unknown_place_leaves_its_cells_empty(fills_world: World, dexarb: Dexarb) -> None:
    late = books.decision("late", books.block(3))
    with books.open_ledger(fills_world.ledger) as ledger:
        with ledger.block(3, books.block(3)) as block:
            block.add_decisions([late])
        with ledger.block(4, books.block(4)) as block:
            block.add_fills([books.fill(late, books.block(4))._replace(place_known=False)])
    *_, last = rows(dexarb("fills", "-c", fills_world.config, "--csv").out)
    cells = ("place", "status", "net_micro_usd", "amount_out", "outcome", "gain")
    assert [last[cell] for cell in cells] == [""] * 6
    assert last["band_low_micro_usd"] == "2"


def test_all_fills_unless_somebody_says_how_many(fills_world: World, dexarb: Dexarb) -> None:
    with books.open_ledger(fills_world.ledger) as ledger:
        for seq in range(3, 30):
            made = books.decision(f"more {seq}", books.block(seq))
            with ledger.block(seq, books.block(seq)) as block:
                block.add_decisions([made])
                block.add_fills([books.fill(made, books.block(seq))])
    config = fills_world.config
    assert len(rows(dexarb("fills", "-c", config, "--csv").out)) == 29
    assert len(rows(dexarb("fills", "-c", config, "--csv", "--last", 3).out)) == 3
    assert len(dexarb("fills", "-c", config, "--json").json["fills"]) == 10


@pytest.fixture
def hostile(tmp_path: Path) -> World:
    """One strategy whose name is a formula."""
    made = configure(tmp_path)
    made.ledger.parent.mkdir()
    row = replace(row_of(settings("x")), name=HOSTILE)
    decision = books.decision("a", books.block(1), strategy=row.hash)
    with books.open_ledger(made.ledger) as ledger, ledger.block(1, books.block(1)) as block:
        block.set_strategies([row])
        block.add_decisions([decision])
        block.add_fills([books.fill(decision, books.block(1), net=-7, status="reverted")])
    return made


def test_strategies_with_exact_sums_and_harmless_names(hostile: World, dexarb: Dexarb) -> None:
    said = dexarb("status", "-c", hostile.config, "--csv")
    assert said.out.splitlines()[0] == STRATEGIES
    assert "\x1b" not in said.out
    (row,) = rows(said.out)
    assert row["strategy"] == '\'=HYPERLINK("http://evil","x"), \\x1b[2J\\n+1'
    assert (row["profit_micro_usd"], row["drawdown_micro_usd"]) == ("-7", "7")
    assert (row["gas_reverted_micro_usd"], row["gas_filled_micro_usd"]) == ("11", "0")
    assert (row["state"], row["since"]) == ("active", "2023-11-14T22:13:22Z")
    assert (row["profit_per_day_micro_usd"], row["stopped_by"]) == ("", "")


def test_csv_has_what_the_filter_leaves_and_only_a_header_for_nothing(
    hostile: World, dexarb: Dexarb
) -> None:
    said = dexarb("status", "-c", hostile.config, "--csv", "--filter", "nobody")
    assert said.out == f"{STRATEGIES}\n"
    assert (
        dexarb("fills", "-c", hostile.config, "--csv", "--since", "2099-01-01").out == f"{FILLS}\n"
    )


@pytest.mark.parametrize("command", ["fills", "status"])
def test_one_form_at_a_time(hostile: World, dexarb: Dexarb, command: str) -> None:
    said = dexarb(command, "-c", hostile.config, "--csv", "--json")
    assert (said.code, said.out) == (2, "")
    assert "--csv and --json do not go together" in said.err
