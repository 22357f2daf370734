"""dexarb history backfill: what it costs, and how far back it has come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from dexarb.screens.answer import Answer
from dexarb.screens.history_import import Began
from dexarb.screens.output import counted


@dataclass(frozen=True, slots=True)
class Cost:
    """calls: JSON-RPC calls, which providers bill. requests: round trips. compute_units: of
    Alchemy's list, None where they were not counted."""

    calls: int
    requests: int
    compute_units: int | None


@dataclass(frozen=True, slots=True)
class BackfilledHistory(Answer):
    """own: the block that the collector began at. oldest: where the history begins now. target:
    where it shall. blocks: how many were added. began: pools that are not known before the block
    of an event. pools: how many are known at the oldest block. yes: False where it was only asked.
    """

    folder: Path
    own: int
    oldest: int
    target: int
    blocks: int
    began: Sequence[Began]
    cost: Cost
    spent: Cost | None
    yes: bool
    pools: int | None = None

    def as_json(self) -> dict[str, Any]:
        return {
            "history": str(self.folder),
            "done": self.spent is not None,
            "blocks": self.blocks,
            "first_block": self.oldest,
            "own_first_block": self.own,
            "target": self.target,
            "pools": self.pools,
            "began": [asdict(each) for each in self.began],
            "cost": asdict(self.cost),
            "spent": None if self.spent is None else asdict(self.spent),
        }

    def render(self) -> RenderableType:
        missing = self.oldest - self.target
        if not self.yes:
            if not missing:
                return Text(f"{self.folder} reaches back to block {self.oldest:,} already")
            units = self.cost.compute_units
            return Group(
                Text(
                    f"{counted(missing, 'block')} before {self.oldest:,}: about"
                    f" {self.cost.calls:,} calls in {self.cost.requests:,} requests"
                    f" ({units:,} compute units by Alchemy's list)"
                ),
                Text("Nothing has been asked yet: say --yes. It can be stopped at any time, and"),
                Text("goes on where it was. The collector may run meanwhile"),
            )
        lines = [
            f"{self.folder} begins at block {self.oldest:,}: {counted(self.blocks, 'block')} added"
            f" before {self.own:,}"
        ]
        if self.spent is not None:
            lines.append(f"It took {self.spent.calls:,} calls in {self.spent.requests:,} requests")
        if self.began:
            lines.append(
                f"{counted(len(self.began), 'pool')} known only from an event on: created there, or"
                " nothing within --reach says what was before"
            )
        if self.pools == 0 and missing:
            lines.append(f"No pool is known before {self.oldest:,}, so it ends there")
        return Group(*map(Text, lines))
