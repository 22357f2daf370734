"""Tuning: other values around a strategy's own, chosen on one part and shown on the other."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from random import Random
from shutil import copytree
from statistics import median

import pytest

from dexarb.config.shipped_files import CLASSIC_STRATEGIES, SAMPLE_HISTORY
from dexarb.config.tuned_file import with_values
from dexarb.core.units import GWEI, MICRO_USD
from dexarb.study.sweep.results import rows_of
from dexarb.study.tuning import FACTORS, NEAR, Axes, Nets, axes_of, tuned
from tests.support.command import Dexarb, dexarb
from tests.support.worlds.small_chain import settings

__all__ = ["dexarb"]

OWN = replace(settings("mine"), priority_fee=40 * GWEI, max_slippage_ppm=5_000)


def axes() -> Axes:
    found = axes_of(OWN, 30 * GWEI)
    assert found is not None
    return found


def test_variants_are_all_products_of_the_factors_and_the_own_values_among_them() -> None:
    found = axes()
    expected = 1
    for name in found.changed:
        expected *= len(FACTORS[name])
    assert len(found.variants) == len({each.settings.hash for each in found.variants}) == expected
    (own,) = [each for each in found.variants if each.settings.hash == OWN.hash]
    assert own.settings is OWN
    for each in found.variants:
        for name, step in zip(found.changed, each.steps, strict=True):
            assert getattr(each.settings, name) == int(getattr(OWN, name) * FACTORS[name][step])


def test_a_strategy_without_a_bid_is_tried_around_the_chains() -> None:
    found = axes_of(replace(OWN, priority_fee=None), 30 * GWEI)
    assert found is not None
    bids = {each.settings.priority_fee for each in found.variants}
    assert bids == {None, 15 * GWEI, 60 * GWEI, 120 * GWEI}


@pytest.mark.parametrize("seed", range(6))
def test_figures_against_a_plain_reading(seed: int) -> None:
    random, found = Random(seed), axes()
    nets = {
        each.settings.hash: Nets(random.randint(-9, 99), random.randint(-99, 99), 1)
        for each in found.variants
    }
    told = tuned(found, nets)
    most = max(each.first for each in nets.values())
    assert told.best_nets.first == most == nets[told.best.hash].first
    (steps,) = [each.steps for each in found.variants if each.settings.hash == told.best.hash]
    near = [
        nets[each.settings.hash]
        for each in found.variants
        if each.steps != steps
        and all(abs(a - b) <= 1 for a, b in zip(each.steps, steps, strict=True))
    ]
    flat = [each for each in near if each.first >= NEAR * most]
    assert (told.neighbours, told.plateau) == (len(near), len(flat))
    assert told.plateau_rest == int(median([told.best_nets.rest, *(each.rest for each in flat)]))
    better = nets[told.best.hash].rest > nets[OWN.hash].rest
    assert told.chosen is (told.best if better else OWN)
    lost = told.overfit_per_day(2.0, 1.0)
    assert lost == told.best_nets.first / 2 - told.best_nets.rest


def test_what_earns_nothing_anywhere_is_kept() -> None:
    found = axes()
    told = tuned(found, {each.settings.hash: Nets(-5, -5, 1) for each in found.variants})
    assert told.is_kept
    assert told.best is OWN  # of equal ones the nearest
    assert told.plateau == 0


def test_comments_and_order_stay() -> None:
    text = (
        '# mine\n[general]\n\n[[strategy]]  # first\nname = "A"\nmin_profit_usd = 10  # ten\n'
        'pairs = ["WETH/USDC"]\n\n[[grid]]\nname = "B {min_profit_usd}"\nmin_profit_usd = [1, 2]\n'
    )
    chosen = replace(OWN, min_profit_micro_usd=2_500_000)
    fields = {"A": ("min_profit_micro_usd",), "B 1": ("min_profit_micro_usd",)}
    written, left = with_values(text, {"A": chosen, "B 1": chosen}, fields)
    assert written == text.replace("min_profit_usd = 10 ", "min_profit_usd = 2.5 ")
    assert left == ["B 1"]


def test_the_command_on_the_sample(dexarb: Dexarb, tmp_path: Path) -> None:
    history = copytree(SAMPLE_HISTORY, tmp_path / "history" / "137")
    (tmp_path / "two.toml").write_text(
        "".join(CLASSIC_STRATEGIES.read_text().partition('[[strategy]]\nname = "Aggressive"')[:1])
    )
    config, out = tmp_path / "two.toml", tmp_path / "tuned.toml"
    said = dexarb("tune", history, "-c", config, "-o", out, "--cores", "1", "--json")
    assert said.code == 0, said.err
    found = json.loads(said.out)
    assert [each["name"] for each in found["strategies"]] == ["Conservative", "Moderate"]
    query = """SELECT list_sum(daily_net_micro_usd), list_sum(daily_net_micro_usd_after)
        FROM read_parquet($path) WHERE hash = $hash"""
    for each in found["strategies"]:
        ((first, rest),) = rows_of(Path(found["file"]), query, hash=each["best"]["hash"])
        told = each["best"]["first_usd"], each["best"]["rest_usd"]
        assert told == (first / MICRO_USD, rest / MICRO_USD)
        assert told[0] >= each["own"]["first_usd"]
    assert found["written"] == str(out)
    assert dexarb("config", "check", "-c", out, "--chain", "config/polygon.toml").code == 0
    again = dexarb("tune", history, "-c", config, "-o", out)
    assert again.code == 2
    assert "none is written over" in again.err
    assert '"kind":"tune"' in (tmp_path / "history" / "trials.jsonl").read_text().replace(" ", "")
