"""Programs load nothing that is slow to load and that they do not need."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_group

from dexarb.cli import app, asked_for
from dexarb.study.warm_up import warm_up
from tests.store import books
from tests.support.recorded import record
from tests.support.traded import configure, row_of, strategy
from tests.support.worlds.small_chain import CHEAP, SmallChain, keyframe, settings, weth_pool

NETWORK = ("websockets", "httpx", "anyio", "stamina", "dexarb.chain", "dexarb.ends")
COMPILER = ("numba.np.arrayobj", "numba.np.linalg", "numba.typed.typeddict")
"""What numba loads to compile with, and for kernels that were kept only if they name some of it."""
NOT_FOR_SCREENS = (
    *NETWORK, "duckdb", "pydantic", "structlog", "asyncio", "rich.progress", "dexarb.apps",
    "dexarb.config.toml_file",
)  # fmt: skip
NOT_FOR_A_STUDY = (*NOT_FOR_SCREENS, *COMPILER, "sqlite3")
NOT_FOR_A_SCAN = (*NOT_FOR_A_STUDY, "dexarb.trading.engine", "dexarb.trading.decide.desk")
NOT_FOR_BOOKS = (*NOT_FOR_SCREENS, "dexarb.trading.engine", "numba", "numpy")
NOT_FOR_A_TRADER = (
    *NETWORK, *COMPILER, "duckdb", "dexarb.config.collector", "dexarb.config.chain_profile",
)  # fmt: skip
COMMAND = """
from dexarb.cli import main
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
"""
TRADER = """
from pathlib import Path
from dexarb.apps import paper
paper.load_paper(Path(sys.argv[-1]))
paper.warm_up()
"""


def loaded(program: str, of: tuple[str, ...], *words: str | Path) -> list[str]:
    """Which of these modules the program has loaded at its end, whatever else it tells."""
    told = f"print('', *[name for name in {of!r} if name in sys.modules], file=sys.stderr)"
    done = subprocess.run(
        [sys.executable, "-c", f"import sys\n{program}\n{told}", *words],
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stderr.splitlines()[-1].split()


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
def test_screens_that_only_read_the_ledger(tmp_path: Path, words: tuple[str, ...]) -> None:
    world = configure(tmp_path)
    world.ledger.parent.mkdir()
    with books.open_ledger(world.ledger) as ledger, ledger.block(1, books.block(1)) as block:
        block.set_strategies([row_of(settings("Bold"))])
    assert loaded(COMMAND, NOT_FOR_BOOKS, *words, "-c", world.config) == []


@pytest.mark.parametrize(
    ("command", "without"), [("scan", NOT_FOR_A_SCAN), ("spreads", NOT_FOR_A_STUDY)]
)
def test_screens_of_a_history(tmp_path: Path, command: str, without: tuple[str, ...]) -> None:
    history = record(tmp_path, keyframe(), [SmallChain(keyframe()).mine(weth_pool(CHEAP, 2_400))])
    warm_up()
    assert loaded(COMMAND, without, command, history) == []


def test_a_trader_that_probes_nothing(tmp_path: Path) -> None:
    world = configure(tmp_path, strategy("one"))
    warm_up()
    assert loaded(TRADER, NOT_FOR_A_TRADER, world.config) == []


def commands(*words: str) -> set[str]:
    return set(get_group(asked_for(words)).commands)


def test_a_command_without_the_others() -> None:
    everything = set(get_group(app).commands)
    assert {"scan", "history"} < everything
    assert all(commands(name, "--help") == {name} for name in everything)
    for words in ((), ("--help",), ("sacn",), ("--version", "scan")):
        assert commands(*words) == everything
