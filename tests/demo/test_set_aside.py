"""A new run does not throw away what somebody did with the one before."""

from __future__ import annotations

from pathlib import Path

import pytest

from dexarb.demo.run import set_aside
from tests.support.command import Dexarb
from tests.support.traded import World, record_and_trade, strategy
from tests.support.worlds.small_chain import CHEAP, SmallChain, keyframe, weth_pool


def a_run(folder: Path, name: str) -> World:
    """With settings that somebody has edited."""
    chain = SmallChain(keyframe())
    updates = [chain.mine(weth_pool(CHEAP, 2_450)), chain.mine()]
    world = record_and_trade(folder, keyframe(), updates, strategy(name))
    (folder / "logs").mkdir()
    return world


def test_the_books_of_the_run_before_can_still_be_asked(tmp_path: Path, dexarb: Dexarb) -> None:
    assert set_aside(tmp_path) is None
    a_run(tmp_path, "edited")
    earlier = set_aside(tmp_path)
    assert earlier is not None
    assert sorted(path.name for path in tmp_path.iterdir()) == ["earlier"]
    a_run(tmp_path, "newer")
    for folder, name in ((earlier, "edited"), (tmp_path, "newer")):
        told = dexarb("status", "-c", folder / "paper_trading.toml", "--json").json
        assert [row["name"] for row in told["strategies"]] == [name]


@pytest.mark.parametrize("runs", [2, 3])
def test_one_run_is_kept(tmp_path: Path, runs: int) -> None:
    for number in range(runs):
        a_run(tmp_path, f"run {number}")
        earlier = set_aside(tmp_path)
    assert earlier is not None
    assert f'"run {runs - 1}"' in (earlier / "paper_trading.toml").read_text()
    assert sorted(path.name for path in earlier.iterdir()) == ["data", "logs", "paper_trading.toml"]
