"""Selection: a ranking of all that was tried, with what luck among so many would give as well.

SPA (Hansen, 2005), StepM (Romano and Wolf, 2005) and the model confidence set (Hansen, Lunde and
Nason, 2011) come from the package `arch`, which is loaded when it is asked for and may be missing.
None of it promotes anybody.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from dexarb.core.trade import StrategyHash
from dexarb.study.verdict.overfitting import overfitting
from dexarb.study.verdict.series import Floats, Series
from dexarb.study.verdict.sharpe import deflated_sharpe, effective_trials, sharpe

LEAST_DAYS = 10
MOST_IN_SET = 50
"""The model confidence set compares everyone with everyone."""
RESAMPLES = 1_000
BLOCK_DAYS = 3
LEVEL = 0.05
SET_LEVEL = 0.10
_SEED = 20_231


@dataclass(frozen=True, slots=True)
class Against:
    """Everybody at once against zero. spa: p-value of "not one of them gains". superior: those that
    gain although they were looked for (StepM, 5 %). confidence_set: those that may be the best of
    the first fifty (90 %)."""

    spa: float
    superior: frozenset[StrategyHash]
    confidence_set: frozenset[StrategyHash]


@dataclass(frozen=True, slots=True)
class Selection:
    """ranking: the best first, by charged mean over deviation of the days. deflated: by hash; None
    where it cannot be told. trials: how many independent ones the family is worth. against: None
    with too few days or without `arch`, which `is_arch_missing` tells."""

    days: int
    ranking: tuple[StrategyHash, ...]
    deflated: Mapping[StrategyHash, float | None]
    trials: float
    overfitting: float | None
    against: Against | None
    is_arch_missing: bool


def select(
    series: Mapping[StrategyHash, Series], family: int, nets: Mapping[StrategyHash, int]
) -> Selection:
    """series: of everybody, over the same days. family: how many were ever tried. nets: micro-USD
    of all that counts, for the order of those whose days do not tell yet."""
    names = ranking(series, nets)
    columns = (
        np.column_stack([series[name].charged for name in names]) if names else np.zeros((0, 0))
    )
    ratios = np.array([sharpe(columns[:, place]) for place in range(len(names))])
    trials = effective_trials(columns, family)
    against, is_missing = None, False
    if len(columns) >= LEAST_DAYS and columns.any():
        try:
            against = _against_zero(columns, names)
        except ModuleNotFoundError as error:
            if error.name != "arch":
                raise
            is_missing = True
    return Selection(
        days=len(columns),
        ranking=tuple(names),
        deflated={
            name: deflated_sharpe(columns[:, place], ratios, trials)
            for place, name in enumerate(names)
        },
        trials=trials,
        overfitting=overfitting(columns) if len(columns) else None,
        against=against,
        is_arch_missing=is_missing,
    )


def ranking(
    series: Mapping[StrategyHash, Series], nets: Mapping[StrategyHash, int]
) -> list[StrategyHash]:
    """The best first, see `select`."""
    return sorted(series, key=lambda name: (-sharpe(series[name].charged), -nets[name], name))


def _against_zero(columns: Floats, names: list[StrategyHash]) -> Against:
    """columns: in the order of the ranking."""
    from arch.bootstrap import MCS, SPA, StepM

    varying = np.flatnonzero(columns.std(axis=0) > 0)
    if not len(varying):
        return Against(1.0, frozenset(), frozenset())
    losses = -columns[:, varying]
    nothing = np.zeros(len(columns))
    settings: dict[str, Any] = {
        "block_size": BLOCK_DAYS, "reps": RESAMPLES, "bootstrap": "stationary", "seed": _SEED,
    }  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spa = SPA(nothing, losses, **settings)
        spa.compute()
        step = StepM(nothing, losses, size=LEVEL, **settings)
        step.compute()
        most = losses[:, :MOST_IN_SET]
        alone: list[Any] = [0]
        if most.shape[1] > 1:
            best = MCS(most, size=SET_LEVEL, **settings)
            best.compute()
            alone = list(best.included)
    superior: list[Any] = list(step.superior_models)
    return Against(
        float(spa.pvalues["consistent"]),
        frozenset(names[varying[place]] for place in superior),
        frozenset(names[varying[place]] for place in alone),
    )
