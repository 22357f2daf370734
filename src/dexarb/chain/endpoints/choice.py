"""Which endpoint is asked first: a state machine over all of them.

It never awaits and is told the time, so each fault is a test without a node. What it is told comes
from `rpc`: answers, failures, heads. What it tells are the order to ask in, and notices, once when
an endpoint is left and once when it is back.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import structlog

from dexarb.chain.endpoints.health import Away, BatchSize, Endpoint, Newest, Standing
from dexarb.chain.endpoints.usage import Budget, Spent, Usage
from dexarb.errors import TransportError

MAX_LAG_BLOCKS = 2
"""A newest block that is further behind another endpoint's stands still."""
SLOW_S = 1.0
SLOW_RATIO = 4.0
"""An endpoint is slow from SLOW_S on, if it needs so many times what another needs."""
MOMENT_S = 60.0
"""What one endpoint lacks is not called missing while another has been silent no longer than this:
it may have it."""

Notice = Callable[[str, str, str], None]
"""(event, endpoint, reason); the events are "endpoint.left" and "endpoint.back"."""

_log = structlog.get_logger("dexarb.endpoints")


@dataclass(frozen=True, slots=True)
class EndpointReport:
    """state: "ready", or why it is not asked first, in a word; reason: the same for people."""

    endpoint: str
    state: str
    reason: str
    newest: int | None
    latency_ms: float | None
    batch_size: int
    refused: int
    today: Spent
    this_month: Spent
    budget: Budget


