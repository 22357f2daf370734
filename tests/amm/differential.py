"""Random swaps in the contracts and in dexarb, by the thousand; see walk_v2 and walk_v3."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from random import Random

from tests.amm.evm_world import V3_TIERS, Fork, World
from tests.amm.walk_v2 import V2Walk
from tests.amm.walk_v3 import V3Walk

FORKS = (Fork(), Fork(2), Fork(10, 4000), Fork(10), Fork(1))
"""Uniswap's 0.3 %, and forks with 0.2, 0.25, 1 and 0.1 %."""

SWAPS_A_WALK = 150
CHUNK = 2_000
V2_CHUNKS_IN = 4
"""One chunk in that many is V2: V3 has more to get wrong."""


def run_chunk(seed: str, swaps: int = CHUNK) -> Counter[str]:
    """That many swaps or a few more; returns what they were. Raises AssertionError."""
    rng = Random(seed)
    tally: Counter[str] = Counter()
    walk_one = walk_v2 if int(seed.rsplit(":", 1)[1]) % V2_CHUNKS_IN == 0 else walk_v3
    rounds = 0
    while tally["swaps"] < swaps:
        try:
            walk_one(rng, tally, rounds)
        except Exception as error:
            raise AssertionError(f"run_chunk({seed!r}) disagrees with the contracts") from error
        rounds += 1
    return tally


def walk_v2(rng: Random, tally: Counter[str], rounds: int) -> None:
    fork = FORKS[rounds % len(FORKS)]
    walk = V2Walk(World(fork), rng, tally, fork)
    for _ in range(SWAPS_A_WALK):
        walk.step()
    walk.check()


def walk_v3(rng: Random, tally: Counter[str], rounds: int) -> None:
    fee_pips, spacing = list(V3_TIERS.items())[rounds % len(V3_TIERS)]
    walk = V3Walk(World(), rng, tally, fee_pips)
    for _ in range(SWAPS_A_WALK):
        walk.step()
    # Reading all words of a narrow spacing takes as long as the walk.
    if spacing >= 10 or rng.random() < 0.1:
        walk.check()


def seeds(base: str, swaps: int) -> Iterator[str]:
    return (f"{base}:{chunk}" for chunk in range(-(-swaps // CHUNK)))


def merged(tallies: Iterable[Counter[str]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for tally in tallies:
        most = max(total["most ticks crossed"], tally["most ticks crossed"])
        total.update(tally)
        total["most ticks crossed"] = most
    return total


def run_in_processes(base: str, swaps: int, processes: int) -> Counter[str]:
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        return merged(pool.map(run_chunk, seeds(base, swaps)))
