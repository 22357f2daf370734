"""The verdict on one strategy: one of four words, and one sentence why."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from dexarb.core.units import MICRO_USD
from dexarb.study.verdict.confirmation import LAST_LOOK
from dexarb.study.verdict.distributions import t_tail
from dexarb.study.verdict.forecast import days_still_needed, days_to_eligible
from dexarb.study.verdict.gates import CanaryEvidence, Gate, gates, signed
from dexarb.study.verdict.series import LEAST_DAYS, LEAST_SETTLED, Series, Trades

SURELY = 0.025
"""How rarely chance alone may look as bad as what is rejected."""

ASK_A_NODE = "[probe] in the trader's file asks one"


class Word(StrEnum):
    REJECT = "REJECT"
    KEEP_RUNNING = "KEEP RUNNING"
    CANARY = "CANARY"
    PROMOTE = "PROMOTE"


@dataclass(frozen=True, slots=True)
class Case:
    """All that the word depends on.

    trades: all of it. series: of its whole days. is_contested: every trade was settled at the
    contested place. has_failed: in its own code. days_since: whole days since its registration,
    None: it is no finalist; passed_at: the look that it passed. confirmed: its trades on those
    days. has_tried: of what it gained by, a node has run some route as we say.
    finalists: how many there are, or would be.
    """

    trades: Trades
    series: Series
    is_contested: bool = True
    has_failed: bool = False
    days_since: int | None = None
    passed_at: int | None = None
    confirmed: Trades | None = None
    has_tried: bool = False
    canary: CanaryEvidence | None = None
    finalists: int = 1


@dataclass(frozen=True, slots=True)
class Judged:
    """days_needed: until PROMOTE could be said as far as paper goes, if things go on as they were;
    None: never, as far as one can see."""

    word: Word
    reason: str
    days_needed: int | None
    gates: tuple[Gate, ...]


def judge(case: Case) -> Judged:
    counted = case.trades.counted
    judged = counted if case.confirmed is None else case.confirmed.counted
    net = int(judged.net.sum())
    fill_rate = float(counted.is_filled.mean()) if len(counted) else 0.0
    found = tuple(
        gates(
            passed_at=case.passed_at,
            net=net,
            net_twice_the_gas=net - int(judged.gas.sum()),
            fill_rate=fill_rate,
            canary=case.canary,
        )
    )
    days = days_still_needed(case.series, case.finalists, case.days_since)
    if (why := _rejected(case, counted)) is not None:
        return Judged(Word.REJECT, why, None, found)
    if case.is_contested and all(gate.is_open for gate in found):
        return Judged(Word.PROMOTE, "; ".join(gate.says for gate in found), 0, found)
    if (why := _not_yet(case, counted)) is not None:
        return Judged(Word.KEEP_RUNNING, why, days, found)
    return Judged(Word.CANARY, _canary(case, counted, found), days, found)


def may_be_finalist(case: Case, judged: Judged) -> bool:
    """By the rule that the best are chosen with."""
    series = case.series
    return series.is_eligible and judged.word is not Word.REJECT and bool(series.charged.mean() > 0)


def _rejected(case: Case, counted: Trades) -> str | None:
    if case.has_failed:
        return "it failed in its own code and takes no further part"
    if len(counted) >= LEAST_SETTLED and int(counted.high.sum()) <= 0:
        best = signed(int(counted.high.sum()))
        return f"no place in the blocks would have paid: {best} USD at best"
    if (chance := _chance_of_so_bad(case.series)) is not None and chance < SURELY:
        a_day = signed(round(float(case.series.net.mean()) * MICRO_USD))
        return (
            f"it loses: {a_day} USD a day, and chance alone is so bad in {max(chance, 0.001):.1%}"
        )
    is_over = case.days_since is not None and case.days_since >= LAST_LOOK
    if is_over and case.passed_at is None:
        return f"{LAST_LOOK} days of confirmation are over, and no look was passed"
    return None


def _chance_of_so_bad(series: Series) -> float | None:
    """Of results as bad as these where nothing is lost; None where too little is known."""
    deviation = float(series.net.std(ddof=1)) if series.days > 1 else 0.0
    if not series.is_eligible or deviation == 0.0:
        return None
    t = float(series.net.mean()) / deviation * math.sqrt(series.days)
    return t_tail(-t, series.days - 1)


def _not_yet(case: Case, counted: Trades) -> str | None:
    """Why not even a canary."""
    if not len(case.trades):
        return "nothing has been settled yet"
    if not case.is_contested:
        return "not all of its trades stand at the contested place: only there rivals come first"
    net = int(counted.net.sum())
    wins = int((counted.net > 0).sum())
    if not wins and bool(case.trades.is_untaken.any()):
        return (
            f"all that it gained by lay there and nobody took it; a node may tell why: {ASK_A_NODE}"
        )
    if not wins:
        return f"nothing gained yet, {len(counted)} settled"
    if net <= 0:
        return f"{signed(net)} USD, {len(counted)} settled"
    if case.canary is not None and case.canary.model_errors:
        return f"{case.canary.model_errors} unexplained model errors live: they come first"
    if not case.has_tried:
        return (
            f"{signed(net)} USD, {len(counted)} settled, and no node has run its routes yet:"
            f" {ASK_A_NODE}"
        )
    return None


def _canary(case: Case, counted: Trades, found: tuple[Gate, ...]) -> str:
    head = f"{signed(int(counted.net.sum()))} USD, {len(counted)} settled, on probed routes"
    if not case.series.is_eligible:
        wait = days_to_eligible(case.series)
        more = "" if wait is None else f" in about {wait} days"
        return f"{head}; {LEAST_SETTLED} on {LEAST_DAYS} whole days tell more{more}"
    if case.days_since is None:
        return f"{head}; to be promoted it has to be a finalist: dexarb finalists register"
    closed = next(gate for gate in found if not gate.is_open)
    return f"{head}; {closed.name}: {closed.says}"
