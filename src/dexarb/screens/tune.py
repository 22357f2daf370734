"""dexarb tune: what other values would have made, and what of that was luck."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from dexarb.config.strategy_table import SCALED
from dexarb.core.text import as_name
from dexarb.core.units import MICRO_USD
from dexarb.screens.answer import Answer
from dexarb.screens.console import unbroken
from dexarb.screens.replay_screen import from_here
from dexarb.screens.tables import plain_table, signed_usd, usd
from dexarb.study.sweep.plan import Plan
from dexarb.study.tuning import Tuned
from dexarb.trading.strategy import StrategySettings

_KEYS = {each.field: each for each in SCALED}
PROMISES_NOTHING = (
    "Chosen on the first part, shown on the rest. Values that lost little there, on a broad"
    " plateau, are worth a try on paper; a sweep or a tuning promotes nobody."
)


@dataclass(frozen=True, slots=True)
class TunedStrategies(Answer):
    """split: the UTC second between both parts, days: how long each is. file: the results of all
    variants. written: the TOML, where one was asked for. left: strategies that it could not take
    up, as they have no table of their own."""

    found: Sequence[Tuned]
    plan: Plan
    split: int
    days: tuple[float, float]
    file: Path
    written: Path | None
    left: Sequence[str]

    def as_json(self) -> dict[str, Any]:
        return {
            "blocks": self.plan.blocks,
            "configs": self.plan.configs,
            "split": self.split,
            "days": list(self.days),
            "file": str(self.file),
            "written": None if self.written is None else str(self.written),
            "left_out": list(self.left),
            "strategies": [self._as_json(each) for each in self.found],
        }

    def _as_json(self, each: Tuned) -> dict[str, Any]:
        return {
            "name": each.own.name,
            "hash": each.own.hash,
            "kept": each.is_kept,
            "variants": each.variants,
            "own": {**_values(each.own, each.changed), **_nets(each, "own_nets")},
            "best": {
                "hash": each.best.hash,
                **_values(each.best, each.changed),
                **_nets(each, "best_nets"),
            },
            "neighbours": each.neighbours,
            "plateau": each.plateau,
            "plateau_rest_usd": each.plateau_rest / MICRO_USD,
            "overfit_usd_a_day": each.overfit_per_day(*self.days) / MICRO_USD,
        }

    def render(self) -> RenderableType:
        table = plain_table(None, "strategy")
        for name in ("own I", "own II", "best I", "best II", "plateau", "its II"):
            table.add_column(name, justify="right", no_wrap=True)
        lines: list[RenderableType] = []
        for each in self.found:
            table.add_row(
                Text(as_name(each.own.name)),
                signed_usd(each.own_nets.first),
                signed_usd(each.own_nets.rest),
                signed_usd(each.best_nets.first),
                signed_usd(each.best_nets.rest),
                f"{each.plateau} of {each.neighbours}",
                signed_usd(each.plateau_rest),
            )
            lines.append(self._said(each))
        parts: list[RenderableType] = [
            Text(
                f"{self.plan.configs:,} variants of {len(self.found)} on"
                f" {self.plan.blocks:,} blocks; net USD of what was decided in I, the first"
                f" {self.days[0] * 24:,.1f} h, and in II, the {self.days[1] * 24:,.1f} h behind"
            ),
            table,
            *lines,
            Text(PROMISES_NOTHING, style="yellow"),
            unbroken("All variants: ", from_here(self.file)),
        ]
        if self.written is not None:
            parts.append(unbroken("Written: ", from_here(self.written)))
        if self.left:
            names = ", ".join(map(as_name, self.left))
            parts.append(Text(f"Left as they are, rows of a grid: {names}", style="yellow"))
        return Group(*parts)

    def _said(self, each: Tuned) -> Text:
        name = as_name(each.own.name)
        lost = each.overfit_per_day(*self.days)
        took = f"; between both parts it lost {usd(int(lost))} USD a day" if lost > 0 else ""
        if each.is_kept:
            why = "is no better on the rest" if each.best is not each.own else "is what it has"
            return Text(f"{name}: keep its values: the best of the first part {why}{took}")
        new = _values(each.best, each.changed)
        old = _values(each.own, each.changed)
        changes = ", ".join(
            f"{key} {old[key]:g} > {new[key]:g}" for key in new if new[key] != old[key]
        )
        return Text(f"{name}: {changes}{took}")


def _values(settings: StrategySettings, fields: Sequence[str]) -> dict[str, Any]:
    """By the keys and in the units of the file; 0 for a bid that is the chain's default."""
    values = {field: getattr(settings, field) or 0 for field in fields}
    return {_KEYS[field].key: value / _KEYS[field].scale for field, value in values.items()}


def _nets(each: Tuned, which: str) -> dict[str, Any]:
    nets = getattr(each, which)
    return {
        "first_usd": nets.first / MICRO_USD,
        "rest_usd": nets.rest / MICRO_USD,
        "trades": nets.trades,
    }
