"""Ratios between two ways of doing the same, measured in turn in the same run."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

RESULTS = Path(__file__).parent / "results.json"
ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Row:
    """value is ours and baseline the other way's, in `unit`; ratio says how often ours is better.

    p50 and p99 are of ours, over its repetitions. load: of the machine, the last minute's average.
    """

    name: str
    value: float
    unit: str
    p50: float
    p99: float
    baseline: float | None
    ratio: float | None
    goal: float | None
    met: bool | None
    load: float


Action = Callable[[], object]


def os_load() -> float:
    """Of the last minute."""
    return os.getloadavg()[0]


def timed(action: Action) -> float:
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def compare(
    name: str,
    ours: Action,
    baseline: Action,
    *,
    goal: float | None,
    unit: str = "us",
    each: int = 1,
    baseline_each: int = 1,
    repeat: int = 20,
) -> Row:
    """Ours and the baseline, A B A B, best of five rounds each.

    each: how many of the things that are counted one call does. repeat: calls of ours a round.
    """
    scale = {"ns": 1e9, "us": 1e6, "ms": 1e3}[unit]
    ours()
    baseline()
    mine: list[float] = []
    others: list[float] = []
    for _ in range(ROUNDS):
        mine += [timed(ours) / each for _ in range(repeat)]
        others.append(timed(baseline) / baseline_each)
    ratio = min(others) / min(mine)
    mine.sort()
    return report(
        Row(
            name,
            min(mine) * scale,
            unit,
            mine[len(mine) // 2] * scale,
            mine[int(len(mine) * 0.99)] * scale,
            min(others) * scale,
            ratio,
            goal,
            None if goal is None else ratio >= goal,
            os_load(),
        )
    )


def figure(
    name: str, value: float, unit: str, *, goal: float | None = None, met: bool | None = None
) -> Row:
    """A figure that is no time."""
    return report(Row(name, value, unit, value, value, None, None, goal, met, os_load()))


def report(row: Row) -> Row:
    ratio = f"{row.ratio:12,.1f}x" if row.ratio is not None else ""
    ratio += f" (goal {row.goal:g}x)" if row.goal is not None else ""
    met = {True: "met", False: "MISSED", None: ""}[row.met]
    sys.stdout.write(
        f"{row.name:52} {row.value:12,.3f} {row.unit:4} p99 {row.p99:12,.3f} {ratio} {met}\n"
    )
    sys.stdout.flush()
    return row


def save(rows: list[Row]) -> None:
    """Replace rows of the same name in results.json, keep the others."""
    known = (
        {row["name"]: row for row in json.loads(RESULTS.read_text())} if RESULTS.exists() else {}
    )
    known.update({row.name: asdict(row) for row in rows})
    RESULTS.write_text(json.dumps(list(known.values()), indent=1) + "\n")
