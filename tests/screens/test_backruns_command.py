"""dexarb backruns: what opened inside a block, and who ended it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command import Dexarb
from tests.support.recorded import record
from tests.support.scenes import IS_TAKEN, OPENS, RIVAL, opened_and_taken, scene
from tests.support.worlds.blocks import GWEI, TRADER
from tests.support.worlds.small_chain import CHEAP, DEAR, USDC, WETH, SmallChain, keyframe

MATIC_USD = 0.5


@pytest.fixture(scope="module")
def history(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Block 101 is empty, 102 opens a spread and takes it."""
    first = keyframe()
    chain = SmallChain(first)
    blocks = [chain.mine(), opened_and_taken(chain, 2_450)]
    return record(tmp_path_factory.mktemp("backruns"), first, blocks)


def test_taken_in_the_block_that_opened_it(history: Path, dexarb: Dexarb) -> None:
    told = dexarb("backruns", history, "--json").json
    (run,) = told["backruns"]
    assert (run["block"], run["trigger"]["index"], run["trigger"]["sender"]) == (102, 0, TRADER)
    assert run["route"] == [CHEAP, DEAR]
    assert run["tokens"] == [USDC, WETH]
    gas = run["gas_units"] * 30 * GWEI / 10**18 * MATIC_USD
    profit = (int(run["amount_out"]) - int(run["amount_in"])) / 10**6
    assert run["gross_usd"] == pytest.approx(profit, abs=1e-6)
    assert run["net_usd"] == pytest.approx(profit - gas, rel=1e-3)
    ended = run["ended"]
    assert ended["block"] == 102
    assert (ended["by"]["index"], ended["by"]["target"]) == (1, RIVAL)
    assert ended["by"]["arbitrage"] is True
    assert ended["by"]["priority_fee"] == str(30 * GWEI)
    assert ended["by"]["bid_usd"] == pytest.approx(30e-9 * 100_000 * MATIC_USD, rel=1e-3)
    assert ended["usd_before"] == run["net_usd"]
    assert (run["transactions_between"], run["blocks_lived"]) == (0, 0)
    had = {"count": 1, "usd": run["net_usd"]}
    assert told["opened"] == told["behind_trigger"] == told["before_rival"] == had
    assert told["at_block_end"] == {"count": 0, "usd": 0}
    (pair,) = told["pairs"]
    assert pair["tokens"] == sorted([USDC, WETH])
    assert (pair["day"], pair["opened"]) == ("2023-11-14", had)
    order = told["order"]
    assert (order["blocks"], order["kept"], order["inversions"]) == (2, 2, 0)


def test_what_stands_at_the_end_of_the_block_lives_on(tmp_path: Path, dexarb: Dexarb) -> None:
    history = record(tmp_path, *scene())
    told = dexarb("backruns", history, "--json").json
    first, second = told["backruns"]
    assert first["block"] == OPENS
    assert first["at_block_end_usd"] == first["net_usd"] == first["most_usd"]
    assert first["ended"]["block"] == IS_TAKEN
    assert first["ended"]["by"]["target"] == RIVAL
    assert (first["blocks_lived"], first["transactions_between"]) == (IS_TAKEN - OPENS, None)
    assert second["ended"]["by"]["arbitrage"] is False
    assert told["at_block_end"]["count"] == 2
    early = dexarb("backruns", history, "--to", OPENS, "--json").json
    (run,) = early["backruns"]
    assert (run["ended"], run["blocks_lived"]) == (None, None)


def test_people_read_how_much_was_still_there(history: Path, dexarb: Dexarb) -> None:
    said = dexarb("backruns", history)
    net = dexarb("backruns", history, "--json").json["backruns"][0]["net_usd"]
    assert f"Of {net:.2f} USD that opened, 0.00 were still there at a block's end." in said.words
    assert "1 of them by an arbitrage, 1 right behind the trigger" in said.words
    assert "102:0" in said.out
    assert "+1*" in said.out
    assert "2 of 2 blocks stand in the order of their tips" in said.words


def test_nothing_opened(history: Path, dexarb: Dexarb) -> None:
    said = dexarb("backruns", history, "--to", 101)
    assert "Nothing that pays for its gas opened inside a block." in said.words
