"""The wheel alone is enough: what a program needs comes with it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
from numba.core.caching import _CacheLocator

from dexarb.config.shipped_files import SAMPLE_HISTORY

ROOT = Path(__file__).parent.parent
PROGRAM = "from dexarb.cli import main; main()"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what a wheel of the checkout brings."""
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"  # a copy: what older builds have left must not get into it
    for name in ("src", "config"):
        ignored = shutil.ignore_patterns("*.egg-info", "__pycache__")
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=ignored)
    for name in ("pyproject.toml", "package.json", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "wheel", "--quiet"]
    subprocess.run(
        [*command, "--no-build-isolation", "--no-deps", "--wheel-dir", folder, source], check=True
    )
    (wheel,) = folder.glob("*.whl")
    with ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    return folder / "site"


def kept_in(path: Path) -> str:
    """Folder below the cache of what numba has compiled of a file."""
    return str(_CacheLocator.get_suitable_cache_subpath(str(path)))  # type: ignore[no-untyped-call]


@pytest.fixture(scope="module")
def kernels(installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the checkout has compiled is what the wheel would compile: it takes half a minute."""
    cache, kept = tmp_path_factory.mktemp("kernels"), os.environ.get("NUMBA_CACHE_DIR")
    sources = list((ROOT / "src" / "dexarb").rglob("*.py")) if kept else []
    twins = {path: installed / path.relative_to(ROOT / "src") for path in sources}
    for path, twin in twins.items():
        stamp = path.stat().st_mtime_ns
        os.utime(twin, ns=(stamp, stamp))
    for place, other in {kept_in(path): kept_in(twin) for path, twin in twins.items()}.items():
        if kept and Path(kept, place).is_dir():
            shutil.copytree(Path(kept, place), cache / other)
    return cache


def dexarb(
    installed: Path, home: Path, *words: str, kernels: Path | None = None
) -> subprocess.CompletedProcess[str]:
    """The wheel's program in an empty folder, of a user who has nothing yet but these kernels."""
    environment = {"PYTHONPATH": str(installed), "HOME": str(home), "PATH": "", "COLUMNS": "200"}
    if kernels is not None:
        environment["NUMBA_CACHE_DIR"] = str(kernels)
    home.mkdir(exist_ok=True)
    empty = home / "empty"
    empty.mkdir(exist_ok=True)
    return subprocess.run(
        [sys.executable, "-c", PROGRAM, *words],
        env=environment, cwd=empty, capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_the_files_of_the_checkout_are_in_it(installed: Path) -> None:
    shipped = installed / "dexarb" / "config" / "shipped"
    names = sorted(path.name for path in (ROOT / "config").iterdir())
    assert sorted(path.name for path in shipped.iterdir()) == names
    assert {"paper_trading.toml", "collector.toml", "polygon.toml"} <= set(names)
    for name in names:
        assert (shipped / name).read_bytes() == (ROOT / "config" / name).read_bytes()


def test_a_demo_says_how_to_get_the_node(installed: Path, tmp_path: Path) -> None:
    said = dexarb(installed, tmp_path / "home", "demo")
    assert said.returncode == 3
    assert "Node.js 20" in said.stderr
    (command,) = (line for line in said.stderr.splitlines() if line.startswith("    npm install "))
    wanted = json.loads((ROOT / "package.json").read_bytes())["dependencies"]
    assert wanted
    for name, version in wanted.items():
        assert f"{name}@{version}" in command.split()
    left = [path for path in (tmp_path / "home").rglob("*") if path.is_file()]
    assert left == []


def test_a_history_comes_with_it_and_is_ranked(
    installed: Path, kernels: Path, tmp_path: Path
) -> None:
    sample = SAMPLE_HISTORY.relative_to(ROOT / "src")
    shipped = {path.relative_to(installed) for path in (installed / sample).rglob("*")}
    assert shipped == {path.relative_to(ROOT / "src") for path in SAMPLE_HISTORY.rglob("*")}
    size = sum(path.stat().st_size for path in (installed / sample).rglob("*") if path.is_file())
    assert size <= 1_000_000
    words = ("replay", "--sample", "--last", "300", "--json")
    said = dexarb(installed, tmp_path / "home", *words, kernels=kernels)
    assert said.returncode == 0, said.stderr
    found = json.loads(said.stdout)
    assert found["history"] == str(installed / sample)
    assert len(found["strategies"]) == 8
    assert found["blocks"] == 300
    assert list((tmp_path / "home" / "empty").iterdir()) == []
    assert {path.relative_to(installed) for path in (installed / sample).rglob("*")} == shipped
