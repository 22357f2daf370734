"""A sweep on two workers of a cluster: the same file, and a killed worker costs time only."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from distributed import LocalCluster

from dexarb import __version__
from dexarb.apps.cluster import on_cluster, reached
from dexarb.apps.sweep import Means
from dexarb.errors import InputError, MissingTool, OutsideError
from dexarb.study.sweep.market import scan_market
from dexarb.study.sweep.plan import RESULTS_FILE, make_plan, open_folder
from dexarb.study.sweep.results import write_results
from tests.study.test_session_cuts import history
from tests.support.sweeping import grid, sweep
from tests.support.working import always_dies, complains, dies_in_a_block


def local(workers: int) -> LocalCluster:
    return LocalCluster(
        n_workers=workers,
        threads_per_worker=1,
        processes=True,
        host="127.0.0.1",
        dashboard_address="127.0.0.1:0",
    )


@pytest.fixture(scope="module")
def cluster() -> Iterator[LocalCluster]:
    with local(2) as started:
        yield started


def test_equal_to_the_byte_though_a_worker_is_killed(cluster: LocalCluster, tmp_path: Path) -> None:
    """With kill -9, in the middle of a block."""
    reader = history(tmp_path / "data" / "history", 1)
    configs = grid(6)
    alone = sweep(reader.folder, tmp_path / "alone", configs, 6, Means(cores=1)).read_bytes()
    address = cluster.scheduler_address
    there = sweep(reader.folder, tmp_path / "there", configs, 1, Means(scheduler=address))
    assert there.read_bytes() == alone

    folder = tmp_path / "killed"
    folder.mkdir()
    plan = make_plan(reader, configs, max_state_age_s=10.0, configs_a_block=1)
    plan = open_folder(folder, plan, configs)
    for _ in scan_market(reader, folder, plan, configs):
        pass
    with reached(address) as client:
        before = set(client.run(os.getpid).values())
        assert len(before) == 2
        done = list(on_cluster(client, partial(dies_in_a_block, folder), range(6)))
        assert sorted(done) == list(range(6))
        assert len(before & set(client.run(os.getpid).values())) == 1
    assert (folder / "died").exists()
    write_results(folder, plan)
    assert (folder / RESULTS_FILE).read_bytes() == alone


def test_what_a_cluster_lacks(cluster: LocalCluster, tmp_path: Path) -> None:
    with reached(cluster.scheduler_address) as client:
        with pytest.raises(OutsideError, match=r"tcp://.*: a file: is damaged\. Throw it away"):
            list(on_cluster(client, complains, range(2)))
        gone = tmp_path / "gone"
        client.wait_for_workers(2)  # the killed one is started again
        with pytest.raises(OutsideError, match=r"gone: not seen by tcp://.*, tcp://.*shared file"):
            list(on_cluster(client, complains, range(2), [gone]))
        assert cluster.scheduler is not None
        cluster.scheduler.allowed_failures = 0
        with pytest.raises(OutsideError, match="died again and again"):
            list(on_cluster(client, always_dies, range(1)))


def test_a_worker_of_another_version_is_refused_by_name(tmp_path: Path) -> None:
    other = tmp_path / "dexarb-0.0.9.dist-info"
    other.mkdir()
    (other / "METADATA").write_text("Metadata-Version: 2.1\nName: dexarb\nVersion: 0.0.9\n")
    with local(0) as cluster:
        words = [sys.executable, "-m", "dask", "worker", cluster.scheduler_address, "--no-nanny"]
        worker = subprocess.Popen(
            [*words, "--nthreads", "1", "--no-dashboard", "--local-directory", str(tmp_path)],
            env={**os.environ, "PYTHONPATH": str(tmp_path)},
            stderr=subprocess.DEVNULL,
        )
        try:
            with (
                pytest.raises(OutsideError, match=rf"tcp://\S+ has 0\.0\.9\. .*{__version__}"),
                reached(cluster.scheduler_address),
            ):
                pass
        finally:
            worker.kill()
            worker.wait()


def test_no_cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dexarb.apps.cluster.REACH_S", 0.2)
    nobody = "tcp://127.0.0.1:9"
    with pytest.raises(OutsideError, match=f"no scheduler answers at {nobody}"), reached(nobody):
        pass
    with (
        pytest.raises(InputError, match='"carrier://nowhere" is no address'),
        reached("carrier://nowhere"),
    ):
        pass
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingTool, match=r"pip install dexarb\[cluster\]"), reached("tcp://a:1"):
        pass
