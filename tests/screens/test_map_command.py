"""dexarb map: net USD a day against the tip."""

from __future__ import annotations

from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console

from dexarb.screens.money_map import answer
from dexarb.screens.when import BlocksAsked
from dexarb.study.lived import Lived
from tests.support.command import Dexarb
from tests.support.recorded import record
from tests.support.scenes import scene
from tests.support.worlds.blocks import GWEI
from tests.support.worlds.small_chain import USDC, WETH

MATIC_USD = 0.5
SECONDS = 6
"""Blocks 102 to 107, one a second; what was open before block 101 nobody knows."""


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A spread opens at block 102 and stands in 103, one that opens at 106 is gone in 107."""
    return record(tmp_path_factory.mktemp("map"), *scene())


def test_what_stands_is_hit_at_any_tip_and_what_closes_at_the_higher(
    history: Path, dexarb: Dexarb
) -> None:
    told = dexarb("map", history, "--tip", 25, "--tip", 50, "--json").json
    first, second = dexarb("backruns", history, "--json").json["backruns"]
    low, high = told["without_trigger"]["tips"]
    assert (low["tip_gwei"], low["sends"], low["hits"], low["hit_rate"]) == (25, 2, 1, 0.5)
    assert (high["tip_gwei"], high["sends"], high["hits"]) == (50, 2, 2)

    def gas(each: dict[str, int], tip: int) -> float:
        return each["gas_units"] * tip * GWEI / 10**18 * MATIC_USD

    both = first["net_usd"] + second["net_usd"] - gas(first, 50) - gas(second, 50)
    assert high["net_usd"] == pytest.approx(both, rel=1e-3)
    assert high["misses_usd"] == 0
    hit = first["net_usd"] - gas(first, 25)
    assert low["net_usd"] == pytest.approx(hit - low["misses_usd"], rel=1e-3)
    assert 0 < low["misses_usd"] < gas(second, 25 + 30)
    assert low["net_usd_a_day"] == pytest.approx(low["net_usd"] * 86_400 / SECONDS)
    assert (low["place"], low["place_of"]) == (0.5, 0.5)
    assert low["band_usd"][0] < 0 < low["band_usd"][1]
    assert low["pairs"] == [
        {"tokens": sorted([USDC, WETH]), "net_usd": pytest.approx(hit, rel=1e-3)}
    ]
    assert told["without_trigger"]["best_tip_gwei"] == 50
    assert (told["blocks"], told["blocks_counted"], told["seconds_counted"]) == (7, 6, SECONDS)


def test_people_see_the_ladder(history: Path, dexarb: Dexarb) -> None:
    said = dexarb("map", history)
    told = {
        (name, rung["tip_gwei"]): rung
        for name in ("without_trigger", "with_trigger")
        for rung in dexarb("map", history, "--json").json[name]["tips"]
    }
    usual, best, seeing = (
        told["without_trigger", 30], told["without_trigger", 50], told["with_trigger", 25],
    )  # fmt: skip
    a_day = 86_400 / SECONDS
    assert (
        "One send per spread, without seeing its trigger: at 30 gwei place"
        f" {usual['place']:.0f} of {usual['place_of']:.0f}, hit rate {usual['hit_rate']:.0%},"
        f" misses cost {usual['misses_usd'] * a_day:,.2f},"
        f" net +{usual['net_usd'] * a_day:,.0f} USD a day; at 50 gwei, the best, place 0 of"
    ) in said.words
    assert f"misses cost 0.00, net +{best['net_usd'] * a_day:,.0f} USD a day." in said.words
    assert "One send per spread, seeing its trigger: at 30 gwei" in said.words
    assert "at 25 gwei, the best, place" in said.words
    assert f"net +{seeing['net_usd'] * a_day:,.0f} USD a day." in said.words
    assert "a place by tip can be told in 6" in said.words
    assert "5,000" in said.out
    assert "most by WETH/USDC" in said.words


def test_nothing_to_send(history: Path, dexarb: Dexarb) -> None:
    said = dexarb("map", history, "--to", 101)
    assert "without seeing its trigger: there was nothing to send." in said.words


def test_our_own_sends_stand_among_the_others(history: Path) -> None:
    """In order of tips, and over the days of all blocks, of which a place can be told in six."""
    asked = BlocksAsked(history, history / "none.toml", None, None, None)
    found = answer(asked, tips_gwei=[25, 50])
    assert found.as_json()["live"] is None
    ours = replace(found, live=Lived(4, 3, 2, 40 * GWEI, 1, 10_000, 700_000))
    live = ours.as_json()["live"]
    assert (live["tip_gwei"], live["net_usd"]) == (40, 0.7)
    assert live["net_usd_a_day"] == pytest.approx(0.6 * 86_400 / SECONDS)
    console = Console(width=100, record=True, file=StringIO())
    console.print(ours.render())
    text = console.export_text()
    rows = [line.split()[:2] for line in text.splitlines() if line.strip()]
    places = [next(n for n, row in enumerate(rows) if row[: len(of)] == of)
              for of in (["25"], ["us", "40"], ["50"])]  # fmt: skip
    assert places == sorted(places)
    assert "Our bot in these blocks: 4 sent, 3 included, 2 filled; 40 gwei" in " ".join(
        text.split()
    )
