"""Files of named arrays: whole or not there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from dexarb.store.files import disk_errors

Column = npt.NDArray[Any]


def write_columns(path: Path, columns: Mapping[str, Column]) -> int:
    """Returns how many bytes it has. Raises StoreError."""
    partial = path.with_suffix(".tmp")
    with disk_errors(path, "cannot be written"):
        with partial.open("wb") as file:
            np.savez(file, allow_pickle=False, **columns)
        partial.rename(path)
        return path.stat().st_size


def read_columns(path: Path) -> dict[str, Column]:
    """Raises StoreError."""
    with disk_errors(path, "cannot be read"), np.load(path) as columns:
        return {name: columns[name] for name in columns.files}
