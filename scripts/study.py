"""`make study`: are verdicts true? A thousand seeded worlds in which nobody has an edge, and worlds
with planted ones, through the whole schedule: selection, registration, three looks, gates.

Prints what came out and appends it to docs/verdict-study.md (without --date it only prints). Exit
code 1 where more than five in a hundred worlds without an edge may see somebody promoted, or our
Sharpe ratios differ from those of skfolio.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dexarb.core.trade import StrategyHash
from dexarb.core.units import MICRO_USD, SECONDS_PER_DAY
from dexarb.study.verdict.confirmation import LOOKS, MOST_FINALISTS, confirm, due
from dexarb.study.verdict.distributions import binomial_bounds
from dexarb.study.verdict.gates import LEAST_SENDS, CanaryEvidence
from dexarb.study.verdict.selection import ranking
from dexarb.study.verdict.series import Trades, series_of
from dexarb.study.verdict.sharpe import deflated_sharpe, probabilistic_sharpe, sharpe
from dexarb.study.verdict.verdict import Case, Word, judge, may_be_finalist

ROOT = Path(__file__).parents[1]
REPORT = ROOT / "docs" / "verdict-study.md"
SKFOLIO = ROOT / ".cache" / "study" / "venv" / "bin" / "python"
SEED_WORD = "verdict"
STRATEGIES, SELECTION_DAYS = 12, 21
ALL_DAYS = SELECTION_DAYS + max(LOOKS)
GAS = 0.01
"""USD a decision."""
LEVEL = 0.05
EDGES = (0.3, 0.6, 1.0)
"""Mean of a day by its deviation, of the one in twelve that has an edge."""


class World(NamedTuple):
    """Trades of each strategy, what its canary shows once there is one, and those with an edge."""

    trades: dict[StrategyHash, Trades]
    canary: Callable[[Trades], CanaryEvidence]
    edges: frozenset[StrategyHash] = frozenset()


def chance_of(*words: object) -> np.random.Generator:
    digest = hashlib.sha256("/".join(map(str, words)).encode()).digest()
    return np.random.default_rng(np.frombuffer(digest, np.uint32))


def canary(filled: int, model_errors: int, net: int, band: tuple[int, int]) -> CanaryEvidence:
    """Of trades that can all be compared."""
    return CanaryEvidence(LEAST_SENDS, filled, model_errors, net, LEAST_SENDS, net, *band)


def honest(trades: Trades) -> CanaryEvidence:
    """The chain says what paper says."""
    counted = trades.counted
    rate = float(counted.is_filled.mean()) if len(counted) else 0.0
    return canary(round(rate * LEAST_SENDS), 0, 0, (-MICRO_USD, MICRO_USD))


def of_nets(
    net: np.ndarray, day: np.ndarray, *, largest_loss: float = 0.0, untaken: bool = False
) -> Trades:
    """net: USD by decision. largest_loss: what the gas of one could cost at most."""
    micro = np.round(net * MICRO_USD).astype(np.int64)
    same = np.zeros(len(micro), dtype=bool)
    reserve = max(largest_loss, 2 * GAS)
    return Trades(
        second=day * SECONDS_PER_DAY + 3600,
        net=micro,
        gas=np.full(len(micro), round(GAS * MICRO_USD)),
        reserve=np.full(len(micro), round(reserve * MICRO_USD)),
        low=np.minimum(micro, 0),
        high=np.maximum(micro, 0) + 1,
        is_filled=micro > 0,
        is_loss=micro < 0,
        is_untaken=(micro > 0) & untaken,
        is_won=same,
    )


def days_of(chance: np.random.Generator, a_day: float) -> np.ndarray:
    counts = chance.poisson(a_day, ALL_DAYS)
    return np.repeat(np.arange(ALL_DAYS, dtype=np.int64), counts)


def named(number: int) -> StrategyHash:
    return StrategyHash(f"{number:016x}")


def weather(chance: np.random.Generator) -> np.ndarray:
    """What all share on a day: mean zero, with good days in a row."""
    shocks = chance.normal(size=ALL_DAYS)
    for day in range(1, ALL_DAYS):
        shocks[day] = 0.3 * shocks[day - 1] + shocks[day]
    return shocks * 0.3


def noise(chance: np.random.Generator, edge: float = 0.0) -> World:
    """Symmetric, with heavy tails; twelve that share the weather. edge: of the first, a day."""
    shared, found = weather(chance), {}
    for number in range(STRATEGIES):
        a_day = float(chance.choice([4, 10, 30]))
        day = days_of(chance, a_day)
        net = chance.standard_t(3, size=len(day)) + shared[day]
        if edge and not number:
            daily = np.bincount(day, weights=net, minlength=ALL_DAYS)
            net += edge * daily.std() / a_day
        found[named(number)] = of_nets(net, day)
    return World(found, honest, frozenset([named(0)]) if edge else frozenset())


def rare_losses(chance: np.random.Generator) -> World:
    """Many small gains and, once in weeks, what takes them all back. In half of the worlds there
    are misses as well, so that small losses are seen and the large one is not. What can be lost at
    most is known, as the executor bounds it."""
    with_misses, found = chance.random() < 0.5, {}
    for number in range(STRATEGIES):
        day = days_of(chance, float(chance.choice([4, 10, 30])))
        expected = chance.uniform(0.5, 6.0)
        rate = min(0.2, expected / max(1, len(day)))
        win = np.exp(chance.normal(0, 0.5, size=len(day))) * 0.5
        mean = 0.5 * np.exp(0.125)
        missed = (chance.random(len(day)) < 0.5) & with_misses
        gain = np.where(missed, -GAS, win)
        average = mean if not with_misses else (mean - GAS) / 2
        loss = (1 - rate) * average / rate
        net = np.where(chance.random(len(day)) < rate, -loss, gain)
        found[named(number)] = of_nets(net, day, largest_loss=loss * chance.uniform(1, 2))
    return World(found, honest)


def rare_wins(chance: np.random.Generator) -> World:
    """Many small losses and, once in weeks, what makes up for them."""
    found = {}
    for number in range(STRATEGIES):
        day = days_of(chance, float(chance.choice([4, 10, 30])))
        expected = chance.uniform(0.5, 6.0)
        rate = min(0.2, expected / max(1, len(day)))
        loss = chance.exponential(0.05, size=len(day)) + GAS
        win = (1 - rate) * (0.05 + GAS) / rate
        net = np.where(chance.random(len(day)) < rate, win, -loss)
        found[named(number)] = of_nets(net, day)
    return World(found, honest)


def leftovers(chance: np.random.Generator) -> World:
    """Paper gains every day by what nobody takes, and the chain pays nothing of it: seen as
    untaken, or probed and then refused, reverted or never included when it is sent."""
    kind, found = int(chance.integers(4)), {}
    for number in range(STRATEGIES):
        day = days_of(chance, float(chance.choice([4, 10])))
        net = np.exp(chance.normal(0, 0.5, size=len(day))) - 0.2
        found[named(number)] = of_nets(net, day, untaken=kind == 0)
    cost = round(LEAST_SENDS * GAS * MICRO_USD)
    evidence = (
        canary(LEAST_SENDS, 0, MICRO_USD, (0, 2 * MICRO_USD)),
        canary(0, 2, -cost, (-MICRO_USD, MICRO_USD)),
        canary(0, 0, -cost, (0, MICRO_USD)),
        canary(0, 0, 0, (0, MICRO_USD)),
    )[kind]
    return World(found, lambda _: evidence)


FAMILIES: dict[str, Callable[[np.random.Generator], World]] = {
    "noise": noise,
    "rare losses": rare_losses,
    "rare wins": rare_wins,
    "leftovers": leftovers,
}


def play(world: World) -> dict[StrategyHash, int]:
    """The day of the look at which each was promoted, of those that ever were."""
    series = {name: series_of(each, 0, SELECTION_DAYS) for name, each in world.trades.items()}
    before = {name: each.between(0, SELECTION_DAYS) for name, each in world.trades.items()}
    nets = {name: int(each.counted.net.sum()) for name, each in before.items()}
    chosen = []
    for name in ranking(series, nets):
        case = Case(before[name], series[name])
        if may_be_finalist(case, judge(case)):
            chosen.append(name)
    chosen = chosen[:MOST_FINALISTS]
    promoted: dict[StrategyHash, int] = {}
    for days in LOOKS:
        looks = [
            {name: series_of(world.trades[name], SELECTION_DAYS, day) for name in chosen}
            for day in due(days)
        ]
        confirmed = confirm(days, looks)
        for name in chosen:
            trades = world.trades[name]
            so_far = trades.between(0, SELECTION_DAYS + days)
            case = Case(
                so_far,
                series_of(trades, 0, SELECTION_DAYS + days),
                days_since=days,
                passed_at=confirmed.passed.get(name),
                confirmed=trades.between(SELECTION_DAYS, days),
                has_tried=True,
                canary=world.canary(so_far),
                finalists=len(chosen),
            )
            if judge(case).word is Word.PROMOTE:
                promoted.setdefault(name, days)
    return promoted


def of_family(family: str, number: int) -> int | None:
    """The first false promotion of a world without an edge."""
    promoted = play(FAMILIES[family](chance_of(SEED_WORD, family, number)))
    return min(promoted.values(), default=None)


def of_edge(edge: float, number: int) -> int | None:
    """When the one with the edge was promoted."""
    world = noise(chance_of(SEED_WORD, "edge", edge, number), edge)
    promoted = play(world)
    return next((day for name, day in promoted.items() if name in world.edges), None)


def table(rows: list[tuple[object, ...]], *head: str) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(map(str, row))} |"


def false_promotions(pool: ProcessPoolExecutor, worlds: int) -> tuple[list[str], bool]:
    each = worlds // len(FAMILIES)
    found = {
        family: list(pool.map(partial(of_family, family), range(each), chunksize=5))
        for family in FAMILIES
    }
    found["all"] = [day for days in found.values() for day in days]
    rows: list[tuple[object, ...]] = []
    passes = True
    for family, days in found.items():
        false = sum(day is not None for day in days)
        low, high = binomial_bounds(false, len(days))
        ok = low <= LEVEL
        passes &= ok
        bounds = f"{low:.1%} to {high:.1%}"
        rows.append(
            (family, len(days), false, f"{false / len(days):.1%}", bounds, "yes" if ok else "NO")
        )
    return [
        *table(rows, "worlds", "count", "false PROMOTE", "share", "95 % bounds", "passes")
    ], passes


def power(pool: ProcessPoolExecutor, worlds: int) -> list[str]:
    rows: list[tuple[object, ...]] = []
    for edge in EDGES:
        days = list(pool.map(partial(of_edge, edge), range(worlds), chunksize=5))
        shares = [sum(day is not None and day <= look for day in days) / worlds for look in LOOKS]
        rows.append((edge, worlds, *(f"{share:.0%}" for share in shares)))
    return [*table(rows, "edge", "worlds", *(f"by day {day}" for day in LOOKS))]


def against_skfolio() -> tuple[str, bool]:
    """Our Sharpe ratios and theirs on seeded series."""
    if not SKFOLIO.exists():
        return "skfolio is not installed here: not compared.", True
    chance = chance_of(SEED_WORD, "sharpe")
    series = [chance.standard_t(4, size=int(size)) + 0.2 for size in chance.integers(10, 90, 50)]
    ratios = np.array([sharpe(each) for each in series])
    asked = json.dumps({"series": [each.tolist() for each in series], "ratios": ratios.tolist()})
    script = ROOT / "scripts" / "skfolio_values.py"
    done = subprocess.run(
        [SKFOLIO, script], input=asked, capture_output=True, text=True, check=True
    )
    theirs = json.loads(done.stdout)
    ours = {
        "probabilistic": [probabilistic_sharpe(each) for each in series],
        "deflated": [deflated_sharpe(each, ratios, len(ratios)) for each in series],
    }
    worst = max(float(np.abs(np.array(ours[name]) - theirs[name]).max()) for name in ours)
    return (
        f"Probabilistic and deflated Sharpe of {len(series)} series against skfolio"
        f" {theirs['version']}: they differ by {worst:.1e} at most.",
        worst < 1e-9,
    )


def main() -> int:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--worlds", type=int, default=1000, help="without an edge, of all families")
    asked.add_argument("--edge-worlds", type=int, default=200, help="for each planted edge")
    asked.add_argument("--date", help="of this run; appends it to docs/verdict-study.md")
    asked.add_argument("--processes", type=int, default=None)
    wanted = asked.parse_args()
    began = time.monotonic()
    with ProcessPoolExecutor(wanted.processes) as pool:
        lines, passes = false_promotions(pool, wanted.worlds)
        curves = power(pool, wanted.edge_worlds)
    compared, agrees = against_skfolio()
    head = f"## {wanted.date or 'A run'}"
    facts = (
        f"Seed word `{SEED_WORD}`; {STRATEGIES} strategies a world, {SELECTION_DAYS} days of"
        f" selection, looks at days {', '.join(map(str, LOOKS))}; {time.monotonic() - began:.0f} s."
    )
    report = [head, "", facts, "", *lines, "", *curves, "", compared, ""]
    print("\n".join(report))
    if wanted.date:
        with REPORT.open("a", encoding="utf-8") as file:
            file.write("\n" + "\n".join(report))
    return 0 if passes and agrees else 1


if __name__ == "__main__":
    sys.exit(main())
