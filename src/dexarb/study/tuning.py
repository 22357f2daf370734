"""What people do by hand: other values around those of a strategy, the best of them on the first
part of a history, and what that choice comes to on the rest."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from pathlib import Path
from statistics import median
from typing import Any

from dexarb.core.trade import StrategyHash
from dexarb.core.units import PPM
from dexarb.study.sweep.results import rows_of
from dexarb.trading.strategy import THRESHOLD, StrategySettings

FACTORS: Mapping[str, tuple[float, ...]] = {
    "min_profit_micro_usd": (0.25, 0.5, 1, 2, 4),
    "max_trade_size_micro_usd": (0.5, 1, 2),
    "max_slippage_ppm": (0.5, 1, 2),
    "priority_fee": (0.5, 1, 2, 4),
    "bid_ppm": (0.5, 1, 2, 4),
}
"""Times the strategy's own value; of the bids, the one that it has."""
NEAR = 0.9
"""A neighbour is on the plateau that comes to so much of the best."""

_Steps = tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Variant:
    """steps: which factor of each parameter in `changed`, in its order."""

    settings: StrategySettings
    steps: _Steps


@dataclass(frozen=True, slots=True)
class Axes:
    """The variants of one strategy; own: itself, one of them."""

    own: StrategySettings
    changed: tuple[str, ...]
    variants: tuple[Variant, ...]


@dataclass(frozen=True, slots=True)
class Nets:
    """In micro-USD: of what was decided before the split, and from there on. trades: filled,
    reverted or lost."""

    first: int
    rest: int
    trades: int


@dataclass(frozen=True, slots=True)
class Tuned:
    """best: on the first part. plateau: so many of `neighbours`, a step or less away in each
    parameter, came near it there, and plateau_rest is the median of these on the rest. chosen: best
    where it was better than the strategy's own values on the rest as well, else these.
    """

    own: StrategySettings
    best: StrategySettings
    chosen: StrategySettings
    changed: tuple[str, ...]
    variants: int
    own_nets: Nets
    best_nets: Nets
    neighbours: int
    plateau: int
    plateau_rest: int

    @property
    def is_kept(self) -> bool:
        """Whether the strategy's own values stay."""
        return self.chosen is self.own

    def overfit_per_day(self, first_days: float, rest_days: float) -> float:
        """Micro-USD a day that the best lost between the first part and the rest."""
        return self.best_nets.first / first_days - self.best_nets.rest / rest_days


def axes_of(settings: StrategySettings, default_bid: int) -> Axes | None:
    """default_bid: wei per gas, the chain's, for a strategy that states none. None for own
    strategies, which a sweep cannot run."""
    if settings.kind != THRESHOLD:
        return None
    base = {name: getattr(settings, name) for name in FACTORS}
    if not base["priority_fee"] and not base["bid_ppm"]:
        base["priority_fee"] = default_bid
    changed = tuple(name for name in FACTORS if base[name])
    found: dict[StrategyHash, Variant] = {settings.hash: Variant(settings, _middle(changed))}
    for steps in product(*(range(len(FACTORS[name])) for name in changed)):
        values: dict[str, Any] = {
            name: _times(name, base[name], FACTORS[name][step])
            for name, step in zip(changed, steps, strict=True)
            if FACTORS[name][step] != 1
        }
        other = replace(settings, name=f"{settings.name} {steps}", **values)
        found.setdefault(other.hash, Variant(other, steps))
    return Axes(settings, changed, tuple(found.values()))


def _middle(changed: Sequence[str]) -> _Steps:
    return tuple(FACTORS[name].index(1) for name in changed)


def _times(name: str, value: int, factor: float) -> int:
    scaled = int(value * factor)
    return min(scaled, PPM) if name.endswith("_ppm") else scaled


def nets_of(results: Path) -> dict[StrategyHash, Nets]:
    """Of a sweep that told what was decided behind its split apart. Raises StoreError."""
    query = """SELECT hash, list_sum(daily_net_micro_usd), list_sum(daily_net_micro_usd_after),
        list_sum(daily_trades) + list_sum(daily_trades_after) FROM read_parquet($path)"""
    return {
        StrategyHash(name): Nets(int(first), int(rest), int(trades))
        for name, first, rest, trades in rows_of(results, query)
    }


def tuned(axes: Axes, nets: Mapping[StrategyHash, Nets]) -> Tuned:
    own = axes.own
    # Of equal ones the nearest to what the user had.
    best = max(
        axes.variants,
        key=lambda each: (nets[each.settings.hash].first, -_distance(each.steps, axes.changed)),
    )
    most = nets[best.settings.hash].first
    around = list(_neighbours(best, axes.variants))
    plateau = [
        each for each in around if most > 0 and nets[each.settings.hash].first >= NEAR * most
    ]
    rest = [nets[each.settings.hash].rest for each in (best, *plateau)]
    is_better = most > 0 and nets[best.settings.hash].rest > nets[own.hash].rest
    chosen = best.settings if is_better else own
    return Tuned(
        own, best.settings, chosen, axes.changed, len(axes.variants), nets[own.hash],
        nets[best.settings.hash], len(around), len(plateau), int(median(rest)),
    )  # fmt: skip


def _neighbours(best: Variant, variants: Sequence[Variant]) -> Iterator[Variant]:
    for each in variants:
        apart = [abs(a - b) for a, b in zip(each.steps, best.steps, strict=True)]
        if any(apart) and max(apart) == 1:
            yield each


def _distance(steps: _Steps, changed: Sequence[str]) -> int:
    return sum(abs(a - b) for a, b in zip(steps, _middle(changed), strict=True))
