"""Two strategies side by side: how far each of them came with every episode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from dexarb.core.block import BlockHash
from dexarb.core.route import Cycle, CycleId
from dexarb.core.trade import DecisionId, SkipReason, StrategyHash
from dexarb.study.funnel import SCOPE
from dexarb.study.redecide import Redecided, Verdict

_ORDER = {reason: number for number, reason in enumerate(SkipReason)}


@dataclass(slots=True)
class Furthest:
    """How far a strategy came with an episode. sent: decision ids. reason: the latest stage that
    it reached in any block of the episode, with what was needed and the best, as in SkipCount."""

    sent: list[DecisionId] = field(default_factory=list)
    reason: SkipReason | None = None
    needed: int | None = None
    best: int | None = None
    blocks: int = 0

    def add(self, verdict: Verdict) -> None:
        self.blocks += 1
        skip = verdict.skip
        if verdict.decision is not None:
            self.sent.append(verdict.decision.id)
        elif skip is not None and self._is_nearer(skip.reason, skip.best):
            self.reason = skip.reason
            self.needed, self.best = skip.needed, skip.best

    def _is_nearer(self, reason: SkipReason, best: int | None) -> bool:
        if self.reason is None or _ORDER[reason] > _ORDER[self.reason]:
            return True
        known = self.best
        return reason is self.reason and best is not None and (known is None or best > known)


@dataclass(slots=True)
class Episode:
    """A cycle from the block at whose end it was seen open; by strategy hash, how far it came."""

    cycle: Cycle
    opened: int
    stands: dict[StrategyHash, Furthest]


@dataclass(frozen=True, slots=True)
class BothStands:
    """episodes: those within the scope of either, oldest first. made: all decisions of both."""

    episodes: tuple[Episode, ...]
    made: frozenset[DecisionId]


class SideBySide:
    """A study of what strategies said when they decided again; keys: their hashes.

    Blocks that died count: the strategies were offered what was open there, and what they sent
    stands in the ledger.
    """

    def __init__(self, keys: Sequence[StrategyHash]) -> None:
        self._keys = keys
        self._episodes: dict[tuple[CycleId, int], Episode] = {}
        self._made: set[DecisionId] = set()

    def add(self, seen: Redecided) -> None:
        for verdict in seen.verdicts:
            key = (verdict.cycle.id, verdict.opened)
            episode = self._episodes.get(key)
            if episode is None:
                stands = {each: Furthest() for each in self._keys}
                episode = Episode(verdict.cycle, verdict.opened, stands)
                self._episodes[key] = episode
            episode.stands[verdict.strategy].add(verdict)
            if verdict.decision is not None:
                self._made.add(verdict.decision.id)

    def rewind(self, block_hash: BlockHash) -> None:
        """Nothing: see the class."""

    def answer(self) -> BothStands:
        found = tuple(each for each in self._episodes.values() if _concerns(each))
        return BothStands(found, frozenset(self._made))


def _concerns(episode: Episode) -> bool:
    """Whether either looks at such cycles at all."""
    return any(stand.blocks and stand.reason not in SCOPE for stand in episode.stands.values())


@dataclass(frozen=True, slots=True)
class Counts:
    """Episodes by who took them."""

    both: int
    first_alone: int
    second_alone: int
    neither: int


def counts(keys: Sequence[StrategyHash], episodes: Sequence[Episode]) -> Counts:
    """keys: the two strategies' hashes."""
    took = [tuple(bool(each.stands[key].sent) for key in keys) for each in episodes]
    first, second = (True, False), (False, True)
    return Counts(
        took.count((True, True)), took.count(first), took.count(second), took.count((False, False))
    )
