"""How much of what is swapped, and of what is won, passes collected pools: a fold over traffic."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from dexarb.core.block import BlockHash
from dexarb.core.token import Address
from dexarb.study.recent import RunningSums
from dexarb.study.walk import Moment
from dexarb.study.wins import collected, wins


@dataclass(frozen=True, slots=True)
class Missing:
    """A contract that is not collected, by the kind of its swap events. arbitrages: those that
    passed it. alone: those of them of which everything else is collected.

    worth: gains of these arbitrages in micro-USD, each shared equally among what it lacks.
    """

    emitter: Address
    kind: str
    swaps: int
    arbitrages: int
    alone: int
    worth_micro_usd: int


@dataclass(frozen=True, slots=True)
class KindShare:
    """Of all swaps of a kind, how many were in collected pools; and what those that were not
    are worth, as above."""

    kind: str
    swaps: int
    collected: int
    missing_worth_micro_usd: int


@dataclass(frozen=True, slots=True)
class CensusFound:
    """blocks: with traffic; without_traffic: those of which the history does not have it.

    arbitrages_collected and gain_collected: of arbitrages through collected pools alone. gains are
    before gas, in micro-USD; `unvalued` counts arbitrages without a price. missing: by worth, then
    arbitrages, then swaps.
    """

    blocks: int
    without_traffic: int
    swaps: int
    swaps_collected: int
    arbitrages: int
    arbitrages_collected: int
    unvalued: int
    gain_micro_usd: int
    gain_collected_micro_usd: int
    kinds: tuple[KindShare, ...]
    missing: tuple[Missing, ...]


_Key = tuple[Address, str]
"""Emitter and kind."""


@dataclass(slots=True)
class _Sums:
    """Mutable. Of one block, or of many."""

    blocks: int = 0
    without_traffic: int = 0
    arbitrages: int = 0
    arbitrages_collected: int = 0
    unvalued: int = 0
    gain: int = 0
    gain_collected: int = 0
    swaps_collected: Counter[str] = field(default_factory=Counter)
    missing: Counter[_Key] = field(default_factory=Counter)
    passed: Counter[_Key] = field(default_factory=Counter)
    alone: Counter[_Key] = field(default_factory=Counter)
    worth: Counter[_Key] = field(default_factory=Counter)

    def fold(self, other: _Sums) -> None:
        self.blocks += other.blocks
        self.without_traffic += other.without_traffic
        self.arbitrages += other.arbitrages
        self.arbitrages_collected += other.arbitrages_collected
        self.unvalued += other.unvalued
        self.gain += other.gain
        self.gain_collected += other.gain_collected
        self.swaps_collected.update(other.swaps_collected)
        self.missing.update(other.missing)
        self.passed.update(other.passed)
        self.alone.update(other.alone)
        self.worth.update(other.worth)


class CensusStudy:
    """A study of a walk's moments."""

    def __init__(self) -> None:
        self._sums = RunningSums(_Sums)
        self._collected = frozenset[Address]()

    def add(self, seen: Moment) -> None:
        self._sums.add(seen.update.block.hash, self._look(seen))

    def rewind(self, block_hash: BlockHash) -> None:
        self._sums.rewind(block_hash)

    def answer(self) -> CensusFound:
        sums = self._sums.total()
        missing = [
            Missing(*key, swaps, sums.passed[key], sums.alone[key], sums.worth[key])
            for key, swaps in sums.missing.items()
        ]
        missing.sort(
            key=lambda each: (
                -each.worth_micro_usd,
                -each.arbitrages,
                -each.swaps,
                each.emitter,
                each.kind,
            )
        )
        swaps_collected = sums.swaps_collected.total()
        return CensusFound(
            sums.blocks,
            sums.without_traffic,
            swaps_collected + sums.missing.total(),
            swaps_collected,
            sums.arbitrages,
            sums.arbitrages_collected,
            sums.unvalued,
            sums.gain,
            sums.gain_collected,
            _kinds(sums),
            tuple(missing),
        )

    def _look(self, moment: Moment) -> _Sums:
        if moment.has_other_pools or not self._collected:
            self._collected = collected(moment)
        traffic, ours = moment.update.traffic, self._collected
        if traffic is None:
            return _Sums(without_traffic=1)
        found = _Sums(blocks=1)
        for each in traffic.swaps:
            if each.emitter in ours:
                found.swaps_collected[each.kind] += each.count
            else:
                found.missing[each.emitter, each.kind] += each.count
        for win in wins(moment):
            lacks = [(each.emitter, each.kind) for each in win.pools if each.emitter not in ours]
            gain = win.gain_micro_usd
            found.arbitrages += 1
            found.arbitrages_collected += not lacks
            found.unvalued += gain is None
            found.gain += gain or 0
            found.gain_collected += 0 if lacks else gain or 0
            for key in lacks:
                found.passed[key] += 1
                found.alone[key] += len(lacks) == 1
                found.worth[key] += (gain or 0) // len(lacks)
        return found


def _kinds(sums: _Sums) -> tuple[KindShare, ...]:
    missing: Counter[str] = Counter()
    worth: Counter[str] = Counter()
    for (emitter, kind), swaps in sums.missing.items():
        missing[kind] += swaps
        worth[kind] += sums.worth[emitter, kind]
    found = [
        KindShare(
            kind,
            missing[kind] + sums.swaps_collected[kind],
            sums.swaps_collected[kind],
            worth[kind],
        )
        for kind in missing.keys() | sums.swaps_collected.keys()
    ]
    return tuple(
        sorted(found, key=lambda each: (-each.missing_worth_micro_usd, -each.swaps, each.kind))
    )
