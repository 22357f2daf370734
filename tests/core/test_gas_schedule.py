"""What each count comes to under each schedule, in figures."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dexarb.core.gas_schedule import ETHEREUM, POLYGON_CHICAGO, SCHEDULES, GasCounts, measured
from dexarb.core.profile import ScheduleChange
from tests.support.worlds.small_chain import PROFILE


@pytest.mark.parametrize(
    ("count", "ethereum", "chicago"),
    [
        ("cold_reads", 2_100, 5_460),
        ("cold_writes", 2_100, 2_940),
        ("warm", 100, 100),
        ("resets", 2_900, 2_060),
        ("sets", 20_000, 20_000),
        ("restored", -2_800, -1_960),
        ("unset", -19_900, -19_900),
        ("cleared", -4_800, -3_960),
        ("accounts", 2_600, 2_600),
        ("calldata", 1, 1),
        ("rest", 1, 1),
    ],
)
def test_what_a_count_costs(count: str, ethereum: int, chicago: int) -> None:
    for number in (1, 3):
        counts = GasCounts(**{count: number})
        assert ETHEREUM.units(counts) == number * ethereum
        assert POLYGON_CHICAGO.units(counts) == number * chicago


def test_every_count_is_charged_and_all_together() -> None:
    counts = GasCounts(*range(1, 12))
    assert ETHEREUM.units(counts) == -52_879
    assert POLYGON_CHICAGO.units(counts) == -39_439


def test_what_was_measured_is_what_ethereum_charges_for_the_counts() -> None:
    counts = measured(10_000, cold_reads=2, warm=3, resets=1, restored=1, accounts=1)
    assert counts == GasCounts(
        cold_reads=2, warm=3, resets=1, restored=1, accounts=1, rest=10_000 - 7_200
    )
    assert (ETHEREUM.units(counts), POLYGON_CHICAGO.units(counts)) == (10_000, 16_720)


def test_schedules_are_found_by_name_and_place() -> None:
    for place, (name, schedule) in enumerate(SCHEDULES.items()):
        assert (schedule.name, schedule.place) == (name, place)


def test_a_schedule_holds_from_its_block_until_the_next() -> None:
    changes = (ScheduleChange(10, "polygon-chicago"), ScheduleChange(20, "ethereum"))
    profile = replace(PROFILE, gas_schedules=changes)
    found = [profile.gas_schedule(block) for block in (0, 9, 10, 19, 20, 10**9)]
    assert found == [ETHEREUM] * 2 + [POLYGON_CHICAGO] * 2 + [ETHEREUM] * 2
    assert PROFILE.gas_schedule(10**9) is ETHEREUM
