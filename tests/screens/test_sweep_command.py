"""dexarb sweep, as the documents show it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from dexarb.store.trials import Trial, TrialKind, read_register, register_of
from tests.support.command import Dexarb
from tests.support.recorded import record
from tests.support.scenes import scene

DOCUMENT = Path(__file__).parents[2] / "docs" / "sweep.md"


def test_the_grid_of_the_document(
    tmp_path: Path, dexarb: Dexarb, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second time there is nothing to do; another grid gets a folder of its own."""
    (text,) = re.findall(r"```toml\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    monkeypatch.chdir(tmp_path)
    grid = tmp_path / "grid.toml"
    grid.write_text(text)
    history = record(tmp_path / "data", *scene())
    words = ("sweep", history, "--grid", grid, "--cores", 1)
    found = dexarb(*words, "--json").json
    assert (found["configs"], len(found["best"])) == (96, 10)
    file = Path(found["file"])
    assert (file.exists(), file.parents[2]) == (True, history.parent)
    profits = [each["profit_usd"] for each in found["best"]]
    assert profits == sorted(profits, reverse=True)
    assert profits[0] > 0
    assert found["best"][0]["filled"] > 0
    stands = file.stat().st_mtime_ns
    said = dexarb(*words)
    assert said.code == 0
    assert "The best of 96 is lucky" in said.words
    assert file.stat().st_mtime_ns == stands
    grid.write_text(text.replace("5000]", "6000]"))
    assert dexarb(*words, "--json").json["file"] != str(file)
    assert dexarb(*words, "--out", file.parent).code == 3
    trials = [each for each in read_register(register_of(history)) if isinstance(each, Trial)]
    assert [(each.kind, each.configs) for each in trials] == [(TrialKind.SWEEP, 96)] * 2


def test_a_grid_that_is_wrong(tmp_path: Path, dexarb: Dexarb) -> None:
    history = record(tmp_path / "data", *scene())
    grid = tmp_path / "grid.toml"
    grid.write_text('[[grid]]\nname = "a"\npairs = ["WETH/USDT"]\nmin_profit_usd = [1, 1]\n')
    said = dexarb("sweep", history, "--grid", grid)
    assert said.code == 2
    assert "grid.toml" in said.err
