"""What is told when: pure, told the time and what happens, asked what is due."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from dexarb.config.alerts import BYTES_PER_GB, AlertKind, AlertRules

LINES_SHOWN = 10
"""Of one message: what goes beyond is counted."""
ROOM_AGAIN = 1.1
"""Times the limit: so much has to be free until a full disk is well again, or it would flicker."""
GRAVE = {AlertKind.MISMATCH, AlertKind.DISARMED}
"""Told in any case, also what has come and gone while nothing might be told."""

WORDS = {
    AlertKind.SILENCE: ("no new block", "blocks come again"),
    AlertKind.HEAD_LAG: ("blocks come late", "blocks come in time again"),
    AlertKind.DISK: ("disk nearly full", "disk has room again"),
    AlertKind.MISMATCH: ("differs from the chain", "agrees with the chain again"),
    AlertKind.STRATEGY_STOPPED: ("strategy stopped", "strategy goes on"),
    AlertKind.LOSS_LIMIT: ("loss limit reached", "below the loss limit again"),
    AlertKind.FIRST_FILL: ("first fill", ""),
    AlertKind.DISARMED: ("the bot is disarmed", "the bot is armed again"),
    AlertKind.FIRST_TRADE: ("first real trade", ""),
    AlertKind.DIGEST: ("digest", ""),
}
"""When it begins, and when it is over."""


@dataclass(frozen=True, slots=True)
class Moment:
    """clock: seconds that never go back. unix: the time of day, which somebody may set."""

    clock: float
    unix: float


@dataclass(frozen=True, slots=True)
class Message:
    """is_over: that a trouble which has been told is over."""

    kind: AlertKind
    is_over: bool
    lines: tuple[str, ...]

    @property
    def title(self) -> str:
        return WORDS[self.kind][self.is_over]


@dataclass(slots=True)
class _Course:
    """Of one kind. Troubles by what has them: begun and not told; told; over and not told to be.

    happened: what has no end, not told yet; uncounted: how many more.
    """

    begun: dict[str, str] = field(default_factory=dict)
    told: dict[str, str] = field(default_factory=dict)
    over: dict[str, str] = field(default_factory=dict)
    happened: list[str] = field(default_factory=list)
    uncounted: int = 0
    told_at: float | None = None
    over_at: float | None = None

    def begin(self, key: str, text: str) -> bool:
        """Whether that is new."""
        if key in self.begun or key in self.told:
            (self.begun if key in self.begun else self.told)[key] = text
            return False
        if key in self.over:  # nobody has heard that it was well meanwhile
            del self.over[key]
            self.told[key] = text
        else:
            self.begun[key] = text
        return True

    def end(self, key: str, text: str, *, is_grave: bool) -> None:
        """What nobody has been told of ends in silence, unless it is grave."""
        untold = self.begun.pop(key, None)
        if untold is not None and is_grave:
            self.happen(f"{untold}; that is over")
        if self.told.pop(key, None) is not None:
            self.over[key] = text

    def happen(self, text: str) -> None:
        if len(self.happened) < LINES_SHOWN:
            self.happened.append(text)
        else:
            self.uncounted += 1

    def trouble(self) -> tuple[str, ...]:
        """Lines of what is to be told now, which then has been."""
        lines = [*self.happened, *self.begun.values()]
        more = self.uncounted
        self.told |= self.begun
        self.begun, self.happened, self.uncounted = {}, [], 0
        return _shortened(lines, more)

    def recovery(self) -> tuple[str, ...]:
        lines = [*self.over.values()]
        self.over = {}
        return _shortened(lines)


class AlertPolicy:
    """Mutable. Of each thing its trouble and its end are told in turn, never one of them twice.

    Between two messages of a kind, and in quiet hours, what comes is collected; what has come and
    gone by then is only counted, in the digest, unless it is grave.
    """

    def __init__(self, rules: AlertRules, now: Moment) -> None:
        self._rules = rules
        self._courses = {kind: _Course() for kind in rules.kinds}
        self._block: int | None = None
        self._beat_at = now.clock
        self._late_since: float | None = None
        self._begun: Counter[AlertKind] = Counter()
        self._digested = self._digest_day(now)

    def use(self, rules: AlertRules, now: Moment) -> None:
        """Other rules from now on. What is known of a kind that stays is kept."""
        self._rules = rules
        self._courses = {kind: self._courses.get(kind) or _Course() for kind in rules.kinds}
        self._digested = self._digest_day(now)

    # -- what happens -------------------------------------------------------------------------

    def beat(self, now: Moment) -> None:
        """An entry came: old or new, there is no silence."""
        gap_s = now.clock - self._beat_at
        self._beat_at = now.clock
        self._end(AlertKind.SILENCE, "", f"after {gap_s:,.0f} s")

    def block(self, now: Moment, number: int, timestamp: int) -> None:
        """A block came live. timestamp: its own, in seconds. Late is what is so for a while: who
        catches up after a start is soon in time."""
        self._block = number
        self.beat(now)
        age_s = now.unix - timestamp
        if age_s <= self._rules.head_lag_s:
            self._late_since = None
            self._end(AlertKind.HEAD_LAG, "", f"block {number} is {age_s:,.0f} s old")
            return
        if self._late_since is None:
            self._late_since = now.clock
        if now.clock - self._late_since >= self._rules.head_lag_s:
            text = f"block {number} was {age_s:,.0f} s old when it came; is the node behind, or"
            self._begin(AlertKind.HEAD_LAG, "", f"{text} the clock of this machine wrong?")

    def free(self, folder: str, free_bytes: int) -> None:
        """How much room there is where files are written."""
        shown = f"{folder}: {free_bytes / BYTES_PER_GB:,.2f} GB are free"
        if free_bytes < self._rules.disk_free_bytes:
            self._begin(AlertKind.DISK, folder, shown)
        elif free_bytes >= self._rules.disk_free_bytes * ROOM_AGAIN:
            self._end(AlertKind.DISK, folder, shown)

    def holds(self, kind: AlertKind, troubles: Mapping[str, str]) -> None:
        """All troubles of a kind that there are now, by what has them: others are over."""
        course = self._courses.get(kind)
        if course is None:
            return
        for key, text in [*course.begun.items(), *course.told.items()]:
            if key not in troubles:
                self._end(kind, key, text)
        for key, text in troubles.items():
            self._begin(kind, key, text)

    def is_so(self, kind: AlertKind, key: str, text: str | None) -> None:
        """One trouble, the others stay. text: None where it is over."""
        if text is None:
            self._end(kind, key, key)
        else:
            self._begin(kind, key, text)

    def happened(self, kind: AlertKind, text: str) -> None:
        """What has no end of its own."""
        if kind in self._courses:
            self._begun[kind] += 1
            self._courses[kind].happen(text)

    def _begin(self, kind: AlertKind, key: str, text: str) -> None:
        if kind in self._courses and self._courses[kind].begin(key, text):
            self._begun[kind] += 1

    def _end(self, kind: AlertKind, key: str, text: str) -> None:
        if kind in self._courses:
            self._courses[kind].end(key, text, is_grave=kind in GRAVE)

    # -- what is due --------------------------------------------------------------------------

    def due(self, now: Moment, facts: Sequence[str] = ()) -> list[Message]:
        """What is to be sent now; it counts as told. facts: what the program adds to a digest."""
        silent_s = now.clock - self._beat_at
        if silent_s > self._rules.silence_s:
            behind = "" if self._block is None else f" behind {self._block}"
            self._begin(AlertKind.SILENCE, "", f"none{behind} for {silent_s:,.0f} s")
        return [] if self._is_quiet(now) else [*self._messages(now), *self._digest(now, facts)]

    def _messages(self, now: Moment) -> Iterator[Message]:
        for kind in AlertKind:
            course = self._courses.get(kind)
            if course is None:
                continue
            if (course.happened or course.begun) and self._may_tell(course.told_at, now):
                course.told_at = now.clock
                yield Message(kind, False, course.trouble())
            if course.over and self._may_tell(course.over_at, now):
                course.over_at = now.clock
                yield Message(kind, True, course.recovery())

    def _may_tell(self, last: float | None, now: Moment) -> bool:
        return last is None or now.clock - last >= self._rules.repeat_s

    def _digest(self, now: Moment, facts: Sequence[str]) -> Iterator[Message]:
        day = self._digest_day(now)
        if AlertKind.DIGEST not in self._courses or day <= self._digested:
            return
        self._digested = day
        counts = ", ".join(
            f"{kind} {self._begun[kind]:,}" for kind in AlertKind if self._begun[kind]
        )
        self._begun.clear()
        still = [
            f"still: {WORDS[kind][0]}: {text}"
            for kind in AlertKind
            if (course := self._courses.get(kind)) is not None
            for text in course.told.values()
        ]
        since = f"since the last digest: {counts}" if counts else "nothing to tell since the last"
        yield Message(AlertKind.DIGEST, False, (*facts, since, *_shortened(still)))

    def _digest_day(self, now: Moment) -> date:
        """Of the newest digest that there should have been."""
        local = datetime.fromtimestamp(now.unix, self._rules.zone)
        is_past = local.hour * 60 + local.minute >= self._rules.digest_minute
        return local.date() if is_past else local.date() - timedelta(days=1)

    def _is_quiet(self, now: Moment) -> bool:
        if self._rules.quiet is None:
            return False
        local = datetime.fromtimestamp(now.unix, self._rules.zone)
        minute = local.hour * 60 + local.minute
        begin, end = self._rules.quiet
        return begin <= minute < end if begin < end else minute >= begin or minute < end


def _shortened(lines: Sequence[str], more: int = 0) -> tuple[str, ...]:
    more += max(0, len(lines) - LINES_SHOWN)
    return (*lines[:LINES_SHOWN], *([f"and {more:,} more"] if more else []))
