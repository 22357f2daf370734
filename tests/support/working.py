"""Tasks for processes that die, in a module of their own."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

from dexarb.errors import StoreError
from dexarb.study.sweep.running import run_block


def dies_once(folder: Path, task: int) -> Iterator[int]:
    yield 0
    if task == 1 and not (folder / "died").exists():
        (folder / "died").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    (folder / f"{task}").touch()


def dies_in_a_block(folder: Path, task: int) -> Iterator[object]:
    """Of a sweep, once, a few entries into the second one."""
    died = folder / "died"
    for done, entry in enumerate(run_block(folder, task)):
        if (task, done) == (1, 3) and not died.exists():
            died.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        yield entry


def always_dies(task: int) -> Iterator[int]:
    yield task
    os.kill(os.getpid(), signal.SIGKILL)


def complains(task: int) -> Iterator[int]:
    yield task
    raise StoreError("a file", "is damaged", "Throw it away")
