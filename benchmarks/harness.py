"""Ratios between two ways of doing the same, measured in turn in the same run."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

RESULTS = Path(__file__).parent / "results.json"
ROUNDS = 5
SCALES = {"ns": 1e9, "us": 1e6, "ms": 1e3, "s": 1.0}


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
Round = tuple[Sequence[float], Sequence[float]]
"""Seconds that ours took and that the baseline took, call by call."""


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
    repeat: int = 20,
    baseline_each: int = 1,
    repeat_baseline: int = 5,
    in_every_round: bool = False,
) -> Row:
    """Ours and the baseline in turn, five rounds of each.

    in_every_round: the goal is for the worst of them.
    each: how many of the things that are counted one call does. repeat: calls a round.
    """
    ours()
    baseline()
    rounds = []
    for _ in range(ROUNDS):
        mine = [timed(ours) / each for _ in range(repeat)]
        rounds.append((mine, [timed(baseline) / baseline_each for _ in range(repeat_baseline)]))
    return compared(name, rounds, goal=goal, unit=unit, in_every_round=in_every_round)


def compared(
    name: str,
    rounds: Iterable[Round],
    *,
    goal: float | None,
    unit: str = "us",
    in_every_round: bool = False,
) -> Row:
    """The row of rounds that were already measured: the best round's median of either side."""
    rounds = list(rounds)
    mine = sorted(seconds for ours, _ in rounds for seconds in ours)
    best = min(median(ours) for ours, _ in rounds)
    best_baseline = min(median(baseline) for _, baseline in rounds)
    ratio = best_baseline / best
    ratios = sorted(median(theirs) / median(ours) for ours, theirs in rounds)
    sys.stdout.write(f"  in each round: {', '.join(f'{each:,.1f}x' for each in ratios)}\n")
    scale = SCALES[unit]
    return report(
        Row(
            name=name,
            value=best * scale,
            unit=unit,
            p50=mine[len(mine) // 2] * scale,
            p99=mine[int(len(mine) * 0.99)] * scale,
            baseline=best_baseline * scale,
            ratio=ratio,
            goal=goal,
            met=None if goal is None else (ratios[0] if in_every_round else ratio) >= goal,
            load=os.getloadavg()[0],
        )
    )


def figure(
    name: str, value: float, unit: str, *, goal: float | None = None, met: bool | None = None
) -> Row:
    """A figure that is no time and has no other side."""
    return report(Row(name, value, unit, value, value, None, None, goal, met, os.getloadavg()[0]))


def report(row: Row) -> Row:
    ratio = f"{row.ratio:10,.1f}x" if row.ratio is not None else 11 * " "
    goal = f"goal {row.goal:g}" if row.goal is not None else ""
    met = {True: "met", False: "MISSED", None: ""}[row.met]
    sys.stdout.write(
        f"{row.name:76} {row.value:12,.3f} {row.unit:6} p99 {row.p99:12,.3f} {ratio} {goal} {met}\n"
    )
    sys.stdout.flush()
    return row


def save(rows: list[Row]) -> None:
    """Write results.json anew, all at once."""
    text = json.dumps([asdict(row) for row in rows], indent=1) + "\n"
    partial = RESULTS.with_suffix(".partial")
    partial.write_text(text)
    partial.replace(RESULTS)
