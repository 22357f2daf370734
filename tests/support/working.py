"""Tasks for processes that die, in a module that loads at once."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

from dexarb.errors import StoreError


def dies_once(folder: Path, task: int) -> Iterator[int]:
    yield 0
    if task == 1 and not (folder / "died").exists():
        (folder / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    (folder / f"{task}").touch()


def always_dies(task: int) -> Iterator[int]:
    yield task
    os.kill(os.getpid(), signal.SIGKILL)


def complains(task: int) -> Iterator[int]:
    yield task
    raise StoreError("a file", "is damaged", "Throw it away")
