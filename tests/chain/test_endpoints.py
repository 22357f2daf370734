"""Whom to ask: each fault of an endpoint, without a node and without a clock."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime

from dexarb.chain.endpoints.choice import Endpoints, unique
from dexarb.chain.endpoints.health import Endpoint, Standing
from dexarb.chain.endpoints.usage import Budget

A, B, C = "https://a", "https://b", "https://c"
NOON = datetime(2026, 11, 30, 12, tzinfo=UTC).timestamp()


@dataclass
class Scene:
    """Endpoints in the order given, at a time that the test moves."""

    names: tuple[str, ...] = (A, B)
    budgets: tuple[Budget, ...] = ()
    now: float = 1000.0
    utc_s: float = NOON
    told: list[tuple[str, str, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.all = Endpoints(
            self.names,
            batch_size=100,
            budgets=self.budgets,
            notice=lambda *notice: self.told.append(notice),
        )

    def __getitem__(self, place: int) -> Endpoint:
        return self.all.all[place]

    def order(self, *methods: str) -> list[str]:
        among = range(len(self.names))
        order = self.all.order(self.now, self.utc_s, methods=methods, among=among)
        return [endpoint.name for endpoint in order]

    def fail(self, place: int, reason: str = "HTTP 502") -> None:
        self.all.failed(self[place], reason, self.now, self.now)

    def hear(self, place: int, number: int) -> None:
        self.all.note_head(self[place], number, "0x", self.now)

    def measure(self, place: int, latency_s: float, times: int = 3) -> None:
        for _ in range(times):
            self.all.measured(self[place], latency_s, self.now)

    def events(self) -> list[tuple[str, str]]:
        return [(event, name) for event, name, _ in self.told]


def test_the_preferred_one_is_asked_first_and_after_a_failure_the_next() -> None:
    scene = Scene((A, B, C))
    assert scene.order() == [A, B, C]
    scene.fail(0)
    assert scene.order() == [B, C, A]
    scene.fail(1)
    scene.fail(1)  # one failure of many requests under way would be one; these came one by one
    assert scene.order() == [C, A, B]
    scene.now += 1.0
    assert scene.order() == [A, C, B]
    scene.now += 1.0
    assert scene.order() == [A, B, C]


def test_a_failure_of_many_requests_under_way_is_one() -> None:
    scene = Scene()
    for _ in range(5):
        scene.all.failed(scene[0], "cut", scene.now - 0.5, scene.now)
    scene.now += 1.0
    assert scene.order() == [A, B]


def test_a_short_fault_is_not_told_and_a_lasting_one_once_and_once_when_it_is_over() -> None:
    scene = Scene()
    scene.fail(0)
    scene.all.answered(scene[0], scene.now, scene.now)
    assert scene.told == []
    for _ in range(6):
        scene.fail(0)
        scene.now += 20
    assert scene.told == [("endpoint.left", A, "HTTP 502")]
    scene.all.answered(scene[0], scene.now, scene.now)
    scene.all.answered(scene[0], scene.now, scene.now)
    assert scene.events() == [("endpoint.left", A), ("endpoint.back", A)]


def test_one_that_stands_still_while_another_goes_on_is_asked_after_it() -> None:
    scene = Scene()
    scene.hear(0, 100)
    scene.hear(1, 102)
    scene.hear(0, 100)
    assert scene.order() == [A, B]  # two blocks may be on their way
    scene.hear(1, 103)
    assert scene.order() == [A, B]  # nobody has asked the first one since
    scene.hear(0, 100)
    assert scene.order() == [B, A]
    reason = f"stands still at block 100 while {B} is at 103"
    assert scene.told == [("endpoint.left", A, reason)]
    scene.hear(0, 100)
    assert len(scene.told) == 1
    scene.hear(0, 103)
    assert scene.order() == [A, B]
    assert scene.events() == [("endpoint.left", A), ("endpoint.back", A)]


def test_one_that_nobody_asks_any_more_gets_another_chance() -> None:
    scene = Scene()
    scene.hear(1, 200)
    scene.hear(0, 100)
    assert scene.order() == [B, A]
    scene.now += 60
    assert scene.order() == [A, B]
    assert len(scene.told) == 1  # not told to be back: nothing is proven
    scene.hear(0, 100)
    assert scene.order() == [B, A]
    assert len(scene.told) == 1


def test_the_head_of_one_that_fails_or_lies_says_nothing_of_the_others() -> None:
    for spoil in ("failed", "refused"):
        scene = Scene()
        scene.hear(1, 10**9)
        if spoil == "failed":
            scene.fail(1)
        else:
            scene.all.disbelieved(scene[1], "gas", scene.now, scene.now)
        scene.hear(0, 100)
        assert scene.order() == [A, B]


def test_one_that_needs_much_longer_than_another_is_asked_after_it() -> None:
    scene = Scene()
    scene.measure(1, 0.2)
    scene.measure(0, 3.0, times=2)
    assert scene.order() == [A, B]  # a hiccup
    scene.measure(0, 3.0, times=1)
    assert scene.order() == [B, A]
    assert scene.told == [("endpoint.left", A, "needs 3.0 s an answer")]
    scene.measure(0, 0.2, times=20)
    assert scene.order() == [A, B]
    assert scene.events() == [("endpoint.left", A), ("endpoint.back", A)]


def test_one_that_is_slow_stays_if_the_others_are_no_quicker() -> None:
    scene = Scene()
    scene.measure(1, 0.9)
    scene.measure(0, 3.0)
    assert scene.order() == [A, B]
    scene = Scene()
    scene.measure(0, 3.0)  # the second may be quicker: it gets the chance
    assert scene.order() == [B, A]


def test_one_that_asked_to_be_left_alone_is_not_asked_before() -> None:
    scene = Scene()
    scene.all.barred(scene[0], 120, "HTTP 429", scene.now)
    assert scene.order() == [B]
    scene.all.barred(scene[1], 30, "HTTP 503", scene.now)
    assert scene.order() == []
    wait, reason = scene.all.free_in_s(scene.now, scene.utc_s, among=range(2))
    assert wait == 30
    assert reason == f"{B}: asks to be left alone for 30 s (HTTP 503)"
    scene.now += 30
    assert scene.order() == [B]
    scene.now += 90
    assert scene.order() == [A, B]
    scene.all.answered(scene[0], scene.now, scene.now)
    assert scene.events() == [("endpoint.left", A), ("endpoint.left", B), ("endpoint.back", A)]


def test_a_quota_that_is_used_up_rests_ever_longer_up_to_ten_minutes() -> None:
    scene = Scene()
    rests = []
    for _ in range(12):
        scene.all.used_up(scene[0], "HTTP 402", scene.now, scene.now)
        rests.append(scene[0].barred_for_s(scene.now))
        scene.now += rests[-1]
        assert scene.order() == [A, B]  # it is tried again
    assert rests[:3] == [1, 2, 4]
    assert max(rests) == 600
    assert scene.told == [("endpoint.left", A, "quota used up (HTTP 402)")]
    scene.all.answered(scene[0], scene.now, scene.now)
    assert scene.events()[-1] == ("endpoint.back", A)


def test_one_that_lacks_a_method_is_asked_last_for_it_alone() -> None:
    scene = Scene()
    scene.all.lacks(scene[0], "eth_getBlockReceipts", scene.now)
    scene.all.lacks(scene[0], "eth_getBlockReceipts", scene.now)
    assert scene.order("eth_getBlockReceipts") == [B, A]
    assert scene.order("eth_getLogs") == [A, B]
    scene.now += 600
    assert scene.order("eth_getBlockReceipts") == [A, B]
    scene.all.has(scene[0], "eth_getBlockReceipts")
    assert scene.told == [
        ("endpoint.left", A, "does not have eth_getBlockReceipts"),
        ("endpoint.back", A, "has eth_getBlockReceipts"),
    ]


def test_one_on_another_chain_is_never_asked_but_judged_again() -> None:
    scene = Scene()
    reason = "on chain 1, not 137: not used"
    scene.all.judged(scene[0], Standing.WRONG_CHAIN, reason, scene.now)
    assert scene.order() == [B]
    assert scene.told == [("endpoint.left", A, reason)]
    scene.now += 600
    assert scene.order() == [B, A]
    assert scene[0].is_due_for_judging(scene.now)
    scene.all.judged(scene[0], Standing.OURS, "", scene.now)
    assert scene.order() == [A, B]
    assert scene.events() == [("endpoint.left", A), ("endpoint.back", A)]


def test_those_with_another_block_than_ours_are_asked_only_if_all_are_such() -> None:
    scene = Scene((A, B, C))
    for place in (0, 1):
        scene.all.judged(scene[place], Standing.ESTRANGED, "another block", scene.now)
    assert scene.order() == [C]
    scene.all.judged(scene[2], Standing.WRONG_CHAIN, "on chain 1", scene.now)
    assert scene.order() == [A, B]


def test_one_that_was_away_is_judged_again() -> None:
    scene = Scene()
    scene.all.judged(scene[0], Standing.OURS, "", scene.now)
    assert not scene[0].is_due_for_judging(scene.now)
    scene.fail(0)
    assert scene[0].is_due_for_judging(scene.now)


def test_three_answers_in_a_row_that_cannot_be_true_count_as_a_failure() -> None:
    scene = Scene()
    for _ in range(2):
        scene.all.disbelieved(scene[0], "the gas does not add up", scene.now, scene.now)
    scene[0].believed()
    scene.all.disbelieved(scene[0], "the gas does not add up", scene.now, scene.now)
    assert scene.order() == [A, B]
    for _ in range(2):
        scene.all.disbelieved(scene[0], "the gas does not add up", scene.now, scene.now)
    assert scene.order() == [B, A]
    assert scene.all.report(scene.now, scene.utc_s)[0].refused == 5


def test_a_budget_that_is_used_up_rests_its_endpoint_until_the_day_or_month_ends() -> None:
    scene = Scene(budgets=(Budget(daily_requests=10), Budget(monthly_compute_units=200)))
    usage = scene.all.usage
    usage.count(A, ["eth_getLogs"] * 10, scene.utc_s)
    assert scene.order() == [B]
    usage.count(B, ["eth_getBlockByHash"] * 10, scene.utc_s)
    assert scene.order() == []
    scene.order()
    assert [reason for _, _, reason in scene.told] == [
        "budget of 10 requests a day: used up for 12.0 h",
        "budget of 200 compute units a month: used up for 12.0 h",
    ]
    wait, reason = scene.all.free_in_s(scene.now, scene.utc_s, among=range(2))
    assert wait == 12 * 3600
    assert "budget" in reason
    assert [each.state for each in scene.all.report(scene.now, scene.utc_s)] == ["budget"] * 2
    scene.utc_s += 12 * 3600
    assert scene.order() == [A, B]
    assert [event for event, _ in scene.events()[2:]] == ["endpoint.back"] * 2


def test_a_report_says_of_each_endpoint_how_it_is() -> None:
    scene = Scene()
    scene.hear(0, 100)
    scene.measure(0, 0.25)
    scene.fail(1)
    first, second = scene.all.report(scene.now, scene.utc_s)
    assert (first.endpoint, first.state, first.newest, first.latency_ms) == (A, "ready", 100, 250.0)
    assert (second.state, second.reason, second.newest) == ("resting", "HTTP 502", None)


def test_two_keys_at_one_host_are_numbered() -> None:
    assert unique([A, B, A]) == [f"{A} #1", B, f"{A} #2"]


def test_an_answer_to_what_was_asked_before_a_failure_does_not_undo_it() -> None:
    scene = Scene()
    sent_at = scene.now
    scene.now += 1
    scene.fail(0)
    scene.all.barred(scene[1], 60, "HTTP 429", scene.now)
    for place in (0, 1):
        scene.all.answered(scene[place], sent_at, scene.now)
    assert scene.order() == [A]
    assert scene[0].rests_for_s(scene.now) == 1


def test_a_short_fork_near_the_head_costs_an_endpoint_seconds_and_a_lasting_one_minutes() -> None:
    scene = Scene()
    waits = []
    for _ in range(8):
        scene.all.judged(scene[0], Standing.ESTRANGED, "another block", scene.now)
        start = scene.now
        while not scene[0].is_due_for_judging(scene.now):
            scene.now += 10
        waits.append(scene.now - start)
    assert waits == [10, 20, 40, 80, 160, 320, 600, 600]
    assert scene.events() == [("endpoint.left", A)]
    scene.all.judged(scene[0], Standing.OURS, "", scene.now)
    scene.all.judged(scene[0], Standing.ESTRANGED, "another block", scene.now)
    assert scene[0].is_due_for_judging(scene.now + 10)
