"""How spreads went over blocks: the sums of a survey."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dexarb.core.pool import Pool, PoolKey
from dexarb.core.token import Pair
from dexarb.study.distribution import Course
from dexarb.study.ladder import EpisodeBook
from dexarb.study.spreads_seen import PairingKey, PoolPair, SpreadsSeen

RISES_BPS = (0.0, 1.0, 3.0, 5.0, 10.0, 20.0, 30.0, 50.0, 100.0)


@dataclass(slots=True)
class PairCourse:
    """How far two pools of a pair stood apart, in the direction that is nearer to paying.

    Basis points. raw: of their mid prices. executable: what an exact round trip at the size gave
    after the fees of both. fees_bps: the raw spread that pays for both fees.
    """

    tokens: Pair
    pools: PoolPair
    fees_bps: float
    raw: Course
    executable: Course

    def copy(self) -> PairCourse:
        raw, executable = self.raw.copy(), self.executable.copy()
        return PairCourse(self.tokens, self.pools, self.fees_bps, raw, executable)


class SpreadCourses:
    """Mutable: `fold` block after block. sizes: how many there are.

    best: of each token pair the raw and the executable spread of the pool pair that stood best,
    block by block. next: the number of the block that would follow. dexes: of all pools so far.
    """

    def __init__(self, sizes: int) -> None:
        self.blocks = 0
        self.next: int | None = None
        self.pairs: dict[PairingKey, PairCourse] = {}
        self.best: dict[Pair, tuple[Course, Course]] = {}
        self.book = EpisodeBook(sizes)
        self.dexes: dict[PoolKey, str] = {}
        self._now: dict[PairingKey, tuple[float | None, float | None]] = {}

    def copy(self) -> SpreadCourses:
        made = SpreadCourses(0)
        made.blocks, made.next = self.blocks, self.next
        made.pairs = {key: course.copy() for key, course in self.pairs.items()}
        made.best = {key: (raw.copy(), ex.copy()) for key, (raw, ex) in self.best.items()}
        made.book = self.book.copy()
        made._now = self._now.copy()
        made.dexes = self.dexes.copy()
        return made

    def fold(self, seen: SpreadsSeen) -> None:
        number = seen.number
        self.blocks += 1
        if self.next is not None and number != self.next:
            # Blocks that the collector has missed: nobody knows how the spreads stood in them.
            for course in self._courses():
                course.skip(self.next)
        self.next = number + 1
        if seen.pools is not None:
            self._know(seen, seen.pools)
        for pairing, raw_bps, executable_bps in seen.pairs:
            course_of = self.pairs.get(pairing.key)
            if course_of is None:
                raw, executable = Course(RISES_BPS), Course(RISES_BPS)
                course_of = self.pairs[pairing.key] = PairCourse(
                    pairing.tokens, pairing.pools, pairing.fees_bps, raw, executable
                )
            course_of.raw.observe(number, raw_bps)
            course_of.executable.observe(number, executable_bps)
            self._now[pairing.key] = (raw_bps, executable_bps)
        for tokens, keys in seen.groups:
            known = [now for key in keys if (now := self._now.get(key)) is not None]
            if known:
                best = self.best.get(tokens)
                if best is None:
                    best = self.best[tokens] = (Course(RISES_BPS), Course(RISES_BPS))
                for index, course in enumerate(best):
                    values = [value for now in known if (value := now[index]) is not None]
                    course.observe(number, max(values, default=None))
        self.book.observe(number, seen.opened, seen.offers)

    def _know(self, seen: SpreadsSeen, pools: Mapping[PoolKey, Pool]) -> None:
        """How pairs of pools that are gone stand is not known from this block on."""
        self.dexes |= {key: pool.dex for key, pool in pools.items()}
        for key in [key for key in self._now if not pools.keys() >= set(key[1:])]:
            del self._now[key]
            self.pairs[key].raw.skip(seen.number)
            self.pairs[key].executable.skip(seen.number)
        there = {tokens for tokens, keys in seen.groups if keys}
        for tokens, both in self.best.items():
            if tokens not in there:
                for course in both:
                    course.skip(seen.number)

    def close(self) -> None:
        """Count what stands up to the last block."""
        if self.next is not None:
            for course in self._courses():
                course.close(self.next)

    def _courses(self) -> Iterator[Course]:
        for pair in self.pairs.values():
            yield from (pair.raw, pair.executable)
        for both in self.best.values():
            yield from both
