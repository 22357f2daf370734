"""Plain transfers of tokens: what they take beyond plain ERC-20s, and forks that nobody told us.

A transaction that does nothing but one transfer is the same work whoever sends it, so its gas says
what the token takes, and where that changes for all tokens at once the chain charges otherwise.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from dexarb.core.gas_schedule import PLAIN_TRANSFER, SCHEDULES, GasSchedule, ScheduleName
from dexarb.core.token import Address

WINDOW = 500
"""Blocks: in so many it is told since when."""
ENOUGH = 10
"""Transfers of a token in a window, or nothing is said of it."""
TOLERANCE = 400
"""Gas units: zeros in the calldata cost less, and amounts have more or fewer of them."""
LEAST_CHANGE = 1_500
"""Gas units that a fork makes a transfer differ by; any that changes storage does so by more."""
MOST_LEVELS = 30
"""That are tried, the most frequent ones."""
STEP = 50
"""What gas is counted in."""
SHAPES = sorted(
    {0}.union(
        *(
            {each.set - each.reset, -each.cleared, each.set - each.reset - each.cleared}
            for each in SCHEDULES.values()
        )
    )
)
"""What a transfer takes otherwise to whom held nothing, from whom keeps nothing, and both; under
any schedule, since it is to be found out which one holds."""


class Surcharge(NamedTuple):
    """gas: beyond a plain transfer under the schedule that held. Of so many transfers `explained`
    are either such a one or differ from it by a balance that began or ended."""

    gas: int
    transfers: int
    explained: int
    schedule: ScheduleName


class MissedFork(NamedTuple):
    """Transfers of these tokens take `change` gas more behind that block than before it, although
    one schedule holds there. looks_like: those under which that is what plain ones would do."""

    from_block: int
    tokens: tuple[Address, ...]
    change: int
    held: ScheduleName
    looks_like: tuple[ScheduleName, ...]


@dataclass
class TransferGas:
    """Mutable. Of blocks in any order. by_token: gas of transfers, in steps, by token and window.
    held: the schedule of each window, the last one's of its blocks."""

    by_token: dict[Address, dict[int, Counter[int]]] = field(
        default_factory=lambda: defaultdict(lambda: defaultdict(Counter))
    )
    held: dict[int, ScheduleName] = field(default_factory=dict)

    def add(self, block: int, schedule: ScheduleName, token: Address, gas: int) -> None:
        self.by_token[token][block // WINDOW][gas // STEP] += 1
        self.held[block // WINDOW] = schedule

    def fold(self, other: TransferGas) -> None:
        for token, windows in other.by_token.items():
            for window, counts in windows.items():
                self.by_token[token][window].update(counts)
        self.held.update(other.held)

    def surcharges(self) -> Mapping[Address, Surcharge]:
        """By token, under the schedule of its newest windows, the dearest first."""
        found = {}
        for token, windows in self.by_token.items():
            held = self.held[max(windows)]
            counts = sum((windows[w] for w in windows if self.held[w] == held), Counter[int]())
            usual = usual_gas(counts)
            if usual is not None:
                gas = max(0, usual.gas - SCHEDULES[held].units(PLAIN_TRANSFER))
                found[token] = Surcharge(gas, counts.total(), usual.explained, held)
        return dict(sorted(found.items(), key=lambda each: -each[1].gas))

    def missed_forks(self) -> list[MissedFork]:
        """Where it changes for good, for every token that is seen on both sides, and for two at
        least: a token alone may have other code."""
        windows = sorted(self.held)
        levels = {token: dict(self._levels(token)) for token in self.by_token}
        found = []
        for before, after in pairwise(windows):
            held = self.held[before]
            if held != self.held[after]:
                continue
            changes = {}
            for token, level in levels.items():
                old = [gas for at, gas in level.items() if at <= before and self.held[at] == held]
                new = [gas for at, gas in level.items() if at >= after and self.held[at] == held]
                if old and new and max(old) - min(old) < LEAST_CHANGE > max(new) - min(new):
                    changes[token] = round(median(new) - median(old))
            if len(changes) > 1 and min(map(abs, changes.values())) >= LEAST_CHANGE:
                change = min(changes.values(), key=abs)
                looks = tuple(_like(SCHEDULES[held], change))
                found.append(MissedFork(after * WINDOW, tuple(changes), change, held, looks))
        return found

    def _levels(self, token: Address) -> Iterator[tuple[int, int]]:
        for window, counts in self.by_token[token].items():
            usual = usual_gas(counts)
            if usual is not None:
                yield window, usual.gas


class Usual(NamedTuple):
    """gas: of a transfer between two who hold some before and behind it."""

    gas: int
    explained: int


def usual_gas(counts: Counter[int]) -> Usual | None:
    """What explains most of these transfers, and of equals what most of them take themselves.
    counts: by gas in steps. None where there are too few, or most stay unexplained."""
    if counts.total() < ENOUGH:
        return None
    near = TOLERANCE // STEP
    best: tuple[int, int, int] | None = None
    for level, _ in counts.most_common(MOST_LEVELS):
        shapes = {level + shape // STEP for shape in SHAPES}
        like_any = [at for at in counts if any(abs(at - each) <= near for each in shapes)]
        explained = sum(counts[at] for at in like_any)
        own = sum(counts[at] for at in like_any if abs(at - level) <= near)
        best = max(best or (0, 0, 0), (explained, own, -level))
    assert best is not None
    explained, level = best[0], -best[2]
    if explained * 2 < counts.total():
        return None
    like_it = [at for at in counts.elements() if abs(at - level) <= near]
    return Usual(round(median(like_it)) * STEP, explained)


def _like(held: GasSchedule, change: int) -> Iterator[ScheduleName]:
    """Proxies read more, so they change by more."""
    plain = held.units(PLAIN_TRANSFER)
    for schedule in SCHEDULES.values():
        expected = schedule.units(PLAIN_TRANSFER) - plain
        if schedule is not held and abs(expected - change) <= TOLERANCE:
            yield schedule.name
