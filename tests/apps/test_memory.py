"""Collections of garbage do not hold up a block: they pass over what is there to stay."""

from __future__ import annotations

import gc
import subprocess
import sys
import weakref
from collections.abc import Iterator
from pathlib import Path

import pytest

from dexarb.apps.paper import PaperTrader
from dexarb.apps.process import keep_for_good
from dexarb.apps.watch import FileWatch
from dexarb.config.paper import load_paper
from dexarb.store.history_reader import HistoryReader
from dexarb.store.history_writer import HistoryWriter
from dexarb.store.ledger_db import LedgerDb
from dexarb.trading.models.reality import REALITY
from tests.support.recorded import record
from tests.support.signals import ScriptedSignals
from tests.support.traded import configure, strategy
from tests.support.worlds.small_chain import CHAIN_ID, SmallChain, keyframe


class Ring:
    def __init__(self) -> None:
        self.itself = self


@pytest.fixture(autouse=True)
def _nothing_kept() -> Iterator[None]:
    gc.unfreeze()
    yield
    gc.unfreeze()


def test_what_has_gone_is_not_kept_for_ever() -> None:
    ring = Ring()
    gone = weakref.ref(ring)
    keep_for_good()
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
    with LedgerDb.open(world.ledger, chain_id=CHAIN_ID, history=world.history) as ledger:
        watch, reader = FileWatch(world.config), HistoryReader(world.history)
        signals = ScriptedSignals(happens())
        PaperTrader(load_paper(world.config), watch, reader, ledger, signals, REALITY).run()
    assert looked_through[0] < before / 5


def test_libraries_see_no_leaks_when_the_program_ends() -> None:
    program = "import duckdb; from dexarb.apps.process import keep_for_good as keep; keep(); keep()"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert ended.stderr == b""
