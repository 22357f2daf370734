"""dexarb rivals: who took the spreads, from what the history has of him."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command import Dexarb
from tests.support.recorded import record
from tests.support.scenes import (
    IS_TAKEN,
    OPENS,
    RIVAL,
    RIVAL_BID,
    RIVAL_SIZE,
    opened_and_taken,
    round_trip,
    scene,
)
from tests.support.worlds.blocks import TRADER
from tests.support.worlds.small_chain import SmallChain, keyframe

GAS_USED = 100_000
MATIC_USD = 0.5


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return record(tmp_path_factory.mktemp("rivals"), *scene())


def test_gain_bid_failures_and_speed(history: Path, dexarb: Dexarb) -> None:
    told = dexarb("rivals", history, "--json").json
    (rival,) = told["rivals"]
    gain = (round_trip(2_450, 2_500, RIVAL_SIZE) - RIVAL_SIZE) / 10**6
    assert rival["target"] == RIVAL
    assert (rival["takes"], rival["last_block"]) == (1, IS_TAKEN)
    assert rival["gain_usd"] == pytest.approx(gain, abs=1e-6)
    bid = RIVAL_BID * GAS_USED / 10**18 * MATIC_USD
    assert rival["bid_share_of_gain"] == pytest.approx(bid / gain, rel=1e-3)
    assert (rival["transactions"], rival["failed"], rival["failed_share"]) == (2, 1, 0.5)
    assert rival["median_blocks_after_opening"] == IS_TAKEN - OPENS
    assert rival["same_block"] == 0
    assert told["cycles_opened"] == 2


def test_by_sender(history: Path, dexarb: Dexarb) -> None:
    (rival,) = dexarb("rivals", history, "--by", "sender", "--json").json["rivals"]
    assert rival["sender"] == TRADER
    assert rival["transactions"] == 7
    wrong = dexarb("rivals", history, "--by", "luck")
    assert wrong.code == 2
    assert "none of target, sender, selector" in wrong.err


def test_people_read_who_has_most_of_it(history: Path, dexarb: Dexarb) -> None:
    said = dexarb("rivals", history)
    assert "1 arbitrage by 1 target gained" in said.words
    assert "the first of them 100% of it" in said.words
    assert f"{RIVAL[:10]}.." in said.out


def test_what_is_taken_in_the_block_that_opens_it(tmp_path: Path, dexarb: Dexarb) -> None:
    first = keyframe()
    chain = SmallChain(first)
    history = record(tmp_path, first, [chain.mine(), opened_and_taken(chain, 2_450)])
    told = dexarb("rivals", history, "--json").json
    (rival,) = told["rivals"]
    assert (rival["same_block"], rival["median_blocks_after_opening"]) == (1, None)
    assert told["cycles_opened"] == 0


def test_nobody_took_anything(history: Path, dexarb: Dexarb) -> None:
    said = dexarb("rivals", history, "--from", 105)
    assert "Nobody took a spread, though 1 were open at a block's end." in said.words
    quiet = dexarb("rivals", history, "--to", 101)
    assert "nothing to take" in quiet.words
