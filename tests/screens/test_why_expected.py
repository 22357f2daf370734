"""dexarb why, of strategies that weigh misses: what that has stopped, and whether it was true."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command import Dexarb
from tests.support.scenes import BOLD, OPENS_AGAIN, scene
from tests.support.traded import World, record_and_trade, strategy

CAREFUL, DARING = "Careful", "Daring"


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    folder: Path = tmp_path_factory.mktemp("expected")
    careful = strategy(CAREFUL) + "min_expected_usd = 2.5\n"
    daring = strategy(DARING) + "min_expected_usd = -100\n"
    return record_and_trade(folder, *scene(), strategy(BOLD), careful, daring)


def test_what_is_mostly_missed_is_told_with_its_key(world: World, dexarb: Dexarb) -> None:
    told = dexarb("why", CAREFUL, "-c", world.config, "--json").json
    assert (told["sent"], told["stopped"], told["p_fill"]) == (0, {"expected": 3}, None)
    (miss,) = told["nearest_misses"]
    assert (miss["reason"], miss["needed_usd"]) == ("expected", 2.5)
    assert 0 < miss["best_usd"] < 2.5
    assert told["obstacle"]["parameter"] == "min_expected_usd"
    said = dexarb("why", CAREFUL, "-c", world.config).words
    assert "min_expected_usd stands most in the way: it stopped 3 of 3" in said
    assert "2.50 USD with misses counted in" in said
    assert "too little after misses" in said


def test_chances_are_set_against_what_came(world: World, dexarb: Dexarb) -> None:
    told = dexarb("why", DARING, "-c", world.config, "--json").json["p_fill"]
    assert (told["settled"], told["came_percent"]) == (2, 50.0)
    (band,) = told["bands"]
    assert (band["from_percent"], band["to_percent"], band["settled"]) == (0, 10, 2)
    assert 2.0 <= band["predicted_percent"] < 10
    said = dexarb("why", DARING, "-c", world.config).words
    assert f"0 to 10 % 2 {band['predicted_percent']:.1f} % 50.0 %" in said


def test_it_sends_what_the_same_strategy_sends_that_does_not_weigh(
    world: World, dexarb: Dexarb
) -> None:
    told = dexarb("why", BOLD, DARING, "-c", world.config, "--json").json
    assert (told["both"], told["first_alone"], told["second_alone"]) == (2, 0, 0)


def test_deciding_again_counts_from_where_the_trader_has(world: World, dexarb: Dexarb) -> None:
    told = dexarb("why", CAREFUL, DARING, "-c", world.config, "--json").json
    assert told["decisions_differing_from_ledger"] == 0
    careful, _ = told["episodes"][-1]["stands"]
    assert told["episodes"][-1]["opened_block"] == OPENS_AGAIN
    assert (careful["reason"], careful["needed_usd"]) == ("expected", 2.5)
