"""Two strategies side by side: how far each of them came with every episode."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from dexarb.core.block import BlockHash
from dexarb.core.market import MAX_REORG_DEPTH
from dexarb.core.route import Cycle, CycleId
from dexarb.core.trade import DecisionId, SkipReason, StrategyHash
from dexarb.study.funnel import SCOPE
from dexarb.study.recent import Recent
from dexarb.study.redecide import Redecided, Verdict

_Key = tuple[CycleId, int]
"""Which episode: its cycle and the block at whose end that was first seen open."""

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

    def copy(self) -> Furthest:
        return replace(self, sent=list(self.sent))

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

    def copy(self) -> Episode:
        return replace(self, stands={key: each.copy() for key, each in self.stands.items()})


@dataclass(frozen=True, slots=True)
class BothStands:
    """episodes: those within the scope of either, oldest first, as they were on the blocks that
    stand. made: all decisions of both; died: those of them that were made on a block that died."""

    episodes: tuple[Episode, ...]
    made: frozenset[DecisionId]
    died: frozenset[DecisionId]


class SideBySide:
    """A study of what strategies said when they decided again; keys: their hashes. depth: so many
    of the newest blocks can still die.

    What they said in a block that died is forgotten, but for what they sent: that stands in the
    ledger.
    """

    def __init__(self, keys: Sequence[StrategyHash], depth: int = MAX_REORG_DEPTH) -> None:
        self._keys = keys
        self._settled: dict[_Key, Episode] = {}
        self._recent = Recent[Redecided](depth)
        self._made: set[DecisionId] = set()
        self._died: set[DecisionId] = set()

    def add(self, seen: Redecided) -> None:
        sent = _sent(seen)
        self._made |= sent
        # Of a block that died and came back.
        self._died -= sent
        settled = self._recent.add(seen.block.hash, seen)
        for verdict in settled.verdicts if settled is not None else ():
            key = _key(verdict)
            if key not in self._settled:
                self._settled[key] = self._episode(verdict)
            self._settled[key].stands[verdict.strategy].add(verdict)

    def rewind(self, block_hash: BlockHash) -> None:
        for seen in self._recent.rewind(block_hash):
            self._died |= _sent(seen)

    def answer(self) -> BothStands:
        episodes, own = dict(self._settled), set[_Key]()
        for seen in self._recent:
            for verdict in seen.verdicts:
                key = _key(verdict)
                if key not in own:
                    own.add(key)
                    known = episodes.get(key)
                    episodes[key] = known.copy() if known else self._episode(verdict)
                episodes[key].stands[verdict.strategy].add(verdict)
        found = tuple(each for each in episodes.values() if _concerns(each))
        return BothStands(found, frozenset(self._made), frozenset(self._died))

    def _episode(self, verdict: Verdict) -> Episode:
        return Episode(verdict.cycle, verdict.opened, {each: Furthest() for each in self._keys})


def _key(verdict: Verdict) -> _Key:
    return verdict.cycle.id, verdict.opened


def _sent(seen: Redecided) -> set[DecisionId]:
    return {each.decision.id for each in seen.verdicts if each.decision is not None}


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
