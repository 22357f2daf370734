"""What npm installed: the node's binary and the packages of contracts."""

from __future__ import annotations

import json
import platform
import shlex
import shutil
from pathlib import Path

from dexarb.errors import MissingTool
from dexarb.user_folders import data_folder

PACKAGE_JSON = Path(__file__).with_name("package.json")
"""The checkout's own: names and versions of the packages."""

_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_SYSTEMS = {"linux": "linux", "darwin": "darwin", "windows": "win32"}


def roots() -> tuple[Path, ...]:
    """The folders node_modules that are looked into: the checkout's, the current folder's, and the
    user's, where the remedy installs."""
    folders = (Path(__file__).resolve().parents[3], Path.cwd(), data_folder())
    return tuple(folder / "node_modules" for folder in folders)


def missing(what: str) -> MissingTool:
    """The error for something that npm has not installed, with the command that does."""
    packages = json.loads(PACKAGE_JSON.read_bytes())["dependencies"]
    words = ["npm", "install", "--prefix", str(data_folder())]
    words += ["--no-save", "--ignore-scripts", "--no-audit", "--no-fund"]
    words += [f"{name}@{version}" for name, version in packages.items()]
    return MissingTool(
        what,
        "The embedded chain is installed by npm (Node.js 20 or later). For your user, whatever the"
        f" folder:\n\n    {shlex.join(words)}\n\n"
        "In a checkout `make demo` does that by itself.",
    )


def package_file(name: str) -> Path:
    """A file of an installed package, by its path in node_modules. Raises MissingTool."""
    for root in roots():
        path = root / name
        if path.is_file():
            return path
    raise missing(f"node_modules/{name}")


def anvil_binary() -> Path:
    """The node. Its npm package's own binary, because the package's wrapper starts 0.4 s later.

    Falls back on an `anvil` in PATH. Raises MissingTool.
    """
    system = _SYSTEMS.get(platform.system().lower(), "unknown")
    architecture = _ARCHITECTURES.get(platform.machine().lower(), "unknown")
    name = "anvil.exe" if system == "win32" else "anvil"
    for root in roots():
        path = root / "@foundry-rs" / f"anvil-{system}-{architecture}" / "bin" / name
        if path.is_file():
            return path
    found = shutil.which("anvil")
    if found is None:
        raise missing("anvil")
    return Path(found)