class Endpoints:
    """All endpoints, in the order of preference. Times are seconds of a monotonic clock (now),
    and since 1970 (utc_s) where days count."""

    def __init__(
        self,
        names: Sequence[str],
        *,
        batch_size: int,
        usage: Usage | None = None,
        budgets: Sequence[Budget] = (),
        notice: Notice | None = None,
    ) -> None:
        self.usage = usage or Usage()
        self.all = [
            Endpoint(index, name, BatchSize(batch_size)) for index, name in enumerate(unique(names))
        ]
        self._budgets = list(budgets) or [Budget()] * len(self.all)
        self._notice = notice or _log_notice

    # -- events -------------------------------------------------------------------------------

    def answered(self, endpoint: Endpoint, sent_at: float, now: float) -> None:
        endpoint.answered(sent_at)
        self._notify(endpoint, now)

    def failed(self, endpoint: Endpoint, reason: str, sent_at: float, now: float) -> None:
        endpoint.failed(reason, sent_at, now)
        self._notify(endpoint, now)

    def barred(self, endpoint: Endpoint, for_s: float, reason: str, now: float) -> None:
        endpoint.barred(for_s, f"asks to be left alone for {for_s:.0f} s ({reason})", now)
        self._notify(endpoint, now)

    def used_up(self, endpoint: Endpoint, reason: str, sent_at: float, now: float) -> None:
        endpoint.used_up(reason, sent_at, now)
        self._notify(endpoint, now)

    def disbelieved(self, endpoint: Endpoint, reason: str, sent_at: float, now: float) -> None:
        endpoint.disbelieved(reason, sent_at, now)
        self._notify(endpoint, now)

    def judged(self, endpoint: Endpoint, standing: Standing, reason: str, now: float) -> None:
        endpoint.judged(standing, reason, now)
        self._notify(endpoint, now)

    def lacks(self, endpoint: Endpoint, method: str, now: float) -> None:
        if endpoint.lacks(method, now):
            self._notice("endpoint.left", endpoint.name, f"does not have {method}")

    def has(self, endpoint: Endpoint, method: str) -> None:
        if endpoint.has(method):
            self._notice("endpoint.back", endpoint.name, f"has {method}")

    def measured(self, endpoint: Endpoint, latency_s: float, now: float) -> None:
        endpoint.measured(latency_s)
        endpoint.set_slow(self._slowness(endpoint, now), now)
        self._notify(endpoint, now)

    def note_head(self, endpoint: Endpoint, number: int, block_hash: str, now: float) -> None:
        endpoint.note_head(number, block_hash, now)
        endpoint.set_behind(self._lag(endpoint, now), now)
        self._notify(endpoint, now)

    def _slowness(self, endpoint: Endpoint, now: float) -> Away | None:
        latency = endpoint.latency_s
        if latency is None or latency <= SLOW_S or not endpoint.is_measured():
            return None
        for other in self._others(endpoint, now):
            # One that was never asked may be quicker: it gets the chance to show it.
            if other.latency_s is None or latency >= SLOW_RATIO * other.latency_s:
                return Away("slow", f"needs {latency:.1f} s an answer")
        return None

    def _lag(self, endpoint: Endpoint, now: float) -> Away | None:
        assert endpoint.newest is not None
        number = endpoint.newest.number
        for other in self._others(endpoint, now):
            if other.newest is not None and other.newest.number - number > MAX_LAG_BLOCKS:
                ahead = f"{other.name} is at {other.newest.number}"
                return Away("behind", f"stands still at block {number} while {ahead}")
        return None

    def _others(self, endpoint: Endpoint, now: float) -> list[Endpoint]:
        return [each for each in self.all if each is not endpoint and each.is_trusted(now)]

    def _notify(self, endpoint: Endpoint, now: float) -> None:
        away = endpoint.away(now)
        if away is not None and endpoint.logged_trouble != away.kind:
            self._notice("endpoint.left", endpoint.name, away.reason)
        elif away is None and endpoint.logged_trouble is not None:
            # A rest that has merely run out proves nothing yet.
            if endpoint.rests_for_s(now) or endpoint.barred_for_s(now):
                return
            self._notice("endpoint.back", endpoint.name, "answers as it should")
        endpoint.logged_trouble = away.kind if away is not None else None

    # -- questions ----------------------------------------------------------------------------

    def order(
        self, now: float, utc_s: float, *, methods: Collection[str] = (), among: Collection[int]
    ) -> list[Endpoint]:
        """Whom to ask, one after the other: usable ones, then those that are slow or behind, then
        those that failed lately, soonest rested first, at last those that lack a method.

        among: indices. Empty if all are barred, out of budget or on another chain.
        """
        candidates = [
            each
            for each in self.all
            if each.index in among
            and not each.barred_for_s(now)
            and self._is_within_budget(each, utc_s)
            and self.is_on_our_chain(each, now)
        ]

        def rank(each: Endpoint) -> tuple[bool, bool, float, bool, int]:
            return (
                any(each.does_without(method, now) for method in methods),
                each.standing.is_foreign,
                each.rests_for_s(now),
                each.is_second_choice(now),
                each.index,
            )

        return sorted(candidates, key=rank)

    def is_on_our_chain(self, endpoint: Endpoint, now: float) -> bool:
        """Whether it may be used, or has to be judged anew. Those that have another block where
        we have ours are used only if all have."""
        if not endpoint.standing.is_foreign or endpoint.is_due_for_judging(now):
            return True
        return endpoint.standing is Standing.ESTRANGED and all(
            each.standing.is_foreign for each in self.all
        )

    def free_in_s(self, now: float, utc_s: float, *, among: Collection[int]) -> tuple[float, str]:
        """When `order` is empty: after how many seconds it will not be, and why it is."""
        waits: list[tuple[float, str]] = []
        for each in self.all:
            if each.index not in among:
                continue
            spent = self.usage.rest(each.name, self._budgets[each.index], utc_s)
            state = each.state(now)
            if spent is not None:
                waits.append((spent[0], f"{each.name}: {spent[1]}: used up"))
            elif each.barred_for_s(now) and state is not None:
                waits.append((each.barred_for_s(now), f"{each.name}: {state.reason}"))
            elif state is not None:
                waits.append((float("inf"), f"{each.name}: {state.reason}"))
        return min(waits, default=(float("inf"), "no endpoint is left to ask"))

    def barred_briefly(self, now: float, *, among: Collection[int]) -> TransportError | None:
        """The first that cannot be asked now and soon can, as the error that it is silent."""
        for each in self.all:
            why = each.state(now)
            if each.index in among and why and 0 < each.barred_for_s(now) < MOMENT_S:
                return TransportError(each.name, why.reason)
        return None

    def _is_within_budget(self, endpoint: Endpoint, utc_s: float) -> bool:
        spent = self.usage.rest(endpoint.name, self._budgets[endpoint.index], utc_s)
        if (spent is not None) != endpoint.budget_is_logged:
            endpoint.budget_is_logged = spent is not None
            if spent is None:
                self._notice("endpoint.back", endpoint.name, "its budget has begun anew")
            else:
                reason = f"{spent[1]}: used up for {spent[0] / 3600:.1f} h"
                self._notice("endpoint.left", endpoint.name, reason)
        return spent is None

    def report(self, now: float, utc_s: float) -> list[EndpointReport]:
        """For the state file and the log."""
        found = []
        for each in self.all:
            budget = self._budgets[each.index]
            spent = self.usage.rest(each.name, budget, utc_s)
            away = Away("budget", spent[1]) if spent is not None else each.state(now)
            kind, reason = away or Away("ready", "")
            newest: Newest | None = each.newest
            found.append(
                EndpointReport(
                    each.name,
                    kind,
                    reason,
                    newest.number if newest is not None else None,
                    round(each.latency_s * 1000, 1) if each.latency_s is not None else None,
                    each.batch.size,
                    each.refused,
                    self.usage.today(each.name, utc_s),
                    self.usage.this_month(each.name, utc_s),
                    budget,
                )
            )
        return found


def unique(names: Sequence[str]) -> list[str]:
    """Names that occur more than once (two keys at one host) are numbered."""
    often, seen = Counter(names), Counter[str]()
    found = []
    for name in names:
        seen[name] += 1
        found.append(f"{name} #{seen[name]}" if often[name] > 1 else name)
    return found


def _log_notice(event: str, endpoint: str, reason: str) -> None:
    level = _log.warning if event == "endpoint.left" else _log.info
    level(event, endpoint=endpoint, reason=reason)
