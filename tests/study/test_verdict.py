"""The four words: what each takes, and what none of them can be had by."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from dexarb.core.trade import DecisionId, StrategyHash
from dexarb.core.units import SECONDS_PER_DAY
from dexarb.store.ledger_trades import SettledRow
from dexarb.study.verdict.confirmation import LOOKS, confirm, due
from dexarb.study.verdict.distributions import binomial_bounds
from dexarb.study.verdict.forecast import days_still_needed, days_to_confirm, days_to_eligible
from dexarb.study.verdict.fragility import fragility
from dexarb.study.verdict.gates import CanaryEvidence
from dexarb.study.verdict.series import Trades, series_of, trades_of, whole_days
from dexarb.study.verdict.verdict import Case, Judged, Word, judge
from tests.study.trades import FINE_CANARY, GAS, steady, trades, whole

ROOT = Path(__file__).parents[2]
NAME = StrategyHash("a" * 16)


def row(number: int, **facts: object) -> SettledRow:
    usual: dict[str, object] = {
        "strategy": NAME, "id": DecisionId(f"{number:016x}"), "second": number, "block": number,
        "cycle": "c", "position": "contested", "status": "filled", "net": 5, "gas": 1,
        "reserve": 9, "low": 0, "high": 5, "is_placed": 1, "outcome": "taken", "is_won": 0,
    }  # fmt: skip
    return SettledRow(**{**usual, **facts})  # type: ignore[arg-type]


# -- series ---------------------------------------------------------------------------------------


def test_days_without_a_trade_count_and_misses_with_their_gas_too() -> None:
    found = whole(trades([[1.0, -0.25], [], [2.0]]), 4)
    assert found.net.tolist() == [0.75, 0.0, 2.0, 0.0]
    assert found.per_day.tolist() == [2, 0, 1, 0]


def test_only_whole_days_count() -> None:
    day = SECONDS_PER_DAY
    assert whole_days(0, day) == (0, 1)
    assert whole_days(1, 3 * day - 1) == (1, 1)
    assert whole_days(day + 1, day + 2) == (2, 0)


def test_losses_that_were_not_seen_yet_are_charged_for() -> None:
    found = whole(trades([[1.0] * 40], reserve=3.0), 1)
    _, upper = binomial_bounds(0, 40)
    assert found.charge == pytest.approx(upper * (3.0 + 1.0))
    assert found.charged[0] == pytest.approx(40 - 40 * found.charge)


@pytest.mark.parametrize(("large", "is_charged"), [(9, True), (10, False)])
def test_ten_large_losses_are_known_well_enough(large: int, is_charged: bool) -> None:
    found = whole(trades([[1.0] * 40 + [-2.0] * large], reserve=3.0), 1)
    assert (found.charge > 0) is is_charged


def test_cheap_misses_say_nothing_of_dear_losses() -> None:
    assert whole(trades([[1.0] * 40 + [-0.01] * 60], reserve=3.0), 1).charge > 0


def test_what_lay_behind_a_live_trade_of_ours_is_left_out() -> None:
    rows = [row(1), row(2), row(3)]
    assert len(trades_of(rows, own_effect={rows[1].id})) == 2


def test_gains_that_nobody_took_do_not_count_until_a_probe_has_run_them() -> None:
    rows = [row(1, outcome="persisted"), row(2, outcome="persisted", net=-5), row(3)]
    assert trades_of(rows).counted.net.tolist() == [-5, 5]
    assert trades_of(rows, tried={"c"}).counted.net.tolist() == [5, -5, 5]


def test_what_would_be_left() -> None:
    found = fragility(trades([[1.0, 2.0, -0.5], [2.5]]))
    assert found.twice_the_gas == 5_000_000 - 4 * GAS
    assert found.without_best_trade == 2_500_000
    assert found.without_best_day == 2_500_000
    assert found.with_few_wins == 5_500_000 * 3 // 10 - 500_000
    assert found.bottom_of_band == -500_000


# -- confirmation ---------------------------------------------------------------------------------


def test_looks_are_at_three_days_whenever_one_asks() -> None:
    assert [due(days) for days in (0, 13, 14, 27, 28, 56, 90)] == [
        [], [], [14], [14], [14, 28], [14, 28, 56], [14, 28, 56],
    ]  # fmt: skip
    assert sum(LOOKS.values()) == pytest.approx(0.05)


def test_a_look_knows_its_own_days_alone() -> None:
    strong, weak = steady(60), steady(60, mean=0.0)
    looks = [{NAME: whole(strong, day)} for day in due(30)]
    found = confirm(30, looks)
    assert found.passed == {NAME: 14}
    assert found.next_look == 56
    assert not confirm(60, [{NAME: whole(weak, day)} for day in due(60)]).passed


# -- the word -------------------------------------------------------------------------------------


def case(of: Trades, days: int, **facts: object) -> Case:
    return replace(Case(of, whole(of, days), has_tried=True), **facts)  # type: ignore[arg-type]


def word(found: Case) -> Word:
    judged: Judged = judge(found)
    assert judged.reason
    return judged.word


def winner(**facts: object) -> Case:
    of = steady(40)
    confirmed = of.between(10, 30)
    return case(
        of, 40, **{"days_since": 30, "passed_at": 14, "confirmed": confirmed,
                   "canary": FINE_CANARY, **facts},
    )  # fmt: skip


def test_all_gates_open_promote() -> None:
    found = judge(winner())
    assert found.word is Word.PROMOTE
    assert all(gate.is_open for gate in found.gates)
    assert found.days_needed == 0


@pytest.mark.parametrize(
    "lacking",
    [
        {"passed_at": None},
        {"canary": None},
        {"canary": replace(FINE_CANARY, sent=29, filled=27)},
        {"canary": replace(FINE_CANARY, model_errors=1)},
        {"canary": replace(FINE_CANARY, compared_net=11)},
        {"canary": replace(FINE_CANARY, compared_net=-1)},
        {"canary": replace(FINE_CANARY, compared=9)},
        {"canary": replace(FINE_CANARY, filled=3)},
        {"confirmed": trades([[-0.1, 0.05]] * 10)},
        {"confirmed": trades([[0.001, 0.001]] * 10)},
        {"is_contested": False},
        {"has_failed": True},
    ],
    ids=str,
)
def test_no_gate_can_be_left_closed(lacking: dict[str, object]) -> None:
    found = judge(winner(**lacking))
    assert found.word is not Word.PROMOTE


def test_paper_alone_promotes_nobody() -> None:
    found = judge(winner(canary=None))
    assert found.word is Word.CANARY
    assert "30 real trades are needed" in found.reason


def test_after_a_day_a_gain_on_probed_routes_is_a_canary() -> None:
    of = trades([[0.5, 0.4, -0.01]])
    assert word(case(of, 1)) is Word.CANARY
    assert word(case(of, 1, has_tried=False)) is Word.KEEP_RUNNING
    assert word(case(of, 1, canary=CanaryEvidence(3, 1, 1, 0, 0, 0, 0, 0))) is Word.KEEP_RUNNING


@pytest.mark.parametrize(
    ("of", "says"),
    [
        (trades([]), "nothing has been settled"),
        (trades([[-0.1, -0.1]]), "nothing gained yet, 2 settled"),
        (trades([[0.1, -0.3]]), "-0.20 USD"),
        (trades([[0.1]], untaken=[True]), "nobody took it"),
    ],
)
def test_what_is_not_known_yet_keeps_running(of: Trades, says: str) -> None:
    found = judge(case(of, 1))
    assert found.word is Word.KEEP_RUNNING
    assert says in found.reason


@pytest.mark.parametrize(
    ("found", "says"),
    [
        (case(trades([[-0.1] * 4] * 10), 10), "no place in the blocks"),
        (case(steady(20, mean=-1.0), 20), "it loses"),
        (winner(days_since=56, passed_at=None), "56 days of confirmation"),
        (winner(has_failed=True), "its own code"),
    ],
)
def test_what_is_known_to_be_bad_is_rejected(found: Case, says: str) -> None:
    judged = judge(found)
    assert judged.word is Word.REJECT
    assert says in judged.reason


def test_a_few_bad_trades_reject_nobody() -> None:
    assert word(case(trades([[-0.1] * 29]), 1)) is Word.KEEP_RUNNING
    assert word(case(trades([[0.4, -0.5, 0.1]] * 12), 12)) is not Word.REJECT


# -- forecast -------------------------------------------------------------------------------------


def test_a_forecast_is_the_look_that_the_edge_will_pass() -> None:
    assert days_to_confirm(whole(steady(30), 30), 1) == 14
    assert days_to_confirm(whole(steady(30, mean=0.13, seed=2), 30), 1) in (28, 56)
    assert days_to_confirm(whole(trades([[-1.0], [0.5]] * 9), 18), 1) is None


def test_days_go_by() -> None:
    strong = whole(steady(30), 30)
    assert days_still_needed(strong, 1, None) == 14
    assert days_still_needed(strong, 1, 5) == 9
    assert days_still_needed(strong, 1, 56) is None


def test_too_few_decisions_take_their_days_first() -> None:
    some = series_of(trades([[1.0, 0.9]] * 3, reserve=0.0), 0, 3)
    assert days_to_eligible(some) == 12
    assert days_to_eligible(series_of(trades([]), 0, 3)) is None


# -- in worlds ------------------------------------------------------------------------------------


def test_the_study_runs_and_passes() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/study.py", "--worlds", "12", "--edge-worlds", "2"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    rows = [line.split(" | ") for line in done.stdout.splitlines() if line.startswith("| ")]
    assert [each[0] for each in rows[1:6]] == [
        "| noise", "| rare losses", "| rare wins", "| leftovers", "| all",
    ]  # fmt: skip
    strongest = rows[-1]
    assert int(strongest[-1].split("%")[0]) >= 50
