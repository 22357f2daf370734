"""The least tip that lands on a chain, and where bids would stand among what landed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from dexarb.config.chain_profile import load_chain
from dexarb.config.paper import load_paper
from dexarb.core.profile import TipFloor
from dexarb.core.units import GWEI
from dexarb.errors import ConfigErrors
from dexarb.screens.config_check import answer
from dexarb.store.codec import decode, encode_keyframe
from dexarb.study.blockspace import BLOCKSPACE
from tests.support.recorded import record
from tests.support.worlds.small_chain import PROFILE, SmallChain, keyframe

POLYGON = Path(__file__).parent.parent.parent / "config" / "polygon.toml"
FLOOR = "[[tip_floor]]\nfrom_block = 0\ngwei = 25\n"


def strategies(folder: Path, *bids: str) -> Path:
    path = folder / "paper.toml"
    head = f"""\
[general]
state_file = "{folder}/pool_state.json"
ledger_file = "{folder}/ledger.sqlite"
[defaults]
pairs = ["WETH/USDC"]
min_profit_usd = 1.0
max_trade_size_usd = 1000.0
max_gas_gwei = 5000
"""
    tables = (f'[[strategy]]\nname = "s{n}"\n{bid}\n' for n, bid in enumerate(bids))
    path.write_text(head + "".join(tables))
    return path


def test_a_floor_holds_from_its_block_on() -> None:
    profile = replace(PROFILE, tip_floors=(TipFloor(10, 30), TipFloor(20, 25)))
    found = [profile.tip_floor(block) for block in (9, 10, 19, 20, 10**9)]
    assert found == [0, 30, 30, 25, 25]


def test_a_history_keeps_floors_and_says_nothing_of_none() -> None:
    first = keyframe()
    line = encode_keyframe(first, continues=False)
    assert b"tip_floors" not in line
    floors = (TipFloor(10, 30 * GWEI), TipFloor(20, 25 * GWEI))
    floored = replace(first, profile=replace(first.profile, tip_floors=floors))
    for each, text in ((first, line), (floored, encode_keyframe(floored, continues=False))):
        found = decode(text, "here")
        assert found.profile == each.profile  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("floors", "problem"),
    [
        (((5, 25), (5, 20)), "5 is not behind 5, where the one above it begins"),
        (((5, 31),), "30 is below the chain's floor of 31 gwei: it never lands"),
    ],
)
def test_floors_that_cannot_be_meant(
    tmp_path: Path, floors: tuple[tuple[int, int], ...], problem: str
) -> None:
    text = POLYGON.read_text()
    assert FLOOR in text
    more = (f"[[tip_floor]]\nfrom_block = {at}\ngwei = {gwei}\n" for at, gwei in floors)
    path = tmp_path / "polygon.toml"
    path.write_text(text.replace(FLOOR, "") + "".join(more))
    with pytest.raises(ConfigErrors, match=problem):
        load_chain(path)


def test_a_bid_below_the_floor_is_an_error(tmp_path: Path) -> None:
    path = strategies(tmp_path, "priority_fee_gwei = 24.9", "priority_fee_gwei = 25", "")
    found = answer(path, chain=POLYGON)
    assert [(error.line, error.problem) for error in found.errors] == [
        (11, "24.9 is below the chain's floor of 25 gwei: it never lands")
    ]
    assert found.exit_code == 2
    with pytest.raises(ConfigErrors, match="never lands"):
        load_paper(path).settings(PROFILE.tokens, tip_floor=25 * GWEI)


def test_where_bids_would_stand_and_that_one_is_below_all_that_landed(tmp_path: Path) -> None:
    first = keyframe()
    record(tmp_path, first, [SmallChain(first).mine()])
    state = tmp_path / "pool_state.json"
    tips = [str((26 + percent) * GWEI) for percent in range(101)]
    seen = {"blocks": 1_200, "lowest_tip": tips[0], "tips": tips}
    data = json.loads(state.read_text())
    state.write_text(json.dumps(data | {"metrics": {BLOCKSPACE: seen}}))
    bids = ["priority_fee_gwei = 25", "priority_fee_gwei = 76", "", "bid_percent = 5"]
    found = answer(strategies(tmp_path, *bids), chain=None)
    (warning,) = (each for each in found.warnings if "landed" in each.problem)
    problem = "a bid of 25 gwei is below all that landed in the last 1,200 blocks"
    assert (warning.line, warning.problem) == (11, f"{problem}: the lowest was 26 gwei")
    assert found.as_json()["bids"] == [
        {"gwei": 25.0, "strategies": 1, "percentile": 0},
        {"gwei": 30.0, "strategies": 1, "percentile": 4},
        {"gwei": 76.0, "strategies": 1, "percentile": 50},
    ]
    assert found.exit_code == 0
