"""What is told when: properties over any course of events, and the plain cases by hand."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule

from dexarb.alerts.policy import LINES_SHOWN, AlertPolicy, Message, Moment
from dexarb.config.alerts import BYTES_PER_GB, AlertKind, AlertRules

START = datetime(2025, 3, 29, 12, tzinfo=UTC).timestamp()
VIENNA = ZoneInfo("Europe/Vienna")  # its clock goes forward on the night behind START
REPEAT_S, SILENCE_S, LAG_S = 600.0, 120.0, 60.0
DISK = 5 * BYTES_PER_GB


def rules(
    *kinds: AlertKind,
    repeat_s: float = REPEAT_S,
    quiet: tuple[int, int] | None = None,
    zone: tzinfo = UTC,
) -> AlertRules:
    wanted = frozenset(kinds or AlertKind)
    return AlertRules(wanted, SILENCE_S, LAG_S, DISK, repeat_s, quiet, zone, 8 * 60)


def at(seconds: float) -> Moment:
    return Moment(1000.0 + seconds, START + seconds)


class Told(RuleBasedStateMachine):
    """Strategies that stop and go on, things that happen, and time that passes.

    The model is what really is; nothing of the policy's own is looked at.
    """

    def __init__(self) -> None:
        super().__init__()
        self.said = rules(
            AlertKind.STRATEGY_STOPPED,
            AlertKind.FIRST_FILL,
            AlertKind.DIGEST,
            quiet=(22 * 60, 7 * 60),
            zone=VIENNA,
        )
        self.seconds = 0.0
        self.policy = AlertPolicy(self.said, at(0))
        self.troubles: set[str] = set()
        self.believed: set[str] = set()
        """What a reader of all messages takes for wrong."""
        self.filled = self.fills_told = 0
        self.last: dict[tuple[AlertKind, bool], float] = {}
        self.digests: Counter[date] = Counter()

    def local(self) -> datetime:
        return datetime.fromtimestamp(START + self.seconds, VIENNA)

    @rule(names=st.sets(st.sampled_from("abc")))
    def stop(self, names: set[str]) -> None:
        self.troubles = names
        self.policy.holds(AlertKind.STRATEGY_STOPPED, {name: f"strategy {name}" for name in names})

    @rule(count=st.integers(1, 15))
    def fill(self, count: int) -> None:
        self.filled += count
        for _ in range(count):
            self.policy.happened(AlertKind.FIRST_FILL, "filled")

    @rule(seconds=st.sampled_from((1.0, 30.0, 599.0, 600.0, 3 * 3600.0, 7 * 3600.0)))
    def pass_time(self, seconds: float) -> None:
        self.seconds += seconds
        self.read(self.policy.due(at(self.seconds)))

    def read(self, messages: list[Message]) -> None:
        if messages:
            assert 7 <= self.local().hour < 22
        for message in messages:
            stream = (message.kind, message.is_over)
            if message.kind is not AlertKind.DIGEST:
                assert self.seconds - self.last.get(stream, float("-inf")) >= REPEAT_S
            self.last[stream] = self.seconds
            if message.kind is AlertKind.STRATEGY_STOPPED:
                named = {line.removeprefix("strategy ") for line in message.lines}
                if message.is_over:
                    assert named <= self.believed
                    self.believed -= named
                else:
                    assert not named & self.believed
                    self.believed |= named
            elif message.kind is AlertKind.FIRST_FILL:
                assert not message.is_over
                more = [line for line in message.lines if line.startswith("and ")]
                self.fills_told += len(message.lines) - len(more)
                self.fills_told += sum(int(line.split()[1]) for line in more)
            else:
                day = (self.local() - timedelta(hours=8)).date()
                self.digests[day] += 1
                assert self.digests[day] == 1

    def teardown(self) -> None:
        """Were nothing to happen any more, a reader would soon know it all."""
        for _ in range(3):  # one of them at least is not in the quiet hours
            self.pass_time(7 * 3600.0)
        self.pass_time(4 * 3600.0)
        assert self.believed == self.troubles
        assert self.fills_told == self.filled


TestTold = Told.TestCase
TestTold.settings = settings(max_examples=60, stateful_step_count=30, deadline=None)


def titles(messages: list[Message]) -> list[str]:
    return [message.title for message in messages]


def test_silence_is_told_once_and_so_is_its_end() -> None:
    policy = AlertPolicy(rules(), at(0))
    assert policy.due(at(SILENCE_S)) == []
    (told,) = policy.due(at(SILENCE_S + 1))
    assert (told.title, told.lines) == ("no new block", ("none for 121 s",))
    assert policy.due(at(SILENCE_S + 500)) == []
    policy.block(at(700), 7, int(START) + 700)
    (over,) = policy.due(at(701))
    assert (over.title, over.is_over, over.lines) == ("blocks come again", True, ("after 700 s",))
    (told,) = policy.due(at(700 + SILENCE_S + 1))
    assert told.lines == ("none behind 7 for 121 s",)


def test_old_entries_are_no_silence() -> None:
    policy = AlertPolicy(rules(), at(0))
    policy.beat(at(SILENCE_S))
    assert policy.due(at(2 * SILENCE_S)) == []


def test_late_blocks_are_told_when_they_stay_late() -> None:
    """Who catches up after a start comes late for a short while."""
    policy = AlertPolicy(rules(), at(0))
    for seconds in (0.0, LAG_S - 1):
        policy.block(at(seconds), 1, int(START) - 1000)
    policy.block(at(LAG_S), 2, int(START))  # 60 s old: as much as is borne
    policy.block(at(LAG_S + 1), 3, int(START))  # late anew
    assert policy.due(at(LAG_S + 1)) == []
    policy.block(at(2 * LAG_S + 1), 4, int(START))
    (told,) = policy.due(at(2 * LAG_S + 1))
    assert told.title == "blocks come late"
    assert told.lines[0].startswith("block 4 was 121 s old")
    policy.block(at(2 * LAG_S + 2), 5, int(START) + 121)
    assert titles(policy.due(at(2 * LAG_S + 2))) == ["blocks come in time again"]


def test_a_disk_is_well_again_when_it_has_room_to_spare() -> None:
    policy = AlertPolicy(rules(), at(0))
    policy.free("data", DISK)
    assert policy.due(at(1)) == []
    policy.free("data", DISK - 1)
    (told,) = policy.due(at(1))
    assert (told.title, told.lines) == ("disk nearly full", ("data: 5.00 GB are free",))
    policy.free("data", DISK)  # not enough to call it well
    assert policy.due(at(2)) == []
    policy.free("data", DISK * 11 // 10)
    assert titles(policy.due(at(3))) == ["disk has room again"]


def test_a_digest_a_day_with_what_was_and_what_still_is() -> None:
    policy = AlertPolicy(rules(repeat_s=0), at(0))
    policy.holds(AlertKind.MISMATCH, {"a": "pool a", "b": "pool b"})
    policy.due(at(1))
    policy.holds(AlertKind.MISMATCH, {"a": "pool a"})
    policy.beat(at(20 * 3600 - 1))
    policy.due(at(20 * 3600 - 1))
    (digest,) = policy.due(at(20 * 3600), ["block 9"])
    assert digest.lines == (
        "block 9",
        "since the last digest: mismatch 2",
        "still: differs from the chain: pool a",
    )
    policy.beat(at(44 * 3600 - 1))
    assert policy.due(at(44 * 3600 - 1)) == []
    (digest,) = policy.due(at(44 * 3600))
    assert digest.lines[0] == "nothing to tell since the last"


def test_what_is_not_wanted_is_not_told() -> None:
    policy = AlertPolicy(rules(AlertKind.DISK), at(0))
    policy.happened(AlertKind.FIRST_FILL, "filled")
    policy.holds(AlertKind.MISMATCH, {"a": "pool a"})
    assert policy.due(at(100 * 3600)) == []


def test_other_rules_keep_what_has_been_told() -> None:
    policy = AlertPolicy(rules(), at(0))
    policy.holds(AlertKind.MISMATCH, {"a": "pool a"})
    assert titles(policy.due(at(1))) == ["differs from the chain"]
    policy.use(rules(AlertKind.MISMATCH, repeat_s=0), at(2))
    policy.holds(AlertKind.MISMATCH, {"a": "pool a"})
    assert policy.due(at(3)) == []
    policy.holds(AlertKind.MISMATCH, {})
    assert titles(policy.due(at(4))) == ["agrees with the chain again"]


def test_one_trouble_of_several_ends_alone() -> None:
    policy = AlertPolicy(rules(repeat_s=0), at(0))
    policy.is_so(AlertKind.DISK, "ledger", "no space left")
    policy.free("data", 1)
    assert policy.due(at(1))[0].lines == ("no space left", "data: 0.00 GB are free")
    policy.is_so(AlertKind.DISK, "ledger", None)
    assert policy.due(at(2))[0].lines == ("ledger",)


def test_long_lists_are_counted() -> None:
    policy = AlertPolicy(rules(), at(0))
    stopped = {str(number): f"strategy {number}" for number in range(10_000)}
    policy.holds(AlertKind.STRATEGY_STOPPED, stopped)
    (told,) = policy.due(at(1))
    assert len(told.lines) == LINES_SHOWN + 1
    assert told.lines[-1] == "and 9,990 more"


@pytest.mark.parametrize(
    ("quiet", "hour", "is_quiet"),
    [
        ((22 * 60, 7 * 60), 22, True),
        ((22 * 60, 7 * 60), 6, True),
        ((22 * 60, 7 * 60), 7, False),
        ((22 * 60, 7 * 60), 21, False),
        ((9 * 60, 17 * 60), 9, True),
        ((9 * 60, 17 * 60), 17, False),
        ((9 * 60, 17 * 60), 8, False),
    ],
)
def test_quiet_hours(quiet: tuple[int, int], hour: int, is_quiet: bool) -> None:
    midnight = datetime(2025, 1, 1, tzinfo=UTC).timestamp()
    now = Moment(0.0, midnight + hour * 3600)
    policy = AlertPolicy(rules(quiet=quiet), now)
    policy.happened(AlertKind.FIRST_FILL, "filled")
    assert (policy.due(now) == []) is is_quiet


def test_a_clock_that_is_set_back_repeats_no_digest_and_holds_nothing_up() -> None:
    policy = AlertPolicy(rules(), at(0))
    for clock, unix in ((0.0, 86_400.0), (1.0, 0.0), (2.0, 86_400.0)):
        now = Moment(1000.0 + clock, START + unix)
        policy.happened(AlertKind.FIRST_FILL, "filled")
        told = policy.due(now)
        assert titles(told) == (["first fill", "digest"] if clock == 0.0 else [])
    assert titles(policy.due(Moment(1000.0 + REPEAT_S, START))) == ["no new block", "first fill"]


def test_a_mismatch_is_told_even_when_it_is_over_before_anything_may_be_told() -> None:
    policy = AlertPolicy(rules(), at(0))
    policy.holds(AlertKind.MISMATCH, {"a": "pool a"})
    policy.holds(AlertKind.MISMATCH, {})
    (told,) = policy.due(at(1))
    assert (told.title, told.lines) == ("differs from the chain", ("pool a; that is over",))
    assert policy.due(at(100)) == []


def test_quiet_hours_are_those_of_the_zone() -> None:
    now = Moment(0.0, datetime(2025, 7, 1, 20, 30, tzinfo=UTC).timestamp())  # 22:30 in Vienna
    for zone, is_quiet in ((UTC, False), (VIENNA, True)):
        policy = AlertPolicy(rules(quiet=(22 * 60, 7 * 60), zone=zone), now)
        policy.happened(AlertKind.FIRST_FILL, "filled")
        assert (policy.due(now) == []) is is_quiet


def test_ends_are_told_no_more_often_than_beginnings() -> None:
    policy = AlertPolicy(rules(AlertKind.STRATEGY_STOPPED), at(0))

    def stopped(*names: str) -> None:
        policy.holds(AlertKind.STRATEGY_STOPPED, dict.fromkeys(names, "stopped"))

    stopped("a", "b")
    assert titles(policy.due(at(1))) == ["strategy stopped"]
    stopped("a")
    assert titles(policy.due(at(2))) == ["strategy goes on"]
    stopped()
    assert policy.due(at(1 + REPEAT_S)) == []
    assert titles(policy.due(at(2 + REPEAT_S))) == ["strategy goes on"]
