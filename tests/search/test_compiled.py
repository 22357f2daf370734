"""The first block after a start finds every kernel compiled, and a start that cannot keep the
machine code says so."""

from __future__ import annotations

import importlib
import os
import pickle
import select
import subprocess
import sys
from pathlib import Path

import numba
import pytest

from dexarb import compiled
from dexarb.search.packed import Floats

FIRST_BLOCKS = """
from numba.core import event

from dexarb.amm import limb_swap
from dexarb.study.warm_up import warm_up
from dexarb.search import probe, scan, sizing
from tests.search.scanning import gas_units
from tests.support.worlds.blocks import market_of, next_block
from tests.support.worlds.pools import RandomPools, rng_of, token

KERNELS = (probe.reprice, probe.find_open, sizing.size_cycles, limb_swap.quote_limbs)
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


ONE_KERNEL = """
import numpy as np
from dexarb import compiled
from tests.search.test_compiled import total
print(compiled.kernel(total)(np.arange(4.0)))
"""


INSIDE_ANOTHER = """
import numpy as np
from dexarb import compiled
from tests.search import test_compiled
test_compiled.total = compiled.kernel(test_compiled.total)
print(test_compiled.total(np.arange(4.0)), len(test_compiled.total.stats.cache_hits))
print(compiled.kernel(test_compiled.twice)(np.arange(4.0)))
"""
COUNTING = "from numba.core.options import DefaultOptions\ndel DefaultOptions._nrt\n"


def twice(numbers: Floats) -> float:
    return 2.0 * total(numbers)


def test_compiling_is_told_once_and_kept(tmp_path: Path) -> None:
    """Also where references are counted, and what counts them is another kernel."""
    heads = ("", "", COUNTING, COUNTING)
    runs = [python(head + ONE_KERNEL, NUMBA_CACHE_DIR=str(tmp_path)) for head in heads]
    assert [run.stdout for run in runs] == ["6.0\n"] * 4, [run.stderr for run in runs]
    told = [run.stderr.count("compiling for this machine") for run in runs]
    assert told == [1, 0, 1, 0]
    inside = python(INSIDE_ANOTHER, NUMBA_CACHE_DIR=str(tmp_path))
    assert inside.stdout == "6.0 1\n12.0\n", inside.stderr


FILES = {
    "outer": "from dexarb.compiled import kernel\nimport parts\n"
    "@kernel\ndef outer(x):\n    return parts.grown(x)\n",
    "parts": "from dexarb.compiled import kernel_part\nfrom values import LEAST\n"
    "@kernel_part\ndef grown(x):\n    return 2 * x + LEAST\n",
    "values": "LEAST = 3\n",
    "beside": "MOST = 4\n",
}


def test_what_a_kernel_is_made_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What it calls, or its module has, and what that names; no other file, however near."""

    def digest(number: int, **changed: str) -> str:
        folder = tmp_path / str(number)
        folder.mkdir()
        for name, text in {**FILES, **changed}.items():
            (folder / f"{name}.py").write_text(text)
        with monkeypatch.context() as patch:
            patch.syspath_prepend(folder)
            outer = importlib.import_module("outer").outer
        for name in FILES:
            sys.modules.pop(name, None)
        return compiled.made_of(outer.py_func)

    before = digest(0)
    assert digest(1, beside="MOST = 5\n") == before
    assert digest(2, values="LEAST = 3  # as it was\n") == before
    others = [
        digest(3, values="LEAST = 4\n"),
        digest(4, parts=FILES["parts"].replace("2 * x", "3 * x")),
        digest(5, outer=FILES["outer"].replace("(x):", "(y):").replace("grown(x)", "grown(y)")),
    ]
    assert len({before, *others}) == 4


@pytest.mark.parametrize("left", [b"", b"cdexarb.compiled\nGoneByNow\n."])
def test_what_is_kept_and_cannot_be_read_is_compiled_anew(tmp_path: Path, left: bytes) -> None:
    """Cut off by a full disk, or of a dexarb whose types had other names."""
    assert not python(ONE_KERNEL, NUMBA_CACHE_DIR=str(tmp_path)).returncode
    (index,) = [each for each in tmp_path.rglob("*.nbi") if "total" in each.name]
    version = pickle.loads(index.read_bytes())
    index.write_bytes(pickle.dumps(version) + left)
    again, after = (python(ONE_KERNEL, NUMBA_CACHE_DIR=str(tmp_path)) for _ in range(2))
    assert again.stdout == after.stdout == "6.0\n", again.stderr
    assert "compiling for this machine" in again.stderr
    assert not after.stderr


WAITING = """
import sys
from pathlib import Path
from dexarb import compiled
with compiled.one_at_a_time(say_after_s=float(sys.argv[1])):
    print((Path(sys.argv[0]).parent / "done").exists(), flush=True)
"""


def test_a_process_waits_while_another_one_compiles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path))
    program = tmp_path / "waiting.py"
    program.write_text(WAITING)
    with compiled.one_at_a_time():
        waiting = subprocess.Popen(
            [sys.executable, str(program), "0.05"],
            env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert waiting.stderr is not None
        assert select.select([waiting.stderr], [], [], 60)[0]
        assert "another process compiles" in waiting.stderr.readline()
        (tmp_path / "done").write_text("")
    assert waiting.communicate(timeout=60)[0] == "True\n"
    assert waiting.returncode == 0
