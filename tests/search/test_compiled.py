"""The first block after a start finds every kernel compiled, and a start that cannot keep the
machine code says so."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from numba.core.options import DefaultOptions

from dexarb import compiled
from dexarb.search.packed import Floats

FIRST_BLOCKS = """
from numba.core import event

from dexarb.study.warm_up import warm_up
from dexarb.search import probe, scan, sizing
from tests.search.scanning import gas_units
from tests.support.worlds.blocks import market_of, next_block
from tests.support.worlds.pools import RandomPools, rng_of, token

KERNELS = (probe.reprice, probe.find_open, sizing.size_cycles)
warm_up()
warm = [kernel.signatures for kernel in KERNELS]
assert all(len(signatures) == 1 for signatures in warm), warm
world = RandomPools.of(rng_of("warm"), 5)
market = market_of(world.pools(14))
with event.install_recorder("numba:compile") as compilations:
    search = scan.Scanner(
        market, start_tokens=(token(0), token(1)), gas_units=gas_units, max_hops=4
    )
    for _ in range(5):
        pools = [
            pool.swap(pool.tokens[0], int(100 / world.values[pool.tokens[0]]) + 1).pool
            for pool in list(market.pools.values())[:6]
        ]
        search.update(market, market.apply(next_block(market, pools)))
assert search.scan.opportunities
print(len(compilations.buffer), [kernel.signatures for kernel in KERNELS] == warm)
"""


def python(program: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """A new process, because kernels are compiled once in each."""
    folders = os.pathsep.join(str(Path(__file__).parent.parent / part) for part in (".", "../src"))
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": folders, **environment},
        capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def test_the_first_blocks_compile_nothing() -> None:
    run = python(FIRST_BLOCKS)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == ["0", "True"]


@pytest.mark.parametrize("inside", ["", "deeper/still"])
def test_a_cache_folder_that_cannot_be_written_is_named(tmp_path: Path, inside: str) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.write_text("")
    folder = str(in_the_way / inside)
    run = python("from dexarb.search.scan import warm_up\nwarm_up()", NUMBA_CACHE_DIR=folder)
    assert run.returncode != 0
    message = run.stderr.splitlines()[-1]
    assert "StoreError" in message
    assert str(in_the_way) in message
    assert "compiled kernels cannot be kept" in message
    assert "NUMBA_CACHE_DIR" in message


def total(numbers: Floats) -> float:
    found = 0.0
    for number in numbers:
        found += number
    return found


def test_kernels_compile_without_the_private_option(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = np.arange(4.0)
    assert compiled.kernel(total)(numbers) == 6.0
    monkeypatch.delattr(DefaultOptions, "_nrt")
    assert compiled.without_reference_counts() == {}
    assert compiled.kernel(total)(numbers) == 6.0
