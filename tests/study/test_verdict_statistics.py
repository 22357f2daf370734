"""The statistics behind a verdict, against others' and by hand."""

from __future__ import annotations

import sys
from importlib.abc import MetaPathFinder
from itertools import combinations

import numpy as np
import pytest
from scipy import stats

from dexarb.core.trade import StrategyHash
from dexarb.study.verdict.confirmation import holm, p_value
from dexarb.study.verdict.distributions import beta_cdf, binomial_bounds, t_tail
from dexarb.study.verdict.overfitting import PARTS, overfitting
from dexarb.study.verdict.selection import select
from dexarb.study.verdict.series import Series
from dexarb.study.verdict.sharpe import (
    deflated_sharpe,
    effective_trials,
    expected_best,
    probabilistic_sharpe,
)
from tests.study.trades import steady, trades, whole

ONE, TWO, THREE = (StrategyHash(letter * 16) for letter in "abc")


def series(values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Series:
    return Series(0, values, np.full(len(values), 5), 0.0)


@pytest.mark.parametrize("x", [0.0, 1e-6, 0.02, 0.3, 0.5, 0.9, 0.999, 1.0])
@pytest.mark.parametrize(("a", "b"), [(0.5, 0.5), (1, 30), (7, 0.5), (200, 3), (40, 4000)])
def test_beta_is_that_of_scipy(x: float, a: float, b: float) -> None:
    assert beta_cdf(x, a, b) == pytest.approx(stats.beta.cdf(x, a, b), rel=1e-10, abs=1e-14)


@pytest.mark.parametrize(("hits", "trials"), [(0, 30), (1, 30), (9, 300), (30, 30), (0, 100_000)])
def test_bounds_are_those_of_scipy(hits: int, trials: int) -> None:
    theirs = stats.binomtest(hits, trials).proportion_ci(0.95, method="exact")
    assert binomial_bounds(hits, trials) == pytest.approx((theirs.low, theirs.high), abs=1e-10)


@pytest.mark.parametrize("t", [-3.0, 0.0, 0.5, 4.2, 40.0])
@pytest.mark.parametrize("degrees", [1, 13, 55])
def test_t_is_that_of_scipy(t: float, degrees: int) -> None:
    assert t_tail(t, degrees) == pytest.approx(stats.t.sf(t, degrees), rel=1e-9)


RATIOS = np.array([0.5, 0.1, -0.2, 0.3, 0.05])


@pytest.mark.parametrize(
    ("values", "probabilistic", "deflated"),
    [
        (
            [1, -0.5, 2, 0.25, 0, 3.5, -1, 0.75, 0, 1.25],
            0.9760300852485371,
            0.8025420478261447,
        ),
        ([*[0.1] * 9, -0.8], 0.5401025114610681, 0.2108318409131577),
        (
            [0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, -1, 0, 2],
            0.9487493526419719,
            0.454875599893204,
        ),
    ],
)
def test_sharpe_ratios_are_those_of_skfolio(
    values: list[float], probabilistic: float, deflated: float
) -> None:
    """Its 1.12.2; `make study` asks it itself."""
    found = np.array(values, dtype=float)
    assert probabilistic_sharpe(found) == pytest.approx(probabilistic, abs=1e-12)
    assert deflated_sharpe(found, RATIOS, 5) == pytest.approx(deflated, abs=1e-12)


@pytest.mark.parametrize("days", [0, 1, 2])
def test_of_too_few_days_nothing_is_told(days: int) -> None:
    assert probabilistic_sharpe(np.arange(days, dtype=float)) is None


def test_the_best_of_more_is_luckier_and_copies_are_no_more() -> None:
    assert expected_best(200, 1.0) == pytest.approx(2.75, abs=0.03)
    chance = np.random.default_rng(1)
    alone = chance.normal(size=(40, 10))
    copies = np.repeat(alone[:, :1], 10, axis=1)
    assert effective_trials(alone, 10) > 9
    assert effective_trials(copies, 10) == pytest.approx(1.0)
    assert effective_trials(alone, 500) > 450


def test_overfitting_by_brute_force() -> None:
    chance = np.random.default_rng(3)
    columns = chance.normal(size=(PARTS * 3, 5))
    parts = np.split(columns, PARTS)
    below = []
    for inside in combinations(range(PARTS), PARTS // 2):
        half = np.concatenate([parts[each] for each in inside])
        rest = np.concatenate([parts[each] for each in range(PARTS) if each not in inside])
        best = int((half.mean(axis=0) / half.std(axis=0)).argmax())
        out = rest.mean(axis=0) / rest.std(axis=0)
        below.append(stats.rankdata(out)[best] / 6 <= 0.5)
    assert overfitting(columns) == pytest.approx(np.mean(below))
    columns[:, 2] += 1.5
    assert overfitting(columns) == 0.0


@pytest.mark.parametrize(
    ("p_values", "passes"),
    [
        ({ONE: 0.01, TWO: 0.02, THREE: 0.03}, {ONE, TWO, THREE}),
        ({ONE: 0.01, TWO: 0.03, THREE: 0.03}, {ONE}),
        ({ONE: 0.02, TWO: 0.02, THREE: 0.02}, set()),
        ({}, set()),
    ],
)
def test_holm(p_values: dict[StrategyHash, float], passes: set[StrategyHash]) -> None:
    assert holm(p_values, 0.05) == passes


def test_an_edge_has_a_small_p_value_and_noise_has_none() -> None:
    assert p_value(whole(steady(28), 28)) < 0.001
    chance = np.random.default_rng(5)
    found = [p_value(series(chance.standard_t(4, size=28))) for _ in range(400)]
    share = np.mean([value <= 0.05 for value in found])
    assert 0.01 < share < 0.075


def test_good_days_in_a_row_speak_less_than_ones_apart() -> None:
    apart = np.tile([2.0, 2.0, -1.0, -1.2], 7)
    assert p_value(series(np.sort(apart))) > 2 * p_value(series(apart))


@pytest.mark.parametrize(
    "days", [[[1.0] * 3] * 9, [[1.0]] * 28, [[-1.0] * 5] * 14, [[0.0] * 5] * 14, []]
)
def test_too_few_and_no_gains_are_no_evidence(days: list[list[float]]) -> None:
    assert p_value(whole(trades(days), len(days))) == 1.0


def test_selection_finds_the_edge_among_noise_and_nothing_where_there_is_none() -> None:
    chance = np.random.default_rng(7)
    tried = {StrategyHash(f"{n:016x}"): series(chance.normal(size=40)) for n in range(30)}
    none = select(tried, 30, dict.fromkeys(tried, 0))
    assert none.against is not None
    assert not none.against.superior
    assert none.against.spa > 0.05
    best = StrategyHash(f"{12:016x}")
    tried[best] = series(tried[best].net + 1.5)
    found = select(tried, 30, dict.fromkeys(tried, 0))
    assert found.against is not None
    assert found.against.superior == {best}
    assert found.against.spa < 0.01
    assert best in found.against.confidence_set
    assert found.ranking[0] == best
    luck, real = none.deflated[none.ranking[0]], found.deflated[best]
    assert luck is not None
    assert real is not None
    assert luck < 0.9
    assert real > 0.99


def test_selection_goes_without_arch(monkeypatch: pytest.MonkeyPatch) -> None:
    class Without(MetaPathFinder):
        def find_spec(self, name: str, *_: object) -> None:
            if name.partition(".")[0] == "arch":
                raise ModuleNotFoundError("No module named 'arch'", name="arch")

    for name in [each for each in sys.modules if each.partition(".")[0] == "arch"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setattr(sys, "meta_path", [Without(), *sys.meta_path])
    found = select({ONE: series(np.arange(20.0))}, 1, {ONE: 0})
    assert found.is_arch_missing
    assert found.against is None


def test_of_equals_the_net_decides() -> None:
    nothing = {ONE: series(np.zeros(0)), TWO: series(np.zeros(0))}
    assert select(nothing, 2, {ONE: 1, TWO: 2}).ranking == (TWO, ONE)
