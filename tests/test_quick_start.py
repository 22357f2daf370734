"""Screens that only read the ledger load nothing that is slow to load."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.store import books
from tests.support.traded import configure, row_of
from tests.support.worlds.small_chain import settings

SLOW = ("numba", "duckdb", "numpy", "structlog", "websockets", "httpx")
PROGRAM = """
import sys
from dexarb.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
sys.stderr.write(" ".join(name for name in {slow!r} if name in sys.modules))
"""


@pytest.mark.parametrize(
    "words",
    [
        ("status",),
        ("status", "--by-hour"),
        ("why", "Bold"),
        ("fills",),
        ("fills", "--since", "24h", "--csv"),
    ],
)
def test_nothing_slow_is_loaded(tmp_path: Path, words: tuple[str, ...]) -> None:
    world = configure(tmp_path)
    world.ledger.parent.mkdir()
    with books.open_ledger(world.ledger) as ledger, ledger.block(1, books.block(1)) as block:
        block.set_strategies([row_of(settings("Bold"))])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(slow=SLOW), *words, "-c", str(world.config)],
        check=True,
        capture_output=True,
        text=True,
    )
    assert done.stderr == ""
