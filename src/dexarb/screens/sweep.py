"""dexarb sweep: the best of very many, and what may be said of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from dexarb.screens.answer import Answer
from dexarb.screens.console import unbroken
from dexarb.screens.replay_screen import from_here
from dexarb.screens.tables import strategy_table
from dexarb.store.ledger_rows import StrategyTotals
from dexarb.study.sweep.plan import Plan
from dexarb.study.sweep.results import best
from dexarb.study.totals import as_json as strategy_json

BEST_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Swept(Answer):
    """seconds: what this run of the command took. best: by profit."""

    plan: Plan
    seconds: float
    file: Path
    best: Sequence[StrategyTotals]

    def as_json(self) -> dict[str, Any]:
        return {
            "configs": self.plan.configs,
            "blocks": self.plan.blocks,
            "seconds": self.seconds,
            "file": str(self.file),
            "best": list(map(strategy_json, self.best)),
        }

    def render(self) -> RenderableType:
        plan = self.plan
        head = (
            f"{plan.configs:,} configurations on blocks {plan.first_block} to {plan.last_block}"
            f" ({plan.blocks:,}), {self.seconds:,.1f} s"
        )
        luck = (
            f"The best of {plan.configs:,} is lucky: these figures choose what to try next and"
            " promise nothing."
        )
        return Group(
            Text(head),
            strategy_table(self.best, "The highest profits"),
            unbroken("All of them: ", from_here(self.file)),
            Text(luck, style="yellow"),
        )


def swept(file: Path, plan: Plan, seconds: float) -> Swept:
    """Raises StoreError."""
    return Swept(plan, seconds, file, best(file, BEST_SHOWN))
