"""Folders of the user's own where a program keeps what is nobody's data: the rule of XDG.

The programs leave nothing in the current folder that was not asked for.
"""

from __future__ import annotations

import os
from pathlib import Path

OURS = "dexarb"


def cache_folder() -> Path:
    """What can be made again: $XDG_CACHE_HOME/dexarb, else ~/.cache/dexarb."""
    return _folder("XDG_CACHE_HOME", ".cache")


def data_folder() -> Path:
    """What was installed: $XDG_DATA_HOME/dexarb, else ~/.local/share/dexarb."""
    return _folder("XDG_DATA_HOME", ".local/share")


def _folder(variable: str, below_home: str) -> Path:
    """A value that is no absolute path does not count, as XDG has it."""
    named = os.environ.get(variable, "")
    return (Path(named) if Path(named).is_absolute() else Path.home() / below_home) / OURS
