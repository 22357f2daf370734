"""What `npm install` installed: the node's binary and the packages of contracts."""

from __future__ import annotations

import platform
import shutil
from pathlib import Path

from dexarb.errors import MissingTool

REMEDY = "Run `npm install` in the checkout (Node.js 20 or later), or `make demo`, which does it"

_ARCHITECTURES = {"x86_64": "amd64", "amd64": "amd64", "aarch64": "arm64", "arm64": "arm64"}
_SYSTEMS = {"linux": "linux", "darwin": "darwin", "windows": "win32"}


def roots() -> tuple[Path, ...]:
    """The folders node_modules that are looked into: the checkout's, then the current folder's."""
    checkout = Path(__file__).resolve().parents[4]
    return (checkout / "node_modules", Path.cwd() / "node_modules")


def package_file(name: str) -> Path:
    """A file of an installed package, by its path in node_modules. Raises MissingTool."""
    for root in roots():
        path = root / name
        if path.is_file():
            return path
    raise MissingTool(f"node_modules/{name}", REMEDY)


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
        raise MissingTool("anvil", REMEDY)
    return Path(found)
