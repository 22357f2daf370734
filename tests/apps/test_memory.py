"""Collections of garbage do not hold up a block: they pass over what is there to stay."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from dexarb.apps.process import keep_for_good
from dexarb.store.history_writer import HistoryWriter
from tests.support.chain_driver import run
from tests.support.collector import collecting
from tests.support.recorded import record
from tests.support.traded import configure, strategy
from tests.support.trader import run_trader
from tests.support.true_chain import TrueChain
from tests.support.true_node import TrueNode
from tests.support.worlds.small_chain import CHAIN_ID, SmallChain, keyframe


class Ring:
    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def _nothing_kept() -> Iterator[None]:
    thresholds = gc.get_threshold()
    gc.unfreeze()
    yield
    gc.unfreeze()
    gc.set_threshold(*thresholds)


def test_what_has_gone_is_not_kept_for_ever() -> None:
    ring = Ring()
    gone = weakref.ref(ring)
    gc.set_threshold(25_000)
    keep_for_good()
    assert gc.get_threshold()[0] == 700
    del ring
    gc.collect()
    assert gone() is not None
    keep_for_good()
    assert gone() is None


def test_a_trader_looks_through_little_in_a_block(tmp_path: Path) -> None:
    world = configure(tmp_path, strategy("one"))
    first, looked_through = keyframe(), []
    chain = SmallChain(first)
    record(tmp_path / "data", first, [chain.mine() for _ in range(2)])

    def happens() -> Iterator[object]:
        with HistoryWriter.open(world.history, chain_id=CHAIN_ID, chain="small") as writer:
            for _ in range(3):
                yield writer.append(chain.mine())
            looked_through.append(len(gc.get_objects()))
            yield None

    before = len(gc.get_objects())
    run_trader(world, happens())
    assert looked_through[0] < before / 5


def test_a_collector_that_starts_again_looks_through_little_as_well(tmp_path: Path) -> None:
    async def play() -> None:
        chain = TrueChain(1)
        here = collecting(tmp_path, TrueNode(chain))
        for _ in range(2):
            gc.unfreeze()
            async with here.running():
                await here.until_at(chain.mine())
                await here.until(lambda: gc.get_freeze_count() > 10_000)

    run(play())


def test_libraries_see_no_leaks_when_the_program_ends() -> None:
    program = "import duckdb; from dexarb.apps.process import keep_for_good as keep; keep(); keep()"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert ended.stderr == b""
