"""What is known of one endpoint. Never awaits, and is told the time."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import NamedTuple

from dexarb.chain.endpoints.trouble import pause_s

REST_S = (1.0, 60.0)
"""After a failure, doubling."""
QUOTA_REST_S = (1.0, 600.0)
"""After "used up", doubling: then it is tried again."""
JUDGE_AGAIN_S = 600.0
"""After a chain id that is not ours."""
ESTRANGED_S = (10.0, 600.0)
"""After another block than ours, doubling: near the head it may be a short fork."""
UNJUDGED_S = 60.0
"""As long as it knows none of our blocks."""
METHOD_AGAIN_S = 600.0
"""Until a method that an endpoint does not have is tried there again."""
OPINION_S = 60.0
"""How long "slow" and "behind" hold if nobody asks the endpoint meanwhile."""
TOLD_FAILURES = 3
LOGGED_AFTER_S = 5.0
"""Shorter trouble is not worth a message."""

_LATENCY_WEIGHT = 0.3
_LATENCY_SAMPLES = 3
_REFUSED_IN_A_ROW = 3
_GROW_AFTER = (64, 4096)


class Standing(Enum):
    """Whose chain the endpoint is on."""

    UNKNOWN = "unknown"
    OURS = "ours"
    UNJUDGED = "unjudged"
    """It has our chain id and none of our blocks."""
    ESTRANGED = "estranged"
    WRONG_CHAIN = "wrong chain"

    @property
    def is_foreign(self) -> bool:
        return self in (Standing.ESTRANGED, Standing.WRONG_CHAIN)


class Newest(NamedTuple):
    """The newest block an endpoint told of; noted_at: when it last did, however old the block."""

    number: int
    hash: str
    noted_at: float


class Away(NamedTuple):
    """Why an endpoint is not asked first. kind: one word for programs; reason: for people."""

    kind: str
    reason: str


@dataclass(slots=True)
class BatchSize:
    """How many calls an endpoint takes at once: halved by refusals, growing again slowly."""

    most: int
    size: int = field(init=False)
    _good: int = 0
    _grow_after: int = _GROW_AFTER[0]

    def __post_init__(self) -> None:
        self.size = self.most

    def refused(self, calls: int) -> None:
        if self._good == 0 and self.size < self.most:
            self._grow_after = min(_GROW_AFTER[1], self._grow_after * 2)
        self.size = max(1, min(self.size, calls // 2))
        self._good = 0

    def took(self, calls: int) -> None:
        if calls < self.size or self.size == self.most:
            return
        self._good += 1
        if self._good >= self._grow_after:
            self.size = min(self.most, self.size * 2)
            self._good = 0


@dataclass(slots=True)
class Endpoint:
    """index: its place in the order of preference. Times are of a monotonic clock, in seconds."""

    index: int
    name: str
    batch: BatchSize
    standing: Standing = Standing.UNKNOWN
    newest: Newest | None = None
    latency_s: float | None = None
    refused: int = 0
    """Answers that could not be true."""
    logged_trouble: str | None = None
    """The kind of trouble that is in the log, and not yet its end."""
    budget_is_logged: bool = False
    _standing_reason: str = ""
    _judge_at: float = float("-inf")
    _mismatches: int = 0
    _failures: int = 0
    _failing_since: float = 0.0
    _failed_at: float = float("-inf")
    _failure: str = ""
    _rests_until: float = float("-inf")
    _barred_until: float = float("-inf")
    _barred_since: float = float("-inf")
    _bar: Away = field(default_factory=lambda: Away("", ""))
    _quota_failures: int = 0
    _refused_in_a_row: int = 0
    _samples: int = 0
    _slow: tuple[float, Away] | None = None
    _behind: tuple[float, Away] | None = None
    _missing: dict[str, float] = field(default_factory=dict)

    # -- events -------------------------------------------------------------------------------

    def answered(self, sent_at: float) -> None:
        """What was asked before a failure does not undo it."""
        if sent_at >= self._failed_at:
            self._failures, self._rests_until = 0, float("-inf")
        if sent_at >= self._barred_since:
            self._quota_failures, self._barred_until = 0, float("-inf")

    def failed(self, reason: str, sent_at: float, now: float) -> None:
        """One failure, however many requests were under way when it came."""
        self._doubt()
        if sent_at < self._failed_at:
            return
        if not self._failures:
            self._failing_since = now
        self._failures += 1
        self._failed_at, self._failure = now, reason
        self._rests_until = now + pause_s(self._failures, *REST_S)

    def barred(self, for_s: float, reason: str, now: float) -> None:
        """The server asked to be left alone."""
        self._bar_until(now + for_s, Away("barred", reason), now)

    def used_up(self, reason: str, sent_at: float, now: float) -> None:
        if sent_at < self._barred_since:
            return
        self._quota_failures += 1
        pause = pause_s(self._quota_failures, *QUOTA_REST_S)
        self._bar_until(now + pause, Away("quota", f"quota used up ({reason})"), now)

    def _bar_until(self, until: float, why: Away, now: float) -> None:
        self._doubt()
        self._barred_since = now
        self._barred_until, self._bar = max(self._barred_until, until), why

    def _doubt(self) -> None:
        """Who knows what comes back."""
        if not self.standing.is_foreign:
            self.standing, self._judge_at = Standing.UNKNOWN, float("-inf")

    def believed(self) -> None:
        self._refused_in_a_row = 0

    def disbelieved(self, reason: str, sent_at: float, now: float) -> None:
        """An answer that cannot be true. Several in a row count as failures."""
        self.refused += 1
        self._refused_in_a_row += 1
        if self._refused_in_a_row >= _REFUSED_IN_A_ROW:
            self.failed(reason, sent_at, now)

    def measured(self, latency_s: float) -> None:
        before = self.latency_s if self.latency_s is not None else latency_s
        self.latency_s = before + _LATENCY_WEIGHT * (latency_s - before)
        self._samples += 1

    def note_head(self, number: int, block_hash: str, now: float) -> None:
        self.newest = Newest(number, block_hash, now)

    def judged(self, standing: Standing, reason: str, now: float) -> None:
        self.standing, self._standing_reason = standing, reason
        self._mismatches = self._mismatches + 1 if standing.is_foreign else 0
        again = {
            Standing.UNKNOWN: 0.0,
            Standing.OURS: float("inf"),
            Standing.UNJUDGED: UNJUDGED_S,
            Standing.ESTRANGED: pause_s(self._mismatches, *ESTRANGED_S),
            Standing.WRONG_CHAIN: JUDGE_AGAIN_S,
        }
        self._judge_at = now + again[standing]

    def lacks(self, method: str, now: float) -> bool:
        """Whether that is news."""
        news = method not in self._missing
        self._missing[method] = now + METHOD_AGAIN_S
        return news

    def has(self, method: str) -> bool:
        """Whether that is news."""
        return self._missing.pop(method, None) is not None

    def set_slow(self, why: Away | None, now: float) -> None:
        self._slow = (now, why) if why is not None else None

    def set_behind(self, why: Away | None, now: float) -> None:
        self._behind = (now, why) if why is not None else None

    # -- questions ----------------------------------------------------------------------------

    def is_due_for_judging(self, now: float) -> bool:
        return now >= self._judge_at

    def is_measured(self) -> bool:
        return self._samples >= _LATENCY_SAMPLES

    def does_without(self, method: str, now: float) -> bool:
        return self._missing.get(method, now) > now

    def fails_for_s(self, now: float) -> float:
        return now - self._failing_since if self._failures else 0.0

    def rests_for_s(self, now: float) -> float:
        return max(0.0, self._rests_until - now)

    def barred_for_s(self, now: float) -> float:
        return max(0.0, self._barred_until - now)

    def is_trusted(self, now: float) -> bool:
        """Whether others may be measured by it."""
        return (
            not self.standing.is_foreign
            and not self._failures
            and not self._refused_in_a_row
            and not self.barred_for_s(now)
        )

    def is_second_choice(self, now: float) -> bool:
        """Slow or behind, as far as an opinion is not too old."""
        opinions = (self._slow, self._behind)
        return any(each is not None and now < each[0] + OPINION_S for each in opinions)

    def away(self, now: float) -> Away | None:
        """Why it is not asked first, as far as it is worth telling."""
        if self.standing.is_foreign:
            return Away(self.standing.value, self._standing_reason)
        if self._barred_until > now and (
            self._bar.kind == "quota" or self._barred_until - self._barred_since >= LOGGED_AFTER_S
        ):
            return self._bar
        lasting = self._failures > 1 and now - self._failing_since >= LOGGED_AFTER_S
        if self._failures >= TOLD_FAILURES or lasting:
            return Away("failing", self._failure)
        for opinion in (self._behind, self._slow):
            if opinion is not None:
                return opinion[1]
        return None

    def state(self, now: float) -> Away | None:
        """Like `away`, short rests included."""
        away = self.away(now)
        if away is None and self.barred_for_s(now):
            return self._bar
        if away is None and self.rests_for_s(now):
            return Away("resting", self._failure)
        return away
