"""The register of trials: what was tried stays known, whatever becomes of everything else."""

from __future__ import annotations

import multiprocessing
import os
import shutil
from pathlib import Path

import pytest

from dexarb.core.pool import PoolKey
from dexarb.core.trade import StrategyHash
from dexarb.errors import StoreError
from dexarb.store.trials import (
    MOST_NAMED,
    Finalists,
    Trial,
    TrialKind,
    enter,
    family_of,
    family_size,
    make_family,
    of_family,
    read_register,
    record_trial,
    register_of,
)
from tests.support.recorded import record
from tests.support.worlds import small_chain

CHAIN = 137
ONE, TWO, THREE = (PoolKey(f"0x{digit * 40}") for digit in "abc")


def some(count: int, start: int = 0) -> list[StrategyHash]:
    return [StrategyHash(f"{number:016x}") for number in range(start, start + count)]


def entered(history: Path, configs: list[StrategyHash], at: int = 1) -> Trial:
    return record_trial(
        history, TrialKind.SWEEP, configs, first_block=1, last_block=9, at=at, file="x.parquet"
    )


@pytest.fixture
def history(tmp_path: Path) -> Path:
    return record(tmp_path, small_chain.keyframe(), [])


def trials_of(register: Path, history: Path) -> list[Trial]:
    found = of_family(read_register(register), family_of(history))
    return [each for each in found if isinstance(each, Trial)]


def test_what_was_tried_is_read_back(history: Path) -> None:
    trial = entered(history, [*some(3), *some(2)])
    assert trial.configs == 3
    assert trial.hashes == tuple(some(3))
    assert trials_of(register_of(history), history) == [trial]


def test_a_sweep_of_ten_thousand_is_a_small_line_and_counts_whole(history: Path) -> None:
    entered(history, some(10_000))
    entered(history, some(10_000), at=2)
    entered(history, some(5, 20_000))
    register = register_of(history)
    assert register.stat().st_size < 2_000
    assert family_size(trials_of(register, history), some(2, 20_003)) == 10_005


def test_a_copy_elsewhere_is_of_the_same_family_and_counts_no_trial_twice(
    history: Path, tmp_path: Path
) -> None:
    entered(history, some(3))
    away = tmp_path / "away"
    shutil.copytree(history.parent, away)
    copy = away / history.name
    entered(copy, some(2, 100), at=2)
    assert family_of(copy) == family_of(history)
    both = [*read_register(register_of(history)), *read_register(register_of(copy))]
    trials = [each for each in of_family(both, family_of(history)) if isinstance(each, Trial)]
    assert [each.configs for each in trials] == [3, 2]


def test_a_pool_more_or_less_begins_no_new_family(tmp_path: Path) -> None:
    register = tmp_path / "trials.jsonl"
    few, more, other = (
        make_family(CHAIN, [ONE]),
        make_family(CHAIN, [ONE, TWO]),
        make_family(CHAIN, [THREE]),
    )
    for number, family in enumerate((few, more, other, make_family(1, [ONE]))):
        of = Finalists(family.id, number, 5, 6, "the best", tuple(some(1)), ("a",))
        enter(register, family, of)
    found = of_family(read_register(register), few)
    assert [each.at for each in found] == [0, 1]


def test_families_do_not_depend_on_the_order_of_pools() -> None:
    assert make_family(CHAIN, [ONE, TWO]) == make_family(CHAIN, [TWO, ONE, TWO])
    assert make_family(CHAIN, [ONE]).id != make_family(1, [ONE]).id


def test_every_torn_end_is_cut_and_what_stood_before_it_stands(history: Path) -> None:
    first = entered(history, some(1))
    register = register_of(history)
    whole = register.read_bytes()
    entered(history, some(2), at=2)
    line = register.read_bytes()[len(whole) :]
    for length in range(1, len(line)):
        register.write_bytes(whole + line[:length])
        assert trials_of(register, history) == [first]
    assert entered(history, some(3), at=3) == trials_of(register, history)[1]
    assert register.read_bytes().count(b"\n") == 3


@pytest.mark.parametrize("at", ["first", "middle", "last"])
def test_a_line_that_was_changed_is_found(history: Path, at: str) -> None:
    for second in range(3):
        entered(history, some(2), at=second)
    register = register_of(history)
    lines = register.read_bytes().splitlines(keepends=True)
    place = {"first": 1, "middle": 2, "last": 3}[at]
    lines[place] = lines[place].replace(b'"configs":2', b'"configs":1')
    register.write_bytes(b"".join(lines))
    with pytest.raises(StoreError, match=f"line {place + 1} is damaged"):
        read_register(register)
    with pytest.raises(StoreError, match="damaged"):
        entered(history, some(1))


def test_a_line_that_was_taken_out_is_found(history: Path) -> None:
    for second in range(3):
        entered(history, some(2), at=second)
    register = register_of(history)
    lines = register.read_bytes().splitlines(keepends=True)
    register.write_bytes(b"".join(lines[:1] + lines[2:]))
    with pytest.raises(StoreError, match="line 2 is damaged"):
        read_register(register)


def test_a_full_disk_leaves_what_stood(history: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    entered(history, some(1))
    before = register_of(history).read_bytes()

    def half(fd: int, data: bytes) -> None:
        os.write(fd, data[: len(data) // 2])
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("dexarb.store.trials.write_all", half)
    with pytest.raises(StoreError, match="No space left"):
        entered(history, some(2))
    assert register_of(history).read_bytes() == before


def _enter_many(history: Path, start: int) -> None:
    for number in range(20):
        entered(history, some(1, start + number), at=number)


def test_several_processes_enter_at_once(history: Path) -> None:
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=_enter_many, args=(history, 100 * n)) for n in range(3)]
    for each in workers:
        each.start()
    for each in workers:
        each.join()
    assert family_size(trials_of(register_of(history), history)) == 60


def test_as_many_as_can_be_named_are_named(history: Path) -> None:
    assert len(entered(history, some(MOST_NAMED)).hashes) == MOST_NAMED
    assert entered(history, some(MOST_NAMED + 1)).hashes == ()


def test_a_trader_that_starts_again_tries_nothing_new(history: Path) -> None:
    for at, configs in enumerate([some(2), some(2), some(3)]):
        record_trial(history, TrialKind.LIVE, configs, first_block=1, last_block=None, at=at)
    assert [each.at for each in trials_of(register_of(history), history)] == [0, 2]
