"""Who may import whom. The rules are the architecture; see docs/architecture.md."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from dexarb.amm import POOL_TYPES

SOURCE = Path(__file__).parent.parent / "src" / "dexarb"

MAY_IMPORT = {
    "errors": set[str](),
    "compiled": {"errors"},
    "limbs": {"compiled"},
    "user_folders": set(),
    "core": {"errors"},
    "amm": {"core", "compiled", "limbs", "errors"},
    "search": {"core", "amm", "compiled", "limbs", "errors"},
    "trading": {"core", "search", "compiled", "limbs", "errors"},
    "chain": {"core", "amm", "errors"},
    "store": {"core", "amm", "errors"},
    "ends": {"core", "amm", "trading", "chain", "store", "errors"},
    "config": {"core", "amm", "trading", "errors"},
    "alerts": {"core", "config", "errors"},
    "study": {"core", "amm", "search", "trading", "store", "config", "compiled", "errors"},
    "screens": {"core", "trading", "store", "config", "alerts", "study", "errors"},
    "apps": {
        "core", "trading", "chain", "store", "ends", "config", "alerts", "study", "screens",
        "errors",
    },
    "cli": {"apps", "screens", "demo", "user_folders", "errors"},
    "demo": {
        "core", "amm", "trading", "chain", "store", "ends", "config", "study", "screens", "apps",
        "user_folders", "errors",
    },
}  # fmt: skip

PURE_FILES = {"alerts/policy"}
"""Pure as well, in a room that is not: the time is told them. (A date is read from it.)"""
PURE = {"core", "amm", "search", "trading", "study"}
"""No clock, no chance, no environment: any past block can be reopened and decides the same."""
IMPURE_MODULES = {"time", "random", "os", "asyncio", "socket", "secrets", "datetime", "uuid"}


def imports(source: str) -> Iterator[str]:
    """Every module named by an import, those inside functions and type checks included."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the layer"
            module = node.module or ""
            # `from dexarb import core` names a layer as well.
            yield from (
                (f"{module}.{alias.name}" for alias in node.names)
                if module == "dexarb"
                else (module,)
            )


def violations(layer: str, source: str) -> list[str]:
    found = []
    for module in imports(source):
        parts = module.split(".")
        if parts[0] == "dexarb" and len(parts) > 1:
            target = parts[1]
            if target != layer and target not in MAY_IMPORT[layer] and target != "__version__":
                found.append(module)
        elif layer in PURE and parts[0] in IMPURE_MODULES:
            found.append(module)
    return found


def layer_of(path: Path) -> str:
    return path.relative_to(SOURCE).parts[0].removesuffix(".py")


FILES = sorted(
    path for path in SOURCE.rglob("*.py") if path.parent != SOURCE or path.stem != "__init__"
)


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(SOURCE)))
def test_layer(path: Path) -> None:
    assert violations(layer_of(path), path.read_text()) == []


@pytest.mark.parametrize("name", sorted(PURE_FILES))
def test_a_file_without_a_clock(name: str) -> None:
    source = (SOURCE / f"{name}.py").read_text()
    assert IMPURE_MODULES.intersection(imports(source)) <= {"datetime"}
    assert ".now(" not in source
    assert ".today(" not in source


@pytest.mark.parametrize(
    ("layer", "source"),
    [
        ("core", "from dexarb.amm import POOL_TYPES"),
        ("search", "from dexarb.trading.seams import View"),
        ("trading", "def f():\n    import dexarb.chain.rpc"),
        ("chain", "from dexarb.store.codec import decode"),
        ("store", "from dexarb import chain"),
        ("apps", "from dexarb.cli import main"),
        ("core", "import time"),
        ("trading", "from random import random"),
        ("study", "import os.path"),
        ("study", "from dexarb.chain.rpc import Rpc"),
        ("study", "from dexarb.ends import executor_contract"),
        ("screens", "from dexarb.apps.paper import run"),
        ("cli", "def f():\n    from dexarb.study.walk import walk"),
        ("config", "from dexarb.store.codec import decode"),
    ],
)
def test_planted_violation_is_found(layer: str, source: str) -> None:
    assert violations(layer, source)


def test_every_folder_is_a_layer() -> None:
    folders = {path.name for path in SOURCE.iterdir() if path.is_dir() and path.name[0] != "_"}
    assert folders <= MAY_IMPORT.keys()


def test_the_search_knows_pools_as_arrays_only() -> None:
    """Of `amm` it has the compiled swaps; whatever else a pool is it asks the pool."""
    sources = [path.read_text() for path in FILES if layer_of(path) == "search"]
    found = {module for source in sources for module in imports(source)}
    assert {each for each in found if each.startswith("dexarb.amm")} == {"dexarb.amm.limb_route"}


KINDS = {name: kind.__name__ for name, kind in POOL_TYPES.items()}
KNOWS_KINDS = ("amm", "demo")
"""Where a kind of pool may be named; the embedded chain deploys them."""


def kinds_named(source: str) -> list[str]:
    """Kinds of pools that a file outside these rooms knows by name, class or module."""
    found = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Constant) and node.value in KINDS:
            found.append(str(node.value))
        elif isinstance(node, ast.ImportFrom) and node.module:
            found += [node.module for name in KINDS if node.module.endswith(name)]
            found += [each.name for each in node.names if each.name in KINDS.values()]
        elif isinstance(node, ast.Attribute) and node.attr in KINDS.values():
            found.append(node.attr)
    return found


@pytest.mark.parametrize(
    "path",
    [path for path in FILES if layer_of(path) not in KNOWS_KINDS],
    ids=lambda path: str(path.relative_to(SOURCE)),
)
def test_no_kind_of_pool_is_known_outside_its_room(path: Path) -> None:
    """What depends on it stands in its file: only the public face names the class."""
    assert kinds_named(path.read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        'GAS = {"uniswap_v3": 1}',
        "from dexarb.amm.uniswap_v2 import SYNC",
        "from dexarb.amm import UniswapV3Pool",
        "import dexarb.amm as amm\nisinstance(pool, amm.UniswapV2Pool)",
    ],
)
def test_a_planted_kind_is_found(source: str) -> None:
    assert kinds_named(source)
