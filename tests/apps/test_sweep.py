"""A sweep on several processes: killed anywhere, it goes on and comes to the same file."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from dexarb.apps.cores import on_cores
from dexarb.apps.sweep import Means
from dexarb.errors import OutsideError
from dexarb.store.trials import Trial, TrialKind, read_register, register_of
from tests.study.test_session_cuts import history
from tests.support.sweeping import grid, sweep
from tests.support.working import always_dies, complains, dies_once


def test_a_killed_sweep_goes_on(tmp_path: Path) -> None:
    """With kill -9, as soon as it has one of six blocks."""
    reader = history(tmp_path / "data" / "history", 1)
    out = tmp_path / "out"
    words = [sys.executable, "-m", "tests.support.sweeping", str(reader.folder), str(out)]
    process = subprocess.Popen(words, start_new_session=True)
    while not (done := list(out.glob("blocks/*.npz"))):
        assert process.poll() is None
        time.sleep(0.005)
    process.kill()
    process.wait()
    assert not (out / "results.parquet").exists()
    known = {path: path.stat().st_mtime_ns for path in done}
    again = sweep(reader.folder, out, grid(6), 1, Means(cores=1))
    assert all(not path.exists() or path.stat().st_mtime_ns == at for path, at in known.items())
    whole = sweep(reader.folder, tmp_path / "whole", grid(6), 6, Means(cores=1))
    assert again.read_bytes() == whole.read_bytes()
    trials = [each for each in read_register(register_of(reader.folder)) if isinstance(each, Trial)]
    assert [(each.kind, each.configs) for each in trials] == [(TrialKind.SWEEP, 6)] * 2
    with suppress(ProcessLookupError):
        while True:  # until its processes have seen that it is gone
            os.killpg(process.pid, 0)
            time.sleep(0.005)


def test_a_worker_that_dies_costs_its_task_once(tmp_path: Path) -> None:
    for _ in on_cores(partial(dies_once, tmp_path), range(4), cores=2):
        pass
    assert {each.name for each in tmp_path.iterdir()} == {"died", "0", "1", "2", "3"}


def test_nobody_left() -> None:
    with pytest.raises(OutsideError, match="all processes have died"):
        list(on_cores(always_dies, range(4), cores=2))
    with pytest.raises(OutsideError, match=r"a file: is damaged\. Throw it away"):
        list(on_cores(complains, range(4), cores=1))
