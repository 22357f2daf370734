"""Whether processes still run, and whose they are; portable, by asking ps."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable

PATIENCE_S = 20.0


def alive(pid: int) -> bool:
    """A process that has ended and only waits to be collected does not count."""
    state = _ps("-o", "stat=", "-p", str(pid)).strip()
    return bool(state) and not state.startswith("Z")


def descendants(pid: int) -> list[int]:
    """Children and theirs, parents first."""
    pairs = [line.split() for line in _ps("-A", "-o", "pid=,ppid=").splitlines()]
    children = [int(child) for child, parent in pairs if int(parent) == pid]
    return children + [below for child in children for below in descendants(child)]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        assert time.monotonic() < deadline, "it never happened"
        time.sleep(0.01)


def _ps(*arguments: str) -> str:
    return subprocess.run(["ps", *arguments], capture_output=True, text=True, check=False).stdout
