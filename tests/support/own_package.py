"""A package with own strategies on a folder of the path, as an installer would leave it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dexarb.trading.decide.custom import ENTRY_POINTS


def install(
    folder: Path, name: str, source: str, kinds: Mapping[str, str], *, version: str = "1.0"
) -> None:
    """A module and its metadata. kinds: of each the name in the module."""
    (folder / f"{name}.py").write_text(source)
    info = folder / f"{name}-{version}.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    points = "".join(f"{kind} = {name}:{attribute}\n" for kind, attribute in kinds.items())
    (info / "entry_points.txt").write_text(f"[{ENTRY_POINTS}]\n{points}")
