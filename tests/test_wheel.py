"""The wheel alone is enough: what a program needs comes with it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

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


def dexarb(installed: Path, home: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """The wheel's program in an empty folder, of a user who has nothing yet."""
    environment = {"PYTHONPATH": str(installed), "HOME": str(home), "PATH": "", "COLUMNS": "200"}
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
